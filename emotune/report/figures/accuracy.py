"""The metric by variant, and against parameters, FLOPs and training time."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter

from emotune.analysis.seeds import Summary
from emotune.config.metric import Metric
from emotune.core.sample_noun import worded
from emotune.report.figures.label_placement import Box, Mark, place_labels
from emotune.report.figures.layout import (
    LEGEND_ROW_HEIGHT,
    axis_limits,
    draw_legend,
    draw_title,
    legend_rows,
    magnitude_formatter,
    place_axes,
    seed_count_text,
    spread_apart,
    text_width,
    wrap_name,
)
from emotune.report.figures.style import SMALL, SOFT, STYLE, full_width, markers
from emotune.report.figures.table_plot import TableRow, annotate_above, draw_interval, draw_line, draw_seeds, table_plot

__all__ = ["cost_notes", "metric_against_cost", "metric_by_variant"]

COSTS = {"parameters": "parameters", "forward_flops": "FLOPs per image", "train_s": "training, s"}
COST_NOTES = {
    "forward_flops": "FLOPs: forward pass of one image.",
    "train_s": "Time: training, wall-clock, with other runs beside it, on the hardware listed below.",
}
HEIGHT, LEFT, GAP, RIGHT = 2.1, 0.56, 0.2, 0.16
BESIDE = 5.0
"""Points between the bars of two variants of nearly equal cost."""
LABEL_GAP = 5.0
"""Points between two tick labels."""
TICKS = ((1, 2, 3, 5), (1, 2, 5), (1, 3), (1,))
"""Multiples of powers of ten at which a logarithmic axis has ticks: the first ones whose labels have room."""


@rc_context(STYLE)
def metric_by_variant(
    title: str,
    runs: pd.DataFrame,
    metric: Metric,
    summaries: Mapping[str, Summary],
    constant: float,
    colours: Mapping[str, str],
    *,
    trivial: str = "class prior",
    narrow: bool = False,
) -> Figure:
    """The study's metric of every seed by variant, and each mean with its 95 % t interval.

    Args:
        title: The data set's title.
        runs: The finished runs on this data set.
        metric: The study's metric.
        summaries: The mean and interval of each variant.
        constant: The metric of the trivial prediction: the class frequencies, mean distribution or rating of training.
        colours: The colours of all variants.
        trivial: The name of the trivial prediction.
        narrow: Whether the figure is for a narrow screen.
    """
    scale, shapes = metric.scale, markers(colours)
    alike = len({s.n for s in summaries.values()}) == 1
    rows = [
        TableRow(wrap_name(v), _summary_text(s, metric), "" if alike or not s.n else f"n = {s.n}", least=0.31)
        for v, s in summaries.items()
    ]
    values = runs.loc[runs["variant"].isin(list(summaries)), metric.column].dropna()
    ends = [end for s in summaries.values() for end in s.interval or ()]
    finite = values[np.isfinite(values)] if np.isfinite(values).any() else pd.Series([0.0])
    near = finite.max() - finite.min() + 4 * metric.min_effect
    beyond = not (finite.min() - near <= constant <= finite.max() + near)
    limits = axis_limits([*values, *([] if beyond else [constant])], ends, 4 * metric.min_effect, scale.bounds)
    figure, axes, edges = table_plot(rows, limits, f"test {scale.label}", top=0.5, narrow=narrow)
    draw_title(figure, title, seed_count_text(s.n for s in summaries.values()))
    for (variant, summary), (begin, end) in zip(summaries.items(), edges, strict=True):
        draw_interval(axes, begin + 0.4 * (end - begin), summary, colours[variant], shapes[variant])
        values_by_seed = runs.loc[runs["variant"] == variant, metric.column].dropna()
        draw_seeds(axes, begin + 0.74 * (end - begin), list(values_by_seed), colours[variant])
    if np.isfinite(constant):
        _draw_prior(axes, edges, trivial, constant, scale.format(constant), beyond)
    return figure


def cost_notes(table: pd.DataFrame) -> str:
    """The notes of a caption on the costs that `metric_against_cost` draws.

    Args:
        table: As there.
    """
    shown = _shown_costs(table[np.isfinite(table["mean"].astype(float))])
    notes = [worded(note) for cost, note in COST_NOTES.items() if cost in shown]
    return " ".join([*notes, "Bars of nearly equal cost stand side by side."])


@rc_context(STYLE)
def metric_against_cost(
    title: str, table: pd.DataFrame, metric: Metric, colours: Mapping[str, str], *, narrow: bool = False
) -> Figure:
    """The study's metric against parameters, FLOPs and training time, with 95 % t intervals.

    Variants are named beside their points; without room for that, a legend names them. Points of nearly equal
    cost are drawn side by side. A cost that all variants share is left out.

    Args:
        title: The data set's title.
        table: A row for each variant: ``variant, parameters, forward_flops, train_s, mean, low, high``; NaN or None
            where there is no interval.
        metric: The study's metric.
        colours: The colours of all variants.
        narrow: Whether the figure is for a narrow screen.
    """
    table = table.astype({"mean": float, "low": float, "high": float} | dict.fromkeys(COSTS, float))
    table = table[np.isfinite(table["mean"])].sort_values("parameters", kind="stable").reset_index(drop=True)
    costs = _shown_costs(table)
    columns, whole = 1 if narrow else len(costs), full_width(narrow=narrow)
    width = (whole - LEFT - RIGHT - GAP * (columns - 1)) / columns
    low, high = axis_limits(table["mean"], [*table["low"], *table["high"]], 4 * metric.min_effect)
    ylim = low - 0.1 * (high - low), high + 0.1 * (high - low)  # room for names
    frame = (72 * width, 72 * HEIGHT)
    tables = [_side_by_side(table.dropna(subset=[cost]), cost, frame[0]) for cost in costs]
    sizes = [[(72 * text_width(v, SMALL) + 2, SMALL + 2) for v in rows["variant"]] for rows in tables]
    boxes = [
        place_labels(_marks(rows, cost, ylim, frame), size, frame)
        for rows, cost, size in zip(tables, costs, sizes, strict=True)
    ]
    legend = {v: colours[v] for v in table["variant"]} if None in boxes else {}
    rows = LEGEND_ROW_HEIGHT * len(legend_rows(legend, whole - LEFT)) if legend else 0.0
    top, pitch = 0.36 + rows, HEIGHT + 0.5  # the pitch is from panel to panel of a narrow figure
    down = top + HEIGHT + 0.5 + (pitch * (len(costs) - 1) if narrow else 0)
    figure = Figure(figsize=(whole, down))
    draw_title(figure, title, "bars: 95 % t intervals" if table["low"].notna().any() else "one seed: no interval")
    for i, cost in enumerate(costs):
        row, place = divmod(i, columns)
        axes = place_axes(figure, LEFT + place * (width + GAP), top + row * pitch, width, HEIGHT, grid="y")
        _cost_panel(axes, tables[i], cost, ylim, frame[0], colours)
        axes.tick_params(axis="y", labelleft=place == 0, length=0)
        axes.set_ylabel("" if place else f"test {metric.scale.label}")
        for name, box in zip(tables[i]["variant"], boxes[i] or [], strict=False):
            if not legend:
                at = (box.left + 1, (box.bottom + box.top) / 2)
                axes.annotate(name, at, xycoords="axes points", va="center", fontsize=SMALL)
    if legend:
        draw_legend(figure, 0.3, LEFT, legend, markers(colours))
    return figure


def _draw_prior(
    axes: Axes, edges: Sequence[tuple[float, float]], name: str, constant: float, written: str, beyond: bool
) -> None:
    if not beyond:
        draw_line(axes, edges, constant, SOFT, 0.9, linestyle=(0, (1.5, 1.5)))
        annotate_above(axes, constant, f"{name} {written}")
        return
    left, right = axes.get_xlim()
    low = constant < left
    text = f"← {name} {written}" if low else f"{name} {written} →"
    annotate_above(axes, left if low else right, text, ha="left" if low else "right")


def _summary_text(summary: Summary, metric: Metric) -> str:
    if not summary.n:
        return "no finished run"
    written = metric.scale.format
    if summary.interval is None:
        return f"{written(summary.mean)} (no interval)"
    low, high = summary.interval
    return f"{written(summary.mean)} ({written(low)} to {written(high)})"


def _log_axis_limits(values: pd.Series) -> tuple[float, float]:
    """The limits of a logarithmic axis, at least a factor of three apart."""
    low, high = values.min(), values.max()
    if not low > 0:  # there are no values
        return 1.0, 10.0
    factor = max(3 * low / high, 1) ** 0.5 * (high / low) ** 0.1 * 1.1
    return low / factor, high * factor


def _shown_costs(table: pd.DataFrame) -> list[str]:
    """The costs that the variants do not share; the time if they share all."""
    return [cost for cost in COSTS if _differs(table[cost].astype(float))] or ["train_s"]


def _differs(values: pd.Series) -> bool:
    """Whether a cost differs between variants by more than a hundredth."""
    return values.max() > 1.01 * values.min()


def _side_by_side(table: pd.DataFrame, cost: str, width: float) -> pd.DataFrame:
    """The table with ``at``: where points are drawn on a logarithmic axis ``width`` points wide, so that bars part."""
    low, high = np.log(_log_axis_limits(table[cost]))
    shown = spread_apart(width * (np.log(table[cost]) - low) / (high - low), BESIDE, 3, width - 3)
    return table.assign(at=np.exp(low + shown / width * (high - low)))


def _marks(table: pd.DataFrame, cost: str, ylim: tuple[float, float], frame: tuple[float, float]) -> list[Mark]:
    """The positions of the variants' points and intervals, in points from the lower left corner."""
    low, high = np.log(_log_axis_limits(table[cost]))
    x = frame[0] * (np.log(table["at"]) - low) / (high - low)
    y, bottom, top = (frame[1] * (table[c] - ylim[0]) / (ylim[1] - ylim[0]) for c in ("mean", "low", "high"))
    return [Mark(a, b, Box(a - 3, np.fmin(b - 3, c), a + 3, np.fmax(b + 3, d)))
            for a, b, c, d in zip(x, y, bottom, top, strict=True)]  # fmt: skip


