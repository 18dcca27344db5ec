"""Learning curves: accuracy or concordance, and attention entropy, by epoch."""

import math
from collections.abc import Mapping
from typing import cast

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import offset_copy
from scipy import stats

from emotune.analysis.verdict import ALPHA
from emotune.core.sample_noun import worded
from emotune.report.figures.layout import (
    axis_limits,
    draw_title,
    place_axes,
    seed_count_text,
    spread_apart,
    text_width,
    wrap_name,
)
from emotune.report.figures.style import INK, SMALL, SOFT, STYLE, full_width, line_styles

__all__ = ["attention_entropy", "concordance_curves", "learning_curves"]

HEIGHT, LEFT, GAP = 2.3, 0.56, 0.22
BETWEEN = 0.75
"""Inches between two rows of axes."""
NAME_LETTERS = 18
SHORT = 3
"""Curves of up to so many epochs have dots: a line needs two epochs to be seen."""
MOST_VECTOR_LINES = 200
"""The lines of more runs are drawn as pixels: a thousand vector lines would take 1.4 MB a panel."""


@rc_context(STYLE)
def learning_curves(title: str, curves: pd.DataFrame, colours: Mapping[str, str], *, narrow: bool = False) -> Figure:
    """The training and validation accuracy by epoch: every seed, the mean and its 95 % t interval.

    Args:
        title: The data set's title.
        curves: ``variant, seed, epoch, train_accuracy, val_accuracy`` of one data set; a NaN interrupts its line.
        colours: The colours of all variants.
        narrow: Whether the figure is for a narrow screen.
    """
    panels = {
        "train_accuracy": worded("training images (as they are trained on)"),
        "val_accuracy": worded("validation images"),
    }
    means = {column: _means_and_intervals(curves, column) for column in panels}
    drawn_variants = set(curves["variant"].unique())
    shown = [variant for variant in colours if variant in drawn_variants]
    texts = {variant: wrap_name(variant, NAME_LETTERS) for variant in shown}
    columns = 1 if narrow else 2
    figure, right = _figure(title, curves, texts, rows=len(panels) // columns, narrow=narrow)
    width = (full_width(narrow=narrow) - LEFT - GAP * (columns - 1) - right) / columns
    values = curves[list(panels)].to_numpy().ravel()
    low, high = axis_limits(values, np.ravel([table[["low", "high"]] for table in means.values()]), 10)
    limits = max(low, -2.0), min(high, 102.0)
    for i, (column, heading) in enumerate(panels.items()):
        row, place = divmod(i, columns)
        top = 0.52 + row * (_height(texts) + BETWEEN)
        axes = place_axes(figure, LEFT + place * (width + GAP), top, width, _height(texts), grid="y")
        _draw_curves(axes, curves, means[column], column, colours, limits)
        axes.set_title(heading, fontsize=SMALL, color=SOFT, loc="left", pad=5)
        axes.tick_params(axis="y", labelleft=place == 0, length=0)
        axes.set_ylabel("" if place else "accuracy, %")
        if place == columns - 1:
            _label_line_ends(figure, axes, means[column], texts, colours)
    return figure


@rc_context(STYLE)
def concordance_curves(title: str, curves: pd.DataFrame, colours: Mapping[str, str], *, narrow: bool = False) -> Figure:
    """The concordance correlation of validation images by epoch: every seed, the mean and its 95 % t interval.

    Args:
        title: The data set's title.
        curves: ``variant, seed, epoch, val_ccc`` of one data set.
        colours: The colours of all variants.
        narrow: Whether the figure is for a narrow screen.
    """
    means = _means_and_intervals(curves, "val_ccc")
    drawn_variants = set(curves["variant"].unique())
    texts = {variant: wrap_name(variant, NAME_LETTERS) for variant in colours if variant in drawn_variants}
    figure, right = _figure(title, curves, texts, narrow=narrow)
    left = LEFT + 0.12  # room for a minus sign
    axes = place_axes(figure, left, 0.36, full_width(narrow=narrow) - left - right, _height(texts) + 0.16, grid="y")
    limits = axis_limits(curves["val_ccc"], means[["low", "high"]].to_numpy(), 0.1, (-1.0, 1.0))
    _draw_curves(axes, curves, means, "val_ccc", colours, limits)
    axes.set_ylabel(worded("CCC of validation images"))
    _label_line_ends(figure, axes, means, texts, colours)
    return figure


@rc_context(STYLE)
def attention_entropy(
    title: str,
    curves: pd.DataFrame,
    colours: Mapping[str, str],
    positions: Mapping[str, int],
    *,
    narrow: bool = False,
) -> Figure:
    """The entropy of the attention weights by epoch, with that of uniform weights for each number of positions.

    Each name is followed by the effective number of positions at the last epoch, exp(entropy).

    Args:
        title: The data set's title.
        curves: ``variant, seed, epoch, attention_entropy`` (nats) of one data set; NaN for variants without attention.
        colours: The colours of all variants.
        positions: The number of positions that a variant's attention weights, for each variant with attention.
        narrow: Whether the figure is for a narrow screen.
    """
    curves = curves[curves["variant"].isin(curves.loc[curves["attention_entropy"].notna(), "variant"].unique())]
    means = _means_and_intervals(curves, "attention_entropy")
    last = means.dropna(subset=["mean"]).groupby("variant")["mean"].last()
    shown = [variant for variant in colours if variant in last.index]
    texts = {v: f"{wrap_name(v, NAME_LETTERS)}\n≈ {math.exp(last[v]):.1f} of {positions[v]} positions" for v in shown}
    if not shown:
        draw_title(figure := Figure(figsize=(full_width(narrow=narrow), 0.6)), title, "no network with attention")
        return figure
    figure, right = _figure(title, curves, texts, narrow=narrow)
    axes = place_axes(figure, LEFT, 0.36, full_width(narrow=narrow) - LEFT - right, _height(texts) + 0.16, grid="y")
    uniform = {count: math.log(count) for count in sorted({positions[v] for v in shown})}
    shown_values = np.append(curves["attention_entropy"], list(uniform.values()))
    low, high = axis_limits(shown_values, means[["low", "high"]].to_numpy(), 0.05)
    _draw_curves(axes, curves, means, "attention_entropy", colours, (low, high + 0.06 * (high - low)))
    for count, entropy in uniform.items():
        axes.axhline(entropy, color=INK, linewidth=0.8, linestyle=(0, (1.5, 1.5)))
        text, across = f"uniform weights: log {count} = {entropy:.2f}", axes.get_yaxis_transform()
        axes.annotate(text, (0, entropy), xycoords=across, xytext=(3, 3), textcoords="offset points", va="bottom",
                      fontsize=SMALL, color=SOFT)  # fmt: skip
    axes.set_ylabel("entropy of the weights, nats")
    _label_line_ends(figure, axes, means, texts, colours)
    return figure


def _lines(texts: Mapping[str, str]) -> int:
    return max((text.count("\n") + 1 for text in texts.values()), default=1)


def _height(texts: Mapping[str, str]) -> float:
    """The height of the axes in inches, with room for the names at their right."""
    return max(HEIGHT, len(texts) * (0.135 * _lines(texts) + 0.04))


def _figure(
    title: str, curves: pd.DataFrame, texts: Mapping[str, str], rows: int = 1, *, narrow: bool
) -> tuple[Figure, float]:
    """A figure with a title for rows of axes, and the width in inches that the names take at its right."""
    height = rows * (_height(texts) + BETWEEN) - BETWEEN
    figure = Figure(figsize=(full_width(narrow=narrow), height + 0.98))
    seeds = curves.groupby("variant")["seed"].nunique()
    draw_title(figure, title, seed_count_text(seeds) + "; bands: 95 % t intervals" * bool((seeds > 2).any()))
    return figure, 0.3 + max(map(text_width, texts.values()), default=0)


def _means_and_intervals(curves: pd.DataFrame, column: str) -> pd.DataFrame:
    """The ``mean`` of each variant and epoch over seeds, with ``low`` and ``high`` of its 95 % t interval.

    If the value of a seed is missing, the mean is omitted because it would jump. The interval of two seeds is omitted
    because it would cover everything else: it spans 12.7 standard errors, which change from epoch to epoch.
    """
    table = curves.groupby(["variant", "epoch"])[column].agg(["mean", "sem", "count", "size"]).reset_index()
    table["mean"] = table["mean"].where(table["count"] == table["size"])
    half = table["sem"].where(table["count"] > 2) * stats.t.ppf(1 - ALPHA / 2, np.maximum(table["count"] - 1, 1))
    return table.assign(low=table["mean"] - half, high=table["mean"] + half)


def _draw_curves(axes: Axes, curves: pd.DataFrame, means: pd.DataFrame, column: str, colours: Mapping[str, str],
          limits: tuple[float, float]) -> None:  # fmt: skip
    lines, last = line_styles(colours), curves["epoch"].max()
    shorts = curves.groupby("variant")["epoch"].max() <= SHORT
    _draw_seeds(axes, curves, column, colours)
    for variant, colour in colours.items():
        is_short, mean = shorts.get(variant, False), means[means["variant"] == variant]
        if is_short:
            points = curves.loc[curves["variant"] == variant, ["epoch", column]].to_numpy().T
            axes.plot(*points, "o", color=colour, alpha=0.3, markersize=2.5, clip_on=False)
        axes.fill_between(mean["epoch"], mean["low"], mean["high"], color=colour, alpha=0.12, linewidth=0)
        if last == 1:
            axes.vlines(mean["epoch"], mean["low"], mean["high"], color=colour, linewidth=1.2)
        axes.plot(mean["epoch"], mean["mean"], color=colour, linewidth=1.5, linestyle=lines[variant],
                  marker="o" if is_short else None, markersize=3.5, clip_on=not is_short, gid="mean")  # fmt: skip
    axes.set(xlim=(1, last) if last > SHORT else (0.5, last + 0.5), ylim=limits, xlabel="epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, nbins=6))


def _draw_seeds(axes: Axes, curves: pd.DataFrame, column: str, colours: Mapping[str, str]) -> None:
    """Draws a faint line for each run, all as one artist: a thousand lines take as long as everything else."""
    runs = curves[curves["variant"].isin(list(colours))]
    rows_of = cast("dict[tuple[str, int], np.ndarray]", runs.groupby(["variant", "seed"]).indices)
    points = runs[["epoch", column]].to_numpy(float)
    axes.add_collection(
        LineCollection([points[rows] for rows in rows_of.values()], colors=[colours[v] for v, _ in rows_of], alpha=0.3,
                       linewidths=0.6, capstyle="butt", gid="seeds", rasterized=len(rows_of) > MOST_VECTOR_LINES),
        autolim=False,
    )  # fmt: skip


def _label_line_ends(
    figure: Figure, axes: Axes, means: pd.DataFrame, texts: Mapping[str, str], colours: Mapping[str, str]
) -> None:
    """Writes each variant's name after its last value, with a sample of its line."""
    height = 72 * axes.get_position().height * figure.get_size_inches()[1]
    low, high = axes.get_ylim()
    last_points = means.dropna(subset=["mean"]).groupby("variant")[["epoch", "mean"]].last()
    shown = {variant: text for variant, text in texts.items() if variant in last_points.index}
    points = (last_points["mean"] - low) / (high - low) * height
    at = spread_apart([points[v] for v in shown], 9.72 * _lines(shown) + 2.5, 0, height)
    for (variant, text), y in zip(shown.items(), at, strict=True):
        ends_here = last_points["epoch"][variant] == axes.get_xlim()[1]
        look = (1.2, line_styles(colours)[variant]) if ends_here else (0.5, (0, (1, 2)))
        line = dict(zip(("linewidth", "linestyle"), look, strict=True))
        colour = colours[variant] if ends_here else SOFT  # this line is no part of a curve that has ended
        point = (last_points["epoch"][variant], last_points["mean"][variant])
        axes.annotate(
            text, point, xytext=(1, y / height), va="center", linespacing=1.2,
            textcoords=offset_copy(axes.transAxes, figure, 16, 0, "points"), annotation_clip=False,
            arrowprops={"arrowstyle": "-", "shrinkA": 1, "shrinkB": 1, "relpos": (0, 0.5), "color": colour, **line},
        )  # fmt: skip
