"""What each variant reaches, and what it costs."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from emotune.analysis.statistics import Summary
from emotune.metric_config import Metric
from emotune.report.figures.labels import Box, beside
from emotune.report.figures.rows import Row, draw_interval, draw_seeds, say_above, tabular
from emotune.report.style import (
    INK, SIZE, SMALL, SOFT, STYLE, WIDTH, fold, magnitudes, markers, place, seeds_said, span, text_width, title_of,
)  # fmt: skip

__all__ = ["against_cost", "by_seed"]

COSTS = {"parameters": "parameters", "forward_flops": "FLOP for a picture", "train_s": "training, s"}
HEIGHT, LEFT, GAP = 2.1, 0.5, 0.2


@rc_context(STYLE)
def by_seed(
    title: str,
    runs: pd.DataFrame,
    metric: Metric,
    summaries: Mapping[str, Summary],
    constant: float,
    colours: Mapping[str, str],
) -> Figure:
    """Every seed's value of the study's metric, and per variant the mean with its 95 % t interval.

    Args:
        title: The data set.
        runs: Finished runs of one data set.
        metric: The study's.
        summaries: Per variant.
        constant: What a predictor gets that gives every picture the classes' frequencies.
        colours: Of all variants.
    """
    scale, shapes = metric.scale, markers(colours)
    rows = [Row(fold(v), _said(s, metric), f"n = {s.n}" if s.n else "", least=0.32) for v, s in summaries.items()]
    values = runs.loc[runs["variant"].isin(list(summaries)), metric.name].dropna()
    ends = [end for s in summaries.values() if s.low is not None for end in (s.low, s.high)]
    near = values.max() - values.min() + 4 * metric.min_effect
    beyond = not (values.min() - near <= constant <= values.max() + near)
    limits = span([*values, *([] if beyond else [constant])], ends, 4 * metric.min_effect)
    figure, axes, edges = tabular(rows, limits, f"test {scale.label}", top=0.5)
    title_of(figure, title, seeds_said(s.n for s in summaries.values()))
    for (variant, summary), (begin, end) in zip(summaries.items(), edges, strict=True):
        draw_interval(axes, begin + 0.4 * (end - begin), summary, colours[variant], shapes[variant])
        own = runs.loc[runs["variant"] == variant, metric.name].dropna()
        draw_seeds(axes, begin + 0.74 * (end - begin), list(own), colours[variant])
    if np.isfinite(constant):
        _constant(axes, constant, scale.written(constant), beyond)
    return figure


@rc_context(STYLE)
def against_cost(title: str, table: pd.DataFrame, metric: Metric) -> Figure:
    """The study's metric against parameters, FLOPs and training time, with 95 % t intervals.

    The names stand beside the points; where there is no room for that, numbers do, and the names in a list.

    Args:
        title: The data set.
        table: ``variant, parameters, forward_flops, train_s, mean, low, high``; NaN or None where there is no interval.
        metric: The study's.
    """
    table = table.astype({"low": float, "high": float}).dropna(subset=["mean"]).reset_index(drop=True)
    width = (WIDTH - LEFT - 0.08 - GAP * (len(COSTS) - 1)) / len(COSTS)
    limits = span(table["mean"], [*table["low"], *table["high"]], 4 * metric.min_effect)
    margin = 0.06 * (limits[1] - limits[0])
    ylim, frame = (limits[0] - margin, limits[1] + margin), (72 * width, 72 * HEIGHT)
    spots = [_spots(table, cost, ylim, frame) for cost in COSTS]
    names, boxes = list(table["variant"]), []
    for names in (list(table["variant"]), [str(i + 1) for i in range(len(table))]):
        sizes = [(72 * text_width(name, SMALL) + 2, SMALL + 2) for name in names]
        boxes = [beside(points, sizes, frame, taken) for points, taken in spots]
        if all(boxes):
            break
    named = names == list(table["variant"])
    said = [] if named else [f"{i + 1}  {name}" for i, name in enumerate(table["variant"])]
    columns = max(1, int((WIDTH - LEFT) // (0.25 + max(map(text_width, said), default=1))))
    listed = 0 if named else 0.15 + 0.16 * -(-len(said) // columns)
    figure = Figure(figsize=(WIDTH, HEIGHT + 0.84 + listed))
    title_of(figure, title, "bars: 95 % intervals over seeds" if table["low"].notna().any() else "one seed: no interval")
    for i, cost in enumerate(COSTS):
        axes = place(figure, LEFT + i * (width + GAP), 0.36, width, HEIGHT, grid="y")
        _cost_panel(axes, table, cost, ylim, names, spots[i][0], boxes[i])
        axes.tick_params(axis="y", labelleft=i == 0, length=0)
        axes.set_ylabel(f"test {metric.scale.label}" if i == 0 else "")
    for i, text in enumerate(said):
        x, y = LEFT + i % columns * (WIDTH - LEFT) / columns, HEIGHT + 0.84 + 0.16 * (i // columns)
        figure.text(x / WIDTH, 1 - y / (HEIGHT + 0.84 + listed), text, va="center")
    return figure


def _constant(axes: Axes, constant: float, written: str, beyond: bool) -> None:
    if not beyond:
        axes.axvline(constant, color=SOFT, linewidth=0.9, linestyle=(0, (1.5, 1.5)), zorder=1)
        say_above(axes, constant, f"constant predictor {written}")
        return
    left, right = axes.get_xlim()
    low = constant < left
    text = f"← constant predictor {written}" if low else f"constant predictor {written} →"
    say_above(axes, left if low else right, text, ha="left" if low else "right")


def _said(summary: Summary, metric: Metric) -> str:
    if not summary.n:
        return "no run finished"
    written = metric.scale.written
    if summary.low is None:
        return f"{written(summary.mean)} (no interval)"
    return f"{written(summary.mean)} ({written(summary.low)} to {written(summary.high)})"


def _bounds(values: pd.Series) -> tuple[float, float]:
    """Limits of a logarithmic axis: at least a factor of three."""
    low, high = values.min(), values.max()
    if not low > 0:  # no value is known
        return 1.0, 10.0
    factor = max(3 * low / high, 1) ** 0.5 * (high / low) ** 0.1 * 1.1
    return low / factor, high * factor


def _spots(
    table: pd.DataFrame, cost: str, ylim: tuple[float, float], frame: tuple[float, float]
) -> tuple[list[tuple[float, float]], list[Box]]:
    """Where the points are, in points from the lower left corner, and what marks and intervals cover."""
    low, high = np.log(_bounds(table[cost]))
    x = frame[0] * (np.log(table[cost].astype(float)) - low) / (high - low)
    y, bottom, top = (frame[1] * (table[c] - ylim[0]) / (ylim[1] - ylim[0]) for c in ("mean", "low", "high"))
    points = [(a, b) for a, b in zip(x, y, strict=True)]
    marks = [Box(a - 3, b - 3, a + 3, b + 3) for a, b in points]
    bars = [Box(a - 1, b, a + 1, c) for a, b, c in zip(x, bottom, top, strict=True) if np.isfinite(b)]
    return points, marks + bars


def _cost_panel(axes: Axes, table: pd.DataFrame, cost: str, ylim: tuple[float, float], names: list[str],
                points: list[tuple[float, float]], boxes: list[Box] | None) -> None:  # fmt: skip
    axes.vlines(table[cost], table["low"], table["high"], color=SOFT, linewidth=1)
    axes.plot(table[cost], table["mean"], "o", color=INK, markersize=4.5)
    axes.set(xscale="log", xlim=_bounds(table[cost]), ylim=ylim, xlabel=COSTS[cost])
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=4))
    axes.xaxis.set_major_formatter(magnitudes())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="x", which="minor", length=0)
    for name, (x, y), box in zip(names, points, boxes or [], strict=False):
        at = (box.left + 1 - x, (box.bottom + box.top) / 2 - y)
        axes.annotate(name, xy=(0, 0), xycoords=("axes points"), xytext=(x + at[0], y + at[1]),
                      textcoords="axes points", va="center", fontsize=SMALL)  # fmt: skip
