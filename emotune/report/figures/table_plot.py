"""Plots laid out like a table: names at the left, marks in the middle, numbers at the right.

On a narrow screen, names and numbers are in a line of their own above the marks.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from emotune.analysis.seeds import Summary
from emotune.report.figures.layout import place_axes, text_width
from emotune.report.figures.style import GRID, INK, SMALL, SOFT, full_width

__all__ = ["TableRow", "annotate_above", "draw_band", "draw_interval", "draw_line", "draw_seeds", "table_plot"]

LINE = 0.135
"""Inches between lines of text."""
EDGE, GAP = 0.06, 0.12
"""Inches from the figure's edge to the text, and from the text to the axes."""
MARKS = 0.29
"""The height in inches of a row's marks below its texts."""
SIDE = 0.18
"""Inches from a narrow figure's edge to the axes, whose tick labels reach beyond them."""


NEAR_END = 0.1
"""The share of the axes beside its ends in which notes are not centred."""


@dataclass(frozen=True)
class TableRow:
    """The texts of a row.

    Attributes:
        label: The text at the left, in one or more lines.
        note: The numbers at the right.
        tag: The text below the numbers, in a colour of its own.
        colour: The colour of the tag.
        heading: Whether the label is the heading of a group of rows, without marks.
        least: The minimum height in inches.
    """

    label: str
    note: str = ""
    tag: str = ""
    colour: str = SOFT
    heading: bool = False
    least: float = 0.36

    @property
    def lines(self) -> int:
        """The number of lines of text."""
        return max(self.label.count("\n") + 1, bool(self.note) + bool(self.tag))

    def height(self, *, narrow: bool) -> float:
        """The height in inches."""
        if self.heading:
            return LINE * self.lines + 0.165
        return LINE * self.lines + MARKS if narrow else max(self.least, LINE * self.lines + 0.07)


def table_plot(
    rows: Sequence[TableRow],
    limits: tuple[float, float],
    label: str,
    *,
    top: float = 0.3,
    bottom: float = 0.42,
    narrow: bool = False,
) -> tuple[Figure, Axes, list[tuple[float, float]]]:
    """A figure with the texts of all rows, to which the caller adds the marks.

    Args:
        rows: The rows from top to bottom.
        limits: The limits of the value axis.
        label: The label of the value axis.
        top: The space above the rows, in inches.
        bottom: The space below the rows, in inches.
        narrow: Whether the figure is for a narrow screen.

    Returns:
        The figure, its axes with y in inches downwards, and the upper and lower edge of each row's marks.
    """
    heights = [row.height(narrow=narrow) for row in rows]
    ends = [sum(heights[: i + 1]) for i in range(len(rows))]
    edges = [(end - height, end) for height, end in zip(heights, ends, strict=True)]
    whole = full_width(narrow=narrow)
    figure = Figure(figsize=(whole, ends[-1] + top + bottom))
    left = EDGE + GAP + max((text_width(row.label) for row in rows if not row.heading), default=0)
    right = EDGE + GAP + max(max(text_width(row.note), text_width(row.tag, weight="bold")) for row in rows)
    left, right = (SIDE, SIDE) if narrow else (left, right)
    width = whole - left - right
    axes = place_axes(figure, left, top, width, ends[-1], grid="x")
    axes.set(xlim=limits, ylim=(ends[-1], 0), xlabel=label, yticks=[])
    axes.spines["left"].set_visible(False)
    beside = (0.0, 1.0) if narrow else (-GAP / width, 1 + GAP / width)
    for row, (begin, end) in zip(rows, edges, strict=True):
        y = begin + LINE * row.lines / 2 + 0.04 if narrow else (begin + end) / 2
        lines = [(row.note, INK, "normal")] * bool(row.note)
        lines += [(row.tag, row.colour, "normal" if row.colour == SOFT else "bold")] * bool(row.tag)
        common: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center"}
        if row.heading:
            bottom_left: dict[str, Any] = common | {"va": "bottom", "weight": "bold"}
            axes.text((EDGE - left) / width, end - 0.05, row.label, **bottom_left)
        else:
            axes.text(beside[0], y, row.label, ha="left" if narrow else "right", linespacing=1.25, **common)
        for i, (text, colour, weight) in enumerate(lines):
            at = y + LINE * (i - (len(lines) - 1) / 2)
            axes.text(beside[1], at, text, color=colour, weight=weight, ha="right" if narrow else "left", **common)
    if narrow:  # lines and bands do not cross texts
        edges = [
            (end if row.heading else begin + LINE * row.lines + 0.04, end)
            for row, (begin, end) in zip(rows, edges, strict=True)
        ]
        axes.grid(visible=False)
        for tick in axes.get_xticks():
            if limits[0] <= tick <= limits[1]:
                draw_line(axes, edges, tick, GRID, 0.6, zorder=0.5)
    return figure, axes, edges


