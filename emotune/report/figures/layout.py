"""Layout of figures in inches: axes, titles, legends, text widths, and positions without overlap.

Figures are laid out from measured text, not by matplotlib's layout engines: aligned parts stay aligned, and drawing
takes half the time.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.textpath import text_to_path
from matplotlib.ticker import Formatter, FuncFormatter
from numpy.typing import ArrayLike
from scipy.optimize import isotonic_regression

from emotune.report.figures.style import GRID, INK, SIZE, SMALL, SOFT

__all__ = ["LEGEND_ROW_HEIGHT", "axis_limits", "colour_bar", "draw_legend", "draw_title", "legend_rows",
           "magnitude_formatter", "place_axes", "seed_count_text", "spread_apart", "text_width",
           "wrap_name"]  # fmt: skip

LEGEND_ROW_HEIGHT = 0.17
"""Inches."""


def place_axes(
    figure: Figure,
    left: float,
    top: float,
    width: float,
    height: float,
    grid: Literal["", "x", "y", "both"] = "",
    **more: Any,
) -> Axes:
    """Adds axes at a position in inches, measured from the figure's upper left corner.

    Args:
        figure: The figure.
        left: The distance from the figure's left edge.
        top: The distance from the figure's upper edge.
        width: The width without ticks and labels.
        height: The height without ticks and labels.
        grid: The direction of the grid lines: ``x``, ``y``, ``both``, or empty for none.
        more: Further arguments of `Figure.add_axes`.
    """
    w, h = figure.get_size_inches()
    axes = figure.add_axes((left / w, 1 - (top + height) / h, width / w, height / h), **more)
    axes.spines[["top", "right"]].set_visible(False)
    # Ticks are created when the figure is drawn, after the style's context has ended, so their style is set here.
    axes.tick_params(color=SOFT, labelcolor=INK, labelsize=SIZE, width=0.7, length=2.5, pad=2.5)
    if grid:
        axes.grid(axis=grid, color=GRID, linewidth=0.6, linestyle="-")
    return axes


def draw_title(figure: Figure, title: str, note: str = "") -> None:
    """Writes the title at the upper left, cut if it is too long, followed by a softer note if there is room for it."""
    w, h = figure.get_size_inches()
    title = _cut(title, w - 0.12)
    figure.text(0.06 / w, 1 - 0.17 / h, title, weight="bold", va="center")
    left = 0.06 + text_width(title, weight="bold") + 0.12
    if left + text_width(note) < w:
        figure.text(left / w, 1 - 0.17 / h, note, color=SOFT, va="center")


def _cut(title: str, width: float) -> str:
    """The title with an ellipsis in place of what does not fit into a width in inches."""
    if text_width(title, weight="bold") <= width:
        return title
    letters = next(n for n in reversed(range(len(title))) if text_width(f"{title[:n]}…", weight="bold") <= width)
    return f"{title[:letters].rstrip()}…"


def colour_bar(
    figure: Figure, colours: ScalarMappable, unit: str, ticks: Mapping[float, str] | None = None, top: float = 0.1
) -> None:
    """Draws a colour bar at the right, with its unit at the left.

    Args:
        figure: The figure.
        colours: The colours.
        unit: The unit.
        ticks: The texts at values of the bar; None: round numbers.
        top: The distance from the figure's upper edge, in inches.
    """
    bar = place_axes(figure, figure.get_figwidth() - 1.35, top, 1.2, 0.09)
    figure.colorbar(colours, cax=bar, orientation="horizontal").outline.set_visible(False)
    bar.tick_params(labelsize=SMALL, length=0, pad=2, labelcolor=INK)
    if ticks:
        bar.set_xticks(list(ticks), list(ticks.values()))
    else:
        bar.locator_params(nbins=4)
    bar.annotate(unit, (0, 0.5), xycoords="axes fraction", xytext=(-6, 0), textcoords="offset points", ha="right",
                 va="center", fontsize=SMALL, color=SOFT)  # fmt: skip


def draw_legend(figure: Figure, top: float, left: float, colours: Mapping[str, str], shapes: Mapping[str, str]) -> None:
    """Draws a legend of variants, in the rows of `legend_rows`.

    Args:
        figure: The figure.
        top: The distance of the first row from the figure's upper edge, in inches.
        left: The distance of the rows from the figure's left edge, in inches.
        colours: The colours of the variants in the legend.
        shapes: The markers of the variants.
    """
    w, h = figure.get_size_inches()
    for row, names in enumerate(legend_rows(colours, w - left)):
        x, y = left, 1 - (top + LEGEND_ROW_HEIGHT * (row + 0.5)) / h
        for name in names:
            mark: dict[str, Any] = {"color": colours[name], "marker": shapes[name], "markersize": 5, "linestyle": ""}
            figure.add_artist(Line2D([(x + 0.05) / w], [y], transform=figure.transFigure, **mark))
            figure.text((x + 0.14) / w, y, name, va="center_baseline")
            x += _key_width(name)


def legend_rows(names: Iterable[str], width: float) -> list[list[str]]:
    """The names in each row of a legend that is ``width`` inches wide."""
    rows: list[list[str]] = [[]]
    x = 0.0
    for name in names:
        wide = _key_width(name)
        if rows[-1] and x + wide > width:
            rows, x = [*rows, []], 0.0
        rows[-1].append(name)
        x += wide
    return rows


def _key_width(name: str) -> float:
    return 0.14 + text_width(name) + 0.18


def text_width(text: str, size: float = SIZE, weight: str = "normal") -> float:
    """The width of a text's longest line in inches."""
    font = FontProperties(family="DejaVu Sans", size=size, weight=weight)
    return (
        max(text_to_path.get_text_width_height_descent(line, font, ismath=False)[0] for line in text.split("\n")) / 72
    )


