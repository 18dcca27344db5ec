"""Attention over the frames of clips: a strip in time for each class, and below the frames of example clips."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from emotune.report.figures.attention import COLOURS, MARKS, frames_of, shades
from emotune.report.figures.layout import colour_bar, draw_title, place_axes, text_width, wrap_name
from emotune.report.figures.style import NARROW, SMALL, SOFT, STYLE, full_width

__all__ = ["attended_clips", "attention_strips"]

LEFT, TOP, GAP, FOOT = 0.06, 0.42, 0.3, 0.34
"""Inches."""
ROW = 0.2
"""The height of a row in inches."""
NUMBER = 0.34
"""The width in inches from which on a cell holds its number."""
MOST_FRAMES = 8
"""The most frames that are shown of a clip; their weights are shown of all."""
LARGEST_FRAME, CELL = 0.9, 0.13
"""The largest side of a frame, and the height of the weights below it, in inches."""
FRAME_PIXELS = 120
"""The pixels per inch of a frame that is stored; a page shows 96."""
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
            _draw_scale(figure, mesh, 0.38 if narrow else 0.1)
        y += GAP + heights[variant] + FOOT
    return figure


@rc_context(STYLE)
def attended_clips(
    title: str, clips: Mapping[str, bytes], weights: Mapping[str, Mapping[str, np.ndarray]], labels: Mapping[str, str]
) -> Figure:
    """Frames of clips in time, and below them the attention weights of all frames, a row of cells for each variant.

    The figure is as wide as a narrow screen: pixels are stored once for both widths of the page. Of a clip of many
    frames, each that is shown is the middle one of those whose weights are below it.

    Args:
        title: The data set's title.
        clips: JPEGs of clips, whose square frames are beside one another, by sample id.
        weights: Attention weights times the number of frames, (T,), by variant and sample id; every variant has those
            of all clips.
        labels: The text above each clip, by sample id.
    """
    across = NARROW - 2 * LEFT
    names = {variant: wrap_name(variant, 36) for variant in weights}
    texts = {sample: wrap_name(labels.get(sample, ""), 50) for sample in clips}
    rows = {variant: 0.06 + 0.125 * (name.count("\n") + 1) for variant, name in names.items()}
    frames = {sample: frames_of(jpeg) for sample, jpeg in clips.items()}
    step = -(-max(map(len, frames.values())) // MOST_FRAMES)
    cells = {sample: across / len(of) for sample, of in frames.items()}
    sides = {sample: min(step * cell - 0.03, LARGEST_FRAME) for sample, cell in cells.items()}
    heads = {sample: 0.08 + 0.125 * (text.count("\n") + 1) for sample, text in texts.items()}
    below = sum(head + CELL for head in rows.values())
    top = TOP + 0.2
    figure = Figure(figsize=(NARROW, top + sum(heads.values()) + sum(sides.values()) + len(clips) * (below + 0.12)))
    draw_title(figure, title)
    height, y = figure.get_figheight(), top
    for sample, pictures in frames.items():
        cell, side = cells[sample], sides[sample]
        figure.text(LEFT / NARROW, 1 - (y + 0.04) / height, texts[sample], va="top", linespacing=1.25)
        y += heads[sample]
        for group in range(len(pictures) // step):
            left = LEFT + group * step * cell + (step * cell - side) / 2
            axes = place_axes(figure, left, y, side, side)
            size = round(FRAME_PIXELS * side)
            pixels = np.asarray(pictures[group * step + step // 2].resize((size, size)))
            axes.imshow(pixels & 0xF8 | 0x04, interpolation="none", aspect="auto")  # as of `attention_overlays`
            axes.set_axis_off()
        y += side
        for variant, name in names.items():
            values = weights[variant][sample]
            text = f"{name}: {values.min():.2f} to {values.max():.2f}"
            bottom = 1 - (y + rows[variant] - 0.02) / height
            figure.text(LEFT / NARROW, bottom, text, va="bottom", fontsize=SMALL, color=SOFT, linespacing=1.25)
            axes = place_axes(figure, LEFT, y + rows[variant], across, CELL)
            mesh = axes.pcolormesh(shades(values[None]), vmin=0, vmax=1, cmap=COLOURS, edgecolors="white",
                                   linewidth=0.5)  # fmt: skip
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
            y += rows[variant] + CELL
            if len(figure.axes) == len(pictures) // step + 1:
                _draw_scale(figure, mesh, 0.38)
        y += 0.12
    return figure


def _draw_scale(figure: Figure, mesh: ScalarMappable, top: float) -> None:
    """Draws the colour scale of all attention weights, ``top`` inches below the figure's upper edge."""
    ticks = {float(shades(np.array(weight))): text for weight, text in MARKS.items()}
    colour_bar(figure, mesh, "1 = uniform weights", ticks, top)
