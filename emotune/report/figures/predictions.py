"""The figure of one prediction: the image, its attention maps, and the class probabilities or ratings."""

from collections.abc import Mapping

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from PIL import Image

from emotune.report.figures.attention import overlay_map, shades
from emotune.report.figures.layout import draw_title, place_axes, text_width, wrap_name
from emotune.report.figures.style import SMALL, SOFT, STYLE

__all__ = ["prediction_figure"]

SIDE, GAP, LEFT, TOP, BARS, FOOT = 2.0, 0.16, 0.06, 0.36, 1.3, 0.1
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
    axes = place_axes(figure, width - BARS - 0.4, head, BARS, height - head - FOOT)
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
    return figure