def wrap_name(name: str, letters: int = 26) -> str:
    """A long name in several lines, broken after hyphens, dots, underscores and spaces where possible.

    >>> wrap_name("attention-with-tanh", 14).split()
    ['attention-', 'with-tanh']
    """
    lines = [""]
    for piece in re.findall(rf"[^-_. ]{{1,{letters - 1}}}[-_. ]?|[-_. ]", name):
        if len(lines[-1]) + len(piece.rstrip()) > letters:
            lines.append("")
        lines[-1] += piece
    return "\n".join(line.rstrip() for line in lines)


def spread_apart(positions: Sequence[float], gap: float, low: float, high: float) -> np.ndarray:
    """Positions moved as little as possible so that they are ``gap`` apart and between ``low`` and ``high``.

    The order stays, and the sum of squared moves is minimal: this is an isotonic regression (Best and Chakravarti,
    1990). If there is not enough room, the positions are equally spaced at less than the gap.

    >>> spread_apart([1.0, 1.0, 5.0], 2.0, 0.0, 9.0).tolist()
    [0.0, 2.0, 5.0]
    """
    wanted = np.asarray(positions, float)
    if not len(wanted):
        return wanted
    gap = min(gap, (high - low) / max(len(wanted) - 1, 1))
    order, steps = np.argsort(wanted, kind="stable"), gap * np.arange(len(wanted))
    free = isotonic_regression(wanted[order] - steps).x
    placed = np.empty_like(wanted)
    placed[order] = np.clip(free, low, max(low, high - steps[-1])) + steps
    return placed


def axis_limits(
    values: ArrayLike, ends: ArrayLike, least: float, bounds: tuple[float, float] = (-np.inf, np.inf)
) -> tuple[float, float]:
    """The limits of an axis that shows all values, and the ends of intervals unless they are far outside.

    With two seeds an interval is easily ten times as wide as the data, which would shrink to a point beside it. Such an
    interval leaves the axis, and an arrow marks that.

    Args:
        values: The values, all of which are within the limits unless they are infinite or NaN.
        ends: The ends of intervals; the limits include them up to one width of the data away from the values.
        least: The minimum width of the axis.
        bounds: The lowest and the highest possible value, beyond which the axis does not go.
    """
    inside, outer = (array[np.isfinite(array)] for array in (np.asarray(values, float), np.asarray(ends, float)))
    low, high = float(inside.min(initial=np.inf)), float(inside.max(initial=-np.inf))
    if not inside.size:
        low = high = 0.0
    room = max(high - low, least)
    low, high = max(outer.min(initial=low), low - room), min(outer.max(initial=high), high + room)
    margin = max(0.04 * (high - low), (least - high + low) / 2)
    return max(low - margin, bounds[0]), min(high + margin, bounds[1])


def magnitude_formatter() -> Formatter:
    """A tick formatter that writes ``250 k``, ``1.4 M`` or ``60 M``."""

    def written(value: float, _: int | None = None) -> str:
        for size, sign in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
            if value >= size:
                return f"{value / size:.3g} {sign}"
        return f"{value:.3g}"

    return FuncFormatter(written)


def seed_count_text(counts: Iterable[int], unit: str = "seed") -> str:
    """The number of seeds of each variant as text: ``5 seeds``, ``3 to 5 seeds``; or of what else repeats."""
    numbers = list(counts)
    low, high = min(numbers, default=0), max(numbers, default=0)
    return f"{low} to {high} {unit}s" if low != high else f"{high} {unit}{'s' * (high != 1)}"