def _cost_panel(
    axes: Axes,
    table: pd.DataFrame,
    cost: str,
    ylim: tuple[float, float],
    width: float,
    colours: Mapping[str, str],
) -> None:
    """Draws the points of a panel, ``width`` points wide, and its logarithmic axis."""
    shapes = markers(colours)
    for row in table.to_dict("records"):
        variant = row["variant"]
        look: dict[str, Any] = {"color": colours[variant], "zorder": 3}
        axes.vlines(row["at"], row["low"], row["high"], linewidth=1.2, **look)
        axes.plot([row["at"]], [row["mean"]], shapes[variant], markersize=4.8, markeredgewidth=0, gid="mean", **look)
    axes.set(xscale="log", xlim=_log_axis_limits(table[cost]), ylim=ylim, xlabel=worded(COSTS[cost]))
    axes.xaxis.set_major_locator(FixedLocator(_log_ticks(*axes.get_xlim(), width)))
    axes.xaxis.set_major_formatter(magnitude_formatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="x", which="minor", length=0)


def _log_ticks(low: float, high: float, width: float) -> list[float]:
    """The ticks of a logarithmic axis whose labels do not touch.

    Args:
        low: The axis's lower end.
        high: Its upper end.
        width: Its width in points.
    """
    written, ticks = magnitude_formatter(), list[float]()
    for multiples in TICKS:
        powers = [10.0**n for n in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]
        ticks = [tick for power in powers for one in multiples if low <= (tick := one * power) <= high]
        at = [width * math.log(tick / low) / math.log(high / low) for tick in ticks]
        wide = [72 * text_width(written(tick)) + LABEL_GAP for tick in ticks]
        if all(b - a >= (v + w) / 2 for a, b, v, w in zip(at, at[1:], wide, wide[1:], strict=False)):
            break
    return ticks
