"""Recall by class and confusion matrices."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from emotune.config.scale import with_minus
from emotune.core.sample_noun import worded
from emotune.report.figures.layout import (
    LEGEND_ROW_HEIGHT,
    axis_limits,
    colour_bar,
    draw_legend,
    draw_title,
    legend_rows,
    place_axes,
    seed_count_text,
    text_width,
    wrap_name,
)
from emotune.report.figures.style import GRID, INK, SIZE, SMALL, SOFT, STYLE, full_width, markers

__all__ = ["confusion_differences", "confusion_matrices", "recall"]

EDGE, GAP = 0.08, 0.12
"""Inches."""
APART = 0.3
"""Inches between the axes of recalls and of their differences, whose tick labels reach beyond them."""
LEGIBLE = 0.2
"""The smallest cell, in inches, in which a number is written."""
MOST_VECTOR_CLASSES = 12
"""Matrices of more classes are drawn as pixels: 25 classes would take 625 vector squares, 200 kB a matrix."""


@rc_context(STYLE)
def recall(
    title: str,
    recalls: pd.DataFrame,
    differences: pd.DataFrame,
    baseline: str,
    colours: Mapping[str, str],
    *,
    narrow: bool = False,
) -> Figure:
    """The recall of each class by variant, every seed and the mean, beside the differences from the baseline.

    Args:
        title: The data set's title.
        recalls: The recall in per cent: ``variant, seed, label, recall``.
        differences: The differences from the baseline in points, by ``variant, label``: ``n, mean, low, high``.
        baseline: The baseline's name.
        colours: The colours of all variants.
        narrow: Whether the figure is for a narrow screen.
    """
    differences = differences.astype({"mean": float, "low": float, "high": float})  # None where there is one seed
    shapes, labels = markers(colours), list(dict.fromkeys(recalls["label"]))
    recorded = set(recalls["variant"])
    shown = {v: colours[v] for v in colours if v in recorded}
    pitch = max(0.06, min(0.11, 12 / len(shown) / len(labels)))
    block = max(pitch * len(shown) + 0.1, 0.16)
    left = 0.2 + max(map(text_width, labels))
    whole, columns = full_width(narrow=narrow), 1 if narrow else 2
    top = 0.36 + LEGEND_ROW_HEIGHT * len(legend_rows(shown, whole - left)) + 0.2
    width = (whole - left - 0.1 - APART * (columns - 1)) / columns
    pitch_down = block * len(labels) + 0.72  # from the upper axes of a narrow figure to the lower
    against = wrap_name(f"difference from {baseline}, points", int(width / 0.075))
    height = block * len(labels) + (pitch_down if narrow else 0)
    figure = Figure(figsize=(whole, top + height + 0.46 + 0.14 * against.count("\n")))
    draw_title(figure, title, seed_count_text(recalls.groupby("variant")["seed"].nunique()))
    draw_legend(figure, 0.32, left, shown, shapes)
    row = {v: 0.05 + pitch * (i + 0.5) for i, v in enumerate(shown)}
    at = {label: i * block + (block - pitch * len(shown) - 0.1) / 2 for i, label in enumerate(labels)}
    axes = [
        place_axes(figure, left + i % columns * (width + APART), top + i // columns * pitch_down, width,
                   block * len(labels), grid="x")
        for i in range(2)
    ]  # fmt: skip
    for variant, colour in shown.items():
        heights = {label: at[label] + row[variant] for label in labels}
        seeds, means = (table[table["variant"] == variant] for table in (recalls, differences))
        _draw_recalls(axes, heights, seeds, means, colour, shapes[variant])
    least, most = axis_limits(recalls["recall"], [], 20)
    limits = axis_limits([0, *differences["mean"]], [*differences["low"], *differences["high"]], 10)
    axes[0].set(xlim=(max(least, -2), min(most, 102)), xlabel="recall, %", yticks=[])
    axes[1].set(xlim=limits, xlabel=against, yticks=[])
    axes[1].axvline(0, color=INK, linewidth=0.8, zorder=1)
    _class_rows(axes[0], labels, block)
    _class_rows(axes[1], labels if narrow else [""] * len(labels), block)
    for panel, text in zip(axes, ("dots: seeds; marks: means", "means and 95 % t intervals"), strict=True):
        panel.set_title(text, fontsize=SMALL, color=SOFT, loc="left", pad=4)
    return figure


def _draw_recalls(
    axes: Sequence[Axes],
    heights: Mapping[str, float],
    recalls: pd.DataFrame,
    differences: pd.DataFrame,
    colour: str,
    marker: str,
) -> None:
    """Draws a variant's seeds and means into the first axes, its differences into the second.

    Args:
        axes: The two axes.
        heights: The height at which the variant is drawn, by class.
        recalls: The variant's recalls, see `recall`.
        differences: Its differences from the baseline.
        colour: Its colour.
        marker: Its marker.
    """
    look: dict[str, Any] = {
        "color": colour, "marker": marker, "linestyle": "", "markersize": 4.2, "markeredgewidth": 0,
    }  # fmt: skip
    axes[0].plot(recalls["recall"], recalls["label"].map(heights), "o", color=colour, alpha=0.4, markersize=2.6,
                 markeredgewidth=0, clip_on=False, gid="seeds")  # fmt: skip
    mean = recalls.groupby("label")["recall"].mean()
    axes[0].plot(mean, mean.index.map(heights), clip_on=False, **look)
    y = differences["label"].map(heights)
    axes[1].hlines(y, differences["low"], differences["high"], color=colour, linewidth=1.2)
    axes[1].plot(differences["mean"], y, **look)


@rc_context(STYLE)
def confusion_matrices(
    title: str, shares: Mapping[str, pd.DataFrame], seeds: Mapping[str, int], *, narrow: bool = False
) -> Figure:
    """The confusion matrix of each variant over all seeds, in per cent of each label's test images.

    Args:
        title: The data set's title.
        shares: The matrix of each variant: labels (rows) by predicted classes (columns), in per cent.
        seeds: The number of seeds of each variant.
        narrow: Whether the figure is for a narrow screen.
    """
    notes = {variant: seed_count_text([seeds[variant]]) for variant in shares}
    texts = {
        variant: table.map(lambda share: f"{share:.0f}" if share >= 0.5 else "") for variant, table in shares.items()
    }
    look = {"vmin": 0, "vmax": 100, "cmap": "Blues"}
    return _matrices(title, shares, texts, notes, look, worded("% of the label's images"), narrow=narrow)


@rc_context(STYLE)
def confusion_differences(
    title: str, shares: Mapping[str, pd.DataFrame], baseline: str, *, narrow: bool = False
) -> Figure:
    """Each variant's confusion matrix minus the baseline's, in points.

    Args:
        title: The data set's title.
        shares: The matrix of each variant and of the baseline, see `confusion_matrices`.
        baseline: The baseline's name.
        narrow: Whether the figure is for a narrow screen.
    """
    differences = {v: table - shares[baseline] for v, table in shares.items() if v != baseline}
    most = max((np.nanmax(np.abs(d.to_numpy())) for d in differences.values() if d.notna().any(axis=None)), default=1)
    texts = {
        v: d.map(lambda points: with_minus(f"{points:+.0f}") if abs(points) >= 1 else "")
        for v, d in differences.items()
    }
    most = max(most, 1.0)
    look = {"vmin": -most, "vmax": most, "cmap": "RdBu_r"}
    notes = dict.fromkeys(differences, f"− {wrap_name(baseline, 40)}")
    return _matrices(title, differences, texts, notes, look, "points", narrow=narrow)


def _class_rows(axes: Axes, labels: list[str], block: float) -> None:
    axes.set_ylim(block * len(labels), 0)
    axes.spines["left"].set_visible(False)
    axes.hlines([block * i for i in range(1, len(labels))], 0, 1, color=GRID, linewidth=0.6,
                transform=axes.get_yaxis_transform())  # fmt: skip
    for i, label in enumerate(labels):
        axes.annotate(label, (0, block * (i + 0.5)), xycoords=axes.get_yaxis_transform(), xytext=(-8, 0),
                      textcoords="offset points", ha="right", va="center")  # fmt: skip


def _matrices(
    title: str,
    tables: Mapping[str, pd.DataFrame],
    texts: Mapping[str, pd.DataFrame],
    notes: Mapping[str, str],
    look: dict,
    unit: str,
    *,
    narrow: bool,
) -> Figure:
    """Heat maps of one size with a common colour bar; labels are at the left and below the last of each column."""
    if not tables:
        figure = Figure(figsize=(full_width(narrow=narrow), 0.6))
        draw_title(figure, title, "no differences: there is only one variant")
        return figure
    classes = list(next(iter(tables.values())).index)
    names = 0.28 + max(text_width(label, SMALL) for label in classes)
    whole = full_width(narrow=narrow)
    room, most = whole - names - EDGE + GAP, max((0.26 if narrow else 0.45) * len(classes), 1.6)
    fitting = [c for c in (3, 2) if room / c - GAP >= 0.1 * len(classes)]
    if narrow:  # numbers are worth more than fewer rows
        fitting = [c for c in fitting if room / c - GAP >= LEGIBLE * len(classes)]
    columns = next(iter(fitting), 1)
    side = min(room / columns - GAP, most)
    heads = {variant: _matrix_title(variant, notes[variant], side) for variant in tables}
    pitch = side + 0.16 + 0.135 * max(text.count("\n") + 1 for text in heads.values())
    top = 0.28 - side + pitch + (0.3 if narrow else 0)
    figure = Figure(figsize=(whole, top + pitch * ((len(tables) - 1) // columns) + side + names + 0.1))
    draw_title(figure, title)
    for i, (variant, table) in enumerate(tables.items()):
        axes = place_axes(figure, names + i % columns * (side + GAP), top + i // columns * pitch, side, side)
        first, lowest = i % columns == 0, i + columns >= len(tables)
        image = _matrix(axes, table, texts[variant], look, side, labels=(first, lowest))
        axes.set_title(heads[variant], loc="left", pad=4, fontsize=SIZE, linespacing=1.2)
        axes.tick_params(length=0, labelsize=SMALL, pad=2)
        soft: dict[str, Any] = {"fontsize": SMALL, "color": SOFT}
        if first:
            middle = axes.get_position().y0 + axes.get_position().height / 2
            figure.text(0.1 / whole, middle, "label", rotation=90, ha="center", va="center", **soft)
        if i == 0:
            colour_bar(figure, image, unit, top=0.38 if narrow else 0.1)
    figure.text(names / whole, 0.05 / figure.get_figheight(), "prediction", color=SOFT, fontsize=SMALL)
    return figure


def _matrix(
    axes: Axes, table: pd.DataFrame, texts: pd.DataFrame, look: dict, side: float, *, labels: tuple[bool, bool]
) -> ScalarMappable:
    """Draws a heat map, with numbers if they are legible, and ``labels`` at the left and below."""
    classes, (left, below) = list(table.index), labels
    if len(classes) <= MOST_VECTOR_CLASSES:
        sns.heatmap(table, **look, ax=axes, cbar=False, annot=texts if side / len(classes) >= LEGIBLE else None, fmt="",
                    annot_kws={"size": SMALL}, xticklabels=False, yticklabels=False)  # fmt: skip
        axes.set(xlabel="", ylabel="")
    else:
        cells = np.kron(table.to_numpy(), np.ones((8, 8)))  # large pixels, because some viewers smooth small ones
        axes.imshow(cells, **look, interpolation="none", aspect="auto", extent=(0, len(classes), len(classes), 0))
        axes.spines[:].set_visible(False)
    ticks = np.arange(len(classes)) + 0.5  # set here: seaborn would draw the figure to see whether labels overlap
    axes.set_xticks(ticks if below else [], classes if below else [])
    axes.set_yticks(ticks if left else [], classes if left else [], va="center")
    axes.tick_params(axis="x", rotation=90)
    axes.tick_params(axis="y", rotation=0)
    return axes.images[0] if axes.images else axes.collections[0]


def _matrix_title(variant: str, note: str, side: float) -> str:
    whole = f"{variant}, {note}" if note[0].isdigit() else f"{variant} {note}"
    return (
        whole
        if text_width(whole) <= side
        else f"{wrap_name(variant, int(side / 0.07))}\n{wrap_name(note, int(side / 0.07))}"
    )
