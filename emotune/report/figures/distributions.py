"""The true and the predicted distributions over classes, as means over the images of each class."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure

from emotune.analysis.distribution_diagnostics import ALL, TRUE, mean_distributions
from emotune.analysis.prediction_arrays import shares_of
from emotune.core.sample_noun import worded
from emotune.report.figures.entry import FigureEntry, for_both_widths
from emotune.report.figures.layout import (
    LEGEND_ROW_HEIGHT,
    draw_legend,
    draw_title,
    legend_rows,
    place_axes,
    text_width,
)
from emotune.report.figures.style import INK, SMALL, SOFT, STYLE, full_width, markers

__all__ = ["distribution_figures", "mean_distribution_panels"]

GAP, ROW, EDGE = 0.16, 0.135, 0.1
"""Inches; ROW is the height of a class in a panel."""
LEAST_WIDTH = 1.05
"""Inches: the least width of a panel."""


def distribution_figures(
    dataset: str,
    title: str,
    predictions: Mapping[str, Mapping[int, pd.DataFrame]],
    scope: str,
    colours: Mapping[str, str],
) -> Iterator[FigureEntry]:
    """The figures of predicted distributions; none if classes are predicted.

    Args:
        dataset: The data set's name.
        title: Its title.
        predictions: The predictions by variant and seed.
        scope: The data set and the number of seeds, for captions.
        colours: The colours of the variants.
    """
    if shares_of(next(frame for by_seed in predictions.values() for frame in by_seed.values())) is None:
        return
    means = mean_distributions(predictions)
    yield for_both_widths(
        f"distributions-{dataset}",
        partial(mean_distribution_panels, title, means, colours),
        f"{scope}. Mean share of each class over all test {worded('images')}, and over those of each leading class, to "
        f"which most votes went (the first of several); the number of {worded('images')} in brackets. Bars: votes. "
        "Marks: predictions, mean over seeds.",
        f"Mean true and predicted distributions on {dataset}, by the class with the most votes",
    )


@rc_context(STYLE)
def mean_distribution_panels(
    title: str, means: pd.DataFrame, colours: Mapping[str, str], *, narrow: bool = False
) -> Figure:
    """A panel for the images of each class: bars for the true shares, and a mark for each variant's predictions.

    Args:
        title: The data set's title.
        means: See `emotune.analysis.distribution_diagnostics.mean_distributions`.
        colours: The colours of the variants.
        narrow: Whether the figure is for a narrow screen.
    """
    labels, panels = list(dict.fromkeys(means["label"])), list(dict.fromkeys(means["of"]))
    whole, left = full_width(narrow=narrow), 0.14 + max(text_width(label) for label in labels)
    columns = max(1, min(5, len(panels), int((whole - left - EDGE + GAP) / (LEAST_WIDTH + GAP))))
    width = (whole - left - EDGE + GAP) / columns - GAP
    shapes, shown = markers(colours), {v: colours[v] for v in colours if v in set(means["who"])}
    top = 0.32 + LEGEND_ROW_HEIGHT * len(legend_rows(shown, whole - left)) + 0.3
    height, pitch = ROW * len(labels), ROW * len(labels) + 0.52
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(whole, top + pitch * (rows - 1) + height + 0.42))
    draw_title(figure, title, "bars: votes; marks: predictions")
    draw_legend(figure, 0.32, left, shown, shapes)
    most = 1.08 * means["share"].max()
    for i, of in enumerate(panels):
        table = means[means["of"] == of]
        axes = place_axes(
            figure, left + i % columns * (width + GAP), top + i // columns * pitch, width, height, grid="x"
        )
        by_who = {who: part.set_index("label")["share"][labels] for who, part in table.groupby("who", sort=False)}
        axes.barh(range(len(labels)), by_who[TRUE], height=0.8, color=SOFT, alpha=0.35, linewidth=0)
        for number, (variant, colour) in enumerate(shown.items()):
            look: dict[str, Any] = {"color": colour, "marker": shapes[variant], "linestyle": "", "markersize": 3.4}
            shift = 0.5 * ((number + 0.5) / len(shown) - 0.5)  # marks at the same place would hide each other
            axes.plot(
                by_who[variant], [row + shift for row in range(len(labels))], **look, markeredgewidth=0, clip_on=False
            )
        axes.set(xlim=(0, most), ylim=(len(labels) - 0.4, -0.6))
        axes.set_yticks(range(len(labels)), labels if i % columns == 0 else [])
        axes.tick_params(axis="y", length=0, labelcolor=INK)
        axes.tick_params(axis="x", labelsize=SMALL)
        axes.locator_params(axis="x", nbins=4)
        images = int(table["images"].iloc[0])
        axes.set_title(f"{worded(of) if of == ALL else of} ({images:,})", loc="left", fontsize=SMALL, pad=3)
        if i + columns >= len(panels):
            axes.set_xlabel("mean share, %", fontsize=SMALL)
    return figure
