"""Attention maps: means over the test images, and overlays on example images."""

import io
from collections.abc import Mapping
from types import MappingProxyType

import matplotlib
import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from PIL import Image

from emotune.report.figures.layout import colour_bar, draw_title, place_axes, wrap_name
from emotune.report.figures.style import NARROW, SMALL, STYLE, full_width

__all__ = ["attention_overlays", "frames_of", "mean_attention_maps", "overlay_map", "shades"]

COLOURS = "magma"  # perceptually uniform, also for colour-blind readers and in grey print
GAP, LEFT, TOP = 0.16, 0.06, 0.36
"""Inches."""
MARKS = MappingProxyType({0.25: "¼", 0.5: "½", 1.0: "1", 2.0: "2", 4.0: "4"})
"""The marks of the colour scale, in uniform weights."""


@rc_context(STYLE)
def mean_attention_maps(title: str, maps: Mapping[str, np.ndarray], *, narrow: bool = False) -> Figure:
    """The mean attention maps over the test images, on the scale of all attention maps; uniform weights are 1.

    Args:
        title: The data set's title.
        maps: Attention weights times the number of positions (H, W), by the name of variant and layer.
        narrow: Whether the figure is for a narrow screen.
    """
    columns, whole = 3 if narrow else min(6, max(4, len(maps))), full_width(narrow=narrow)
    top = TOP + (0.3 if narrow else 0)
    side = (whole - 2 * LEFT + GAP) / columns - GAP
    heads = {
        name: f"{wrap_name(name, int(side / 0.068))}\n{grid.min():.2f} to {grid.max():.2f}"
        for name, grid in maps.items()
    }
    head = 0.08 + 0.135 * max((text.count("\n") + 1 for text in heads.values()), default=1)
    figure = Figure(figsize=(whole, top + -(-len(maps) // columns) * (head + side + 0.06) + 0.06))
    draw_title(figure, title)
    for i, (name, grid) in enumerate(maps.items()):
        x, y = LEFT + i % columns * (side + GAP), top + i // columns * (head + side + 0.06) + head
        axes = place_axes(figure, x, y, side, side)
        mesh = axes.pcolormesh(shades(grid), vmin=0, vmax=1, cmap=COLOURS)
        axes.set(xticks=[], yticks=[], ylim=(len(grid), 0))
        axes.spines[:].set_visible(False)
        axes.set_title(heads[name], fontsize=SMALL, loc="left", pad=4, linespacing=1.25)
        if i == 0:
            ticks = {float(shades(np.array(weight))): text for weight, text in MARKS.items()}
            colour_bar(figure, mesh, "1 = uniform weights", ticks, 0.38 if narrow else 0.1)
    return figure


@rc_context(STYLE)
def attention_overlays(
    title: str, images: Mapping[str, bytes], maps: Mapping[str, np.ndarray], captions: Mapping[str, str]
) -> Figure:
    """Images, each beside a grey copy under its attention map; brighter means more weight.

    The figure is as wide as a narrow screen: pixels are stored once for both widths of the page.

    Args:
        title: The title: data set and variant.
        images: JPEGs of square images by sample id; of clips, whose frames are beside one another, the middle one is
            drawn.
        maps: Attention weights times the number of positions (H, W) by sample id; images without a map are not drawn.
        captions: The text below each image, by sample id.
    """
    shown = [sample for sample in images if sample in maps]
    columns = 2
    side = ((NARROW - 2 * LEFT + GAP) / columns - GAP - 0.03) / 2
    texts = {sample: wrap_name(captions.get(sample, ""), int(2 * side / 0.062)) for sample in shown}
    foot = 0.1 + 0.125 * max((text.count("\n") + 1 for text in texts.values()), default=1)
    figure = Figure(figsize=(NARROW, TOP + -(-len(shown) // columns) * (side + foot + 0.06)))
    draw_title(figure, title, "brighter: more weight; one scale for all maps")
    for i, sample in enumerate(shown):
        x, y = LEFT + i % columns * (2 * side + 0.03 + GAP), TOP + i // columns * (side + foot + 0.06)
        frames = frames_of(images[sample])
        image = frames[len(frames) // 2]
        for k, pixels in enumerate((np.asarray(image), overlay_map(image, shades(maps[sample])))):
            axes = place_axes(figure, x + k * (side + 0.03), y, side, side)
            # Five bits per channel halve the file. SVG stores whole pixels; the viewer scales them.
            axes.imshow(pixels & 0xF8 | 0x04, interpolation="none", aspect="auto")
            axes.set_axis_off()
        figure.text(x / NARROW, 1 - (y + side + 0.05) / figure.get_figheight(), texts[sample], va="top", fontsize=SMALL,
                    linespacing=1.25)  # fmt: skip
    return figure


def frames_of(jpeg: bytes) -> list[Image.Image]:
    """The square frames that are beside one another in a JPEG; of an image that one alone."""
    strip = Image.open(io.BytesIO(jpeg)).convert("RGB")
    side = strip.height
    return [strip.crop((left, 0, left + side, side)) for left in range(0, strip.width, side)]


def shades(weights: np.ndarray) -> np.ndarray:
    """The position of weights on the colour scale of all attention maps, from 0 to 1; uniform weights are 0.5.

    The scale goes in octaves from a quarter of a uniform weight to four times as much; what is beyond has the colour of
    the end. It does not depend on the map, so that nearly uniform weights look uniform.

    Args:
        weights: Attention weights times the number of positions.

    >>> shades(np.array([0, 0.25, 1, 1.01, 2, 36])).round(2).tolist()
    [0.0, 0.0, 0.5, 0.5, 0.75, 1.0]
    """
    octaves = np.log2(np.clip(weights, min(MARKS), max(MARKS)))
    return (octaves / np.log2(max(MARKS)) + 1) / 2


def overlay_map(image: Image.Image, share: np.ndarray) -> np.ndarray:
    """The image in grey under the colours of its attention map (H, W, 3), uint8.

    Args:
        image: The image.
        share: The position of each weight on the colour scale (H, W), from 0 to 1.
    """
    smooth = Image.fromarray(share.astype(np.float32)).resize(image.size, Image.Resampling.BILINEAR)
    colours = matplotlib.colormaps[COLOURS](np.asarray(smooth))[..., :3]
    grey = np.asarray(image.convert("L"))[..., None] / 255
    return (255 * (0.45 * grey + 0.55 * colours * (0.3 + 0.7 * grey))).astype(np.uint8)