def draw_line(
    axes: Axes, edges: Sequence[tuple[float, float]], x: float, colour: str, width: float, **more: Any
) -> None:
    """Draws an upright line through the marks of all rows, and through no text.

    Args:
        axes: The axes of a `table_plot`.
        edges: The edges of its rows' marks.
        x: The value.
        colour: The colour.
        width: The width in points.
        more: Further arguments of `Axes.vlines`.
    """
    look: dict[str, Any] = {"zorder": 1} | more
    begins, ends = zip(*_stretches(edges), strict=True)
    axes.vlines([x] * len(begins), begins, ends, colors=colour, linewidth=width, **look)


def draw_band(axes: Axes, edges: Sequence[tuple[float, float]], low: float, high: float, **more: Any) -> None:
    """Fills what is between two values behind the marks of all rows, and behind no text; see `draw_line`."""
    for begin, end in _stretches(edges):
        axes.fill_betweenx([begin, end], low, high, linewidth=0, zorder=0, **more)


def _stretches(edges: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The edges of rows, those that touch as one: all rows of a wide figure."""
    found: list[tuple[float, float]] = []
    for begin, end in edges:
        if found and math.isclose(begin, found[-1][1]):
            found[-1] = (found[-1][0], end)
        else:
            found.append((begin, end))
    return found


def draw_seeds(axes: Axes, y: float, values: Sequence[float], colour: str) -> None:
    """Draws a small dot for each seed; an infinite value is an arrow at the edge of the axes."""
    _draw_infinite(axes, y, values, colour)
    values = [value for value in values if math.isfinite(value)]
    axes.plot(values, [y] * len(values), "o", color=colour, alpha=0.55, markersize=3.6, markeredgewidth=0,
              clip_on=False, gid="seeds")  # fmt: skip


def draw_interval(axes: Axes, y: float, summary: Summary, colour: str, marker: str = "o", width: float = 2.0) -> None:
    """Draws the mean and its interval, if it has one; an end outside the axes is an arrow at their edge."""
    if summary.interval:
        left, right = axes.get_xlim()
        low, high = summary.interval
        axes.plot([max(low, left), min(high, right)], [y, y], color=colour, linewidth=width)
        for at, arrow, outside in ((left, "<", low < left), (right, ">", high > right)):
            if outside:
                axes.plot([at], [y], arrow, color=colour, markersize=5, markeredgewidth=0, clip_on=False)
    _draw_infinite(axes, y, [summary.mean], colour)
    if summary.n and math.isfinite(summary.mean):
        axes.plot([summary.mean], [y], marker, color=colour, markersize=6, markeredgecolor=colour, clip_on=False)


def _draw_infinite(axes: Axes, y: float, values: Sequence[float], colour: str) -> None:
    for at, arrow, infinite in zip(axes.get_xlim(), "<>", (-math.inf, math.inf), strict=True):
        if infinite in values:
            axes.plot([at], [y], arrow, color=colour, markersize=5, markeredgewidth=0, clip_on=False, gid="infinite")


def annotate_above(axes: Axes, x: float, text: str, ha: str = "") -> None:
    """Writes a soft note above the axes at a value: centred, or towards the middle from a value near an end."""
    left, right = axes.get_xlim()
    place = (x - left) / (right - left)
    ha = ha or ("left" if place < NEAR_END else "right" if place > 1 - NEAR_END else "center")
    axes.annotate(text, (x, 1), xycoords=axes.get_xaxis_transform(), xytext=(0, 4), textcoords="offset points",
                  ha=ha, va="bottom", fontsize=SMALL, color=SOFT)  # fmt: skip
