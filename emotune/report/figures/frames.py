"""Attention over the frames of clips: a strip in time for each class."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure

from emotune.report.figures.attention import COLOURS, MARKS, shades
from emotune.report.figures.layout import colour_bar, draw_title, place_axes, text_width, wrap_name
from emotune.report.figures.style import SMALL, SOFT, STYLE, full_width

__all__ = ["attention_strips"]

LEFT, TOP, GAP, FOOT = 0.06, 0.42, 0.3, 0.34
"""Inches."""
ROW = 0.2
"""The height of a row in inches."""
NUMBER = 0.34
"""The width in inches from which on a cell holds its number."""
MOST_NUMBERS = 100
"""The most cells of a figure with numbers, which take much room in files."""


@rc_context(STYLE)
def attention_strips(title: str, strips: Mapping[str, pd.DataFrame], *, narrow: bool = False) -> Figure:
    """The mean attention over frames as a row of cells in time for each class, a panel for each variant.

    Colours are those of attention maps; uniform weights are 1.

    Args:
        title: The data set's title.
        strips: Attention weights times the number of frames, (L, T) with the rows' labels, by variant.
        narrow: Whether the figure is for a narrow screen.
    """
    letters = 16 if narrow else 26
    names = {variant: [wrap_name(str(label), letters) for label in strip.index] for variant, strip in strips.items()}
    lines = {variant: max(text.count("\n") + 1 for text in of) for variant, of in names.items()}
    left = LEFT + 0.1 + max(text_width(line) for of in names.values() for text in of for line in text.split("\n"))
    width, heights = full_width(narrow=narrow), {
        variant: len(strip) * (ROW + 0.12 * (lines[variant] - 1)) for variant, strip in strips.items()
    }  # fmt: skip
    top = TOP + (0.3 if narrow else 0)
    figure = Figure(figsize=(width, top + sum(heights.values()) + len(strips) * (GAP + FOOT)))
    draw_title(figure, title)
    y = top
    for number, (variant, strip) in enumerate(strips.items()):
        values, across = strip.to_numpy(), width - left - LEFT
        axes = place_axes(figure, left, y + GAP, across, heights[variant])
        mesh = axes.pcolormesh(shades(values), vmin=0, vmax=1, cmap=COLOURS, edgecolors="white", linewidth=0.5)
        axes.set(ylim=(len(strip), 0), xlabel="frame, in the order of time")
        axes.set_yticks([row + 0.5 for row in range(len(strip))], names[variant])
        step = -(-values.shape[1] // int(across / 0.25))
        shown = range(0, values.shape[1], step)
        axes.set_xticks([frame + 0.5 for frame in shown], [str(frame + 1) for frame in shown])
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_title(
            f"{wrap_name(variant, int(across / 0.08))}: {values.min():.2f} to {values.max():.2f}",
            loc="left", fontsize=SMALL, color=SOFT, pad=4,
        )  # fmt: skip
        if across / values.shape[1] >= NUMBER and sum(one.size for one in strips.values()) <= MOST_NUMBERS:
            for (row, frame), value in np.ndenumerate(values):
                colour = "#000000" if shades(np.array(value)) > 0.6 else "#ffffff"
                axes.text(frame + 0.5, row + 0.5, f"{value:.2f}", ha="center", va="center", fontsize=SMALL,
                          color=colour)  # fmt: skip
        if number == 0:
            ticks = {float(shades(np.array(weight))): text for weight, text in MARKS.items()}
            colour_bar(figure, mesh, "1 = uniform weights", ticks, 0.38 if narrow else 0.1)
        y += GAP + heights[variant] + FOOT
    return figure
