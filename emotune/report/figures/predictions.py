"""The figure of one prediction: the image or clip, its attention, and the class probabilities or ratings."""

from collections.abc import Mapping

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from emotune.report.figures.attention import overlay_map, shades
from emotune.report.figures.layout import draw_title, place_axes, text_width, wrap_name
from emotune.report.figures.style import SMALL, SOFT, STYLE

__all__ = ["clip_figure", "prediction_figure"]

SIDE, GAP, LEFT, TOP, BARS, FOOT, STRIP, CURVE = 2.0, 0.16, 0.06, 0.36, 1.3, 0.1, 8.0, 0.5
"""Inches."""
PREDICTED, OTHER = "#0072b2", "#9db9cc"
"""The colours of the most probable class and of the others."""


@rc_context(STYLE)
def prediction_figure(
    title: str,
    image: np.ndarray,
    maps: Mapping[str, np.ndarray],
    probabilities: Mapping[str, float],
    ratings: Mapping[str, str] | None = None,
) -> Figure:
    """The image as the network sees it, the same under each attention map, and the class probabilities.

    Args:
        title: The image's title.
        image: The image, uint8 (H, W, 3).
        maps: Attention weights times the number of positions (H, W), by attention layer; uniform weights are 1. The
            colour scale is that of all attention maps, see `emotune.report.figures.attention.shades`.
        probabilities: The probability of each class; or the place of each rating on its scale, from 0 to 1.
        ratings: The ratings in words, if those are predicted.
    """
    names = max(text_width(name) for name in probabilities) + 0.08
    width = LEFT + (1 + len(maps)) * (SIDE + GAP) + names + BARS + 0.4
    head = TOP + (0.2 if maps else 0)
    height = head + max(SIDE, 0.2 * len(probabilities)) + FOOT
    figure = Figure(figsize=(width, height), dpi=150)
    draw_title(figure, wrap_name(title, int(width / 0.075)))
    axes = place_axes(figure, LEFT, head, SIDE, SIDE)
    axes.imshow(image, interpolation="none")
    axes.set_axis_off()
    for number, (layer, grid) in enumerate(maps.items(), 1):
        axes = place_axes(figure, LEFT + number * (SIDE + GAP), head, SIDE, SIDE)
        axes.imshow(overlay_map(Image.fromarray(image), shades(grid)), interpolation="none")
        axes.set_axis_off()
        layer_name = f"{layer}: " if len(maps) > 1 else ""
        axes.set_title(
            f"{layer_name}attention × {grid.size}, {grid.min():.2f} to {grid.max():.2f}",
            fontsize=SMALL, color=SOFT, loc="left", pad=4,
        )  # fmt: skip
    _draw_values(place_axes(figure, width - BARS - 0.4, head, BARS, height - head - FOOT), probabilities, ratings)
    return figure


@rc_context(STYLE)
def clip_figure(
    title: str,
    frames: np.ndarray,
    weights: np.ndarray | None,
    probabilities: Mapping[str, float],
    ratings: Mapping[str, str] | None = None,
) -> Figure:
    """The frames of a clip as the network sees them, attention over them as a strip, and the class probabilities.

    Args:
        title: The clip's title.
        frames: The frames, uint8 (T, H, W, 3), in the order of time.
        weights: Attention weights times the number of frames, (T,), so that uniform weights are 1; None without
            attention over frames.
        probabilities: As of `prediction_figure`.
        ratings: As of `prediction_figure`.
    """
    count = len(frames)
    side = min(max(STRIP / count, 0.3), 1.0)
    names = max(text_width(name) for name in probabilities) + 0.08
    width = LEFT + count * side + GAP + names + BARS + 0.4
    below = 0.06 + CURVE if weights is not None else 0
    head = TOP + (0.2 if weights is not None else 0)
    height = head + max(side + below, 0.2 * len(probabilities)) + FOOT
    figure = Figure(figsize=(width, height), dpi=150)
    draw_title(figure, wrap_name(title, int(width / 0.075)))
    for number, frame in enumerate(frames):
        axes = place_axes(figure, LEFT + number * side, head, side - 0.04, side - 0.04)
        axes.imshow(frame, interpolation="none")
        axes.set_axis_off()
    if weights is not None:
        figure.text(
            LEFT / width, 1 - (head - 0.05) / height, fontsize=SMALL, color=SOFT, va="bottom",
            s=f"attention over frames × {count}, {weights.min():.2f} to {weights.max():.2f}; line: all the same",
        )  # fmt: skip
        axes = place_axes(figure, LEFT, head + side + 0.02, count * side, CURVE)
        axes.bar(np.arange(count) + 0.5 - 0.02 / side, weights, width=1 - 0.04 / side, color=PREDICTED)
        axes.axhline(1, color=SOFT, linewidth=0.6)
        axes.set(xlim=(0, count), ylim=(0, max(2.0, weights.max())), xticks=[], yticks=[])
        axes.spines[["left", "right", "top"]].set_visible(False)
    _draw_values(place_axes(figure, width - BARS - 0.4, head, BARS, height - head - FOOT), probabilities, ratings)
    return figure


def _draw_values(axes: Axes, probabilities: Mapping[str, float], ratings: Mapping[str, str] | None) -> None:
    """Draws the probabilities of classes, or ratings, as bars with their numbers."""
    values = list(probabilities.values())
    colours = [PREDICTED if ratings or value == max(values) else OTHER for value in values]
    axes.barh(range(len(values)), values, color=colours, height=0.7)
    axes.set(yticks=range(len(values)), yticklabels=list(probabilities), xlim=(0, 1), xticks=[])
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.spines[:].set_visible(False)
    texts = list(ratings.values()) if ratings else [f"{100 * value:.0f} %" for value in values]
    for row, (value, text) in enumerate(zip(values, texts, strict=True)):
        axes.annotate(text, (value, row), (3, 0), textcoords="offset points", va="center")
