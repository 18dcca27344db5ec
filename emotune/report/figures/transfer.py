"""The transfer matrix, and the declared contrasts on other data sets."""

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from emotune.analysis.transfer import Transfer
from emotune.config.metric import Metric
from emotune.report.figures.contrasts import transfer_forest
from emotune.report.figures.entry import FigureEntry, for_both_widths
from emotune.report.figures.layout import colour_bar, draw_title, place_axes, text_width, wrap_name
from emotune.report.figures.style import INK, SMALL, STYLE, full_width
from emotune.report.results import StudyResults
from emotune.report.transfer_report import MatrixRow, matrix_rows

__all__ = ["transfer_figures", "transfer_matrix"]

ROW = 0.27
"""Inches."""
EDGE, GAP = 0.08, 0.1
DARK = 0.62
"""The share of the colour bar's half beyond which numbers are white."""


def transfer_figures(results: StudyResults) -> Iterator[FigureEntry]:
    """The figures on other data sets; none before a run has been tested."""
    transfer = results.transfer
    if transfer is None or not any(one.images for one in transfer.on):
        return
    rows = [row for row in matrix_rows(results) if any(summary.n for summary in row.cells.values())]
    metric = transfer.metric
    texts = [
        f"{row.name} trained on {row.trained_on}: "
        + ", ".join(f"{metric.scale.format(s.mean)} on {name}" for name, s in row.cells.items() if s.n)
        for row in rows
    ]  # fmt: skip
    yield for_both_widths(
        "transfer",
        partial(transfer_matrix, rows, metric),
        f"Test {metric.scale.label}: mean over seeds, on the own test images (framed) and on other data sets. Colours: "
        f"how much better than always answering the most frequent class of the images. Columns with other classes must "
        "not be compared; the table beside it has the own test images in the same classes.",
        f"Transfer matrix of test {metric.scale.label}: {'; '.join(texts)}",
    )
    if any(one.contrasts for one in transfer.on):
        yield for_both_widths(
            "transfer-contrasts",
            partial(_forest, transfer),
            "Declared contrasts on other data sets. Dots: seeds. Bars: means with 95 % intervals for all contrasts and "
            "other data sets together; grey bars without seeds: the same contrasts on the own test images in the same "
            f"classes. Grey band: ±{metric.scale.format_amount(metric.min_effect)}.",
            "Forest plot of the declared contrasts on other data sets; the table lists the numbers",
        )


def _forest(transfer: Transfer, *, narrow: bool = False) -> Figure:
    groups = [
        (f"{one.test.name}, trained on {one.test.trained_on}", [(c.there, c.own) for c in one.contrasts])
        for one in transfer.on
    ]
    return transfer_forest([group for group in groups if group[1]], transfer.metric, narrow=narrow)


@rc_context(STYLE)
def transfer_matrix(rows: Sequence[MatrixRow], metric: Metric, *, narrow: bool = False) -> Figure:
    """The mean of each variant on each data set, coloured by how much better it is than the most frequent class.

    Args:
        rows: The rows.
        metric: The metric.
        narrow: Whether the figure is for a narrow screen.
    """
    several = len({row.trained_on for row in rows}) > 1
    names = list(dict.fromkeys([*(row.trained_on for row in rows), *(name for row in rows for name in row.cells)]))
    labels = [wrap_name(f"{row.name}, {row.trained_on}" if several else row.name, 18 if narrow else 30) for row in rows]
    whole = full_width(narrow=narrow)
    left = EDGE + GAP + max(text_width(line) for label in labels for line in label.split("\n"))
    width = min(whole - left - EDGE, 1.3 * len(names))
    heads = [wrap_name(name, max(6, int(width / len(names) / 0.066))) for name in names]
    lines = max(head.count("\n") + 1 for head in heads)
    heights = [ROW + 0.12 * label.count("\n") for label in labels]
    top, height = (0.78 if narrow else 0.42) + 0.13 * lines, sum(heights)
    figure = Figure(figsize=(whole, top + height + 0.1))
    draw_title(figure, "Transfer matrix", "" if narrow else f"test {metric.scale.label}")
    axes = place_axes(figure, left, top, width, height)
    axes.set(xlim=(0, len(names)), ylim=(height, 0))
    axes.spines[:].set_visible(False)
    gains = np.array([[_gain(row, name, metric) for name in names] for row in rows])
    finite = np.abs(gains[np.isfinite(gains)])  # a loss may be infinite
    most = max(1e-9, float(finite.max())) if len(finite) else 1.0
    image = ScalarMappable(Normalize(-most, most), "RdBu")
    y = 0.0
    for row, of_row, tall in zip(rows, gains, heights, strict=True):
        for x, (name, gain) in enumerate(zip(names, of_row, strict=True)):
            if name in row.cells and row.cells[name].n:
                text, share = metric.scale.format(row.cells[name].mean), float(np.clip(gain / most, -1, 1))
                _draw_cell(axes, (x, y, tall), text, share, image, own=name == row.trained_on)
        y += tall
    centres = np.cumsum(heights) - np.array(heights) / 2
    axes.set_yticks(centres, labels)
    axes.set_xticks(np.arange(len(names)) + 0.5, heads)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    units = metric.scale.difference_units
    colour_bar(
        figure,
        image,
        f"better than most frequent class, {units}" if not narrow else units,
        top=0.38 if narrow else 0.12,
    )
    return figure


def _gain(row: MatrixRow, name: str, metric: Metric) -> float:
    if name not in row.cells or not row.cells[name].n or name not in row.constants:
        return math.nan
    gain = row.cells[name].mean - row.constants[name]
    return gain if metric.scale.higher_is_better else -gain


def _draw_cell(axes: Any, place: tuple[float, float, float], text: str, share: float, image: Any, *, own: bool) -> None:
    x, y, tall = place
    colour = "none" if math.isnan(share) else image.cmap((share + 1) / 2)
    axes.add_patch(Rectangle((x + 0.02, y + 0.015), 0.96, tall - 0.03, facecolor=colour, linewidth=1.2 if own else 0,
                             edgecolor=INK if own else "none"))  # fmt: skip
    on_colour = not math.isnan(share)
    ink = ("white" if abs(share) > DARK else "#222221") if on_colour else INK  # the last one follows a dark page
    axes.text(x + 0.5, y + tall / 2, text, ha="center", va="center", color=ink, fontsize=SMALL + 1)
