"""Attention maps: means over the test images, and overlays on example images."""

import io
from collections.abc import Iterable, Mapping

import matplotlib
import numpy as np
from matplotlib import rc_context
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from PIL import Image

from emotune.report.figures.layout import colour_bar, draw_title, place_axes, wrap_name
from emotune.report.figures.style import SMALL, STYLE, WIDTH

__all__ = ["attention_overlays", "mean_attention_maps", "overlay_map", "shared_norm"]

COLOURS = "magma"  # perceptually uniform, also for colour-blind readers and in grey print
GAP, LEFT, TOP = 0.16, 0.06, 0.36
"""Inches."""
OUTSIDE = 5.0


@rc_context(STYLE)
def mean_attention_maps(title: str, maps: Mapping[str, np.ndarray]) -> Figure:
    """The mean attention maps over the test images, on one scale; uniform weights are 1.

    Args:
        title: The data set's title.
        maps: Attention weights times the number of positions (H, W), by the name of variant and layer.
    """
    columns = min(6, max(4, len(maps)))
    side = (WIDTH - 2 * LEFT + GAP) / columns - GAP
    heads = {
        name: f"{wrap_name(name, int(side / 0.068))}\n{grid.min():.2f} to {grid.max():.2f}"
        for name, grid in maps.items()
    }
    head = 0.08 + 0.135 * max((text.count("\n") + 1 for text in heads.values()), default=1)
    figure = Figure(figsize=(WIDTH, TOP + -(-len(maps) // columns) * (head + side + 0.06) + 0.06))
    draw_title(figure, title)
    scale = shared_norm(maps.values())
    for i, (name, grid) in enumerate(maps.items()):
        x, y = LEFT + i % columns * (side + GAP), TOP + i // columns * (head + side + 0.06) + head
        axes = place_axes(figure, x, y, side, side)
        mesh = axes.pcolormesh(grid, norm=scale, cmap=COLOURS)
        axes.set(xticks=[], yticks=[], ylim=(len(grid), 0))
        axes.spines[:].set_visible(False)
        axes.set_title(heads[name], fontsize=SMALL, loc="left", pad=4, linespacing=1.25)
        if i == 0:
            colour_bar(figure, mesh, "1 = uniform weights")
    return figure


@rc_context(STYLE)
def attention_overlays(
    title: str, images: Mapping[str, bytes], maps: Mapping[str, np.ndarray], captions: Mapping[str, str]
) -> Figure:
    """Images, each beside a grey copy under its attention map; brighter means more weight.

    Args:
        title: The title: data set and variant.
        images: JPEGs of square images by sample id.
        maps: Attention weights (H, W) by sample id, drawn on one scale; images without a map are not drawn.
        captions: The text below each image, by sample id.
    """
    shown = [sample for sample in images if sample in maps]
    columns = 3
    side = ((WIDTH - 2 * LEFT + GAP) / columns - GAP - 0.03) / 2
    texts = {sample: wrap_name(captions.get(sample, ""), int(2 * side / 0.062)) for sample in shown}
    foot = 0.1 + 0.125 * max((text.count("\n") + 1 for text in texts.values()), default=1)
    figure = Figure(figsize=(WIDTH, TOP + -(-len(shown) // columns) * (side + foot + 0.06)))
    draw_title(figure, title, "brighter: more weight; one scale for all images")
    scale = shared_norm((maps[sample] for sample in shown), OUTSIDE)
    for i, sample in enumerate(shown):
        x, y = LEFT + i % columns * (2 * side + 0.03 + GAP), TOP + i // columns * (side + foot + 0.06)
        image = Image.open(io.BytesIO(images[sample])).convert("RGB")
        for k, pixels in enumerate((np.asarray(image), overlay_map(image, scale(maps[sample])))):
            axes = place_axes(figure, x + k * (side + 0.03), y, side, side)
            # Five bits per channel halve the file. SVG stores whole pixels; the viewer scales them.
            axes.imshow(pixels & 0xF8 | 0x04, interpolation="none", aspect="auto")
            axes.set_axis_off()
        figure.text(x / WIDTH, 1 - (y + side + 0.05) / figure.get_figheight(), texts[sample], va="top", fontsize=SMALL,
                    linespacing=1.25)  # fmt: skip
    return figure


def shared_norm(maps: Iterable[np.ndarray], outside: float = 0.0) -> Normalize:
    """The colour scale from the smallest weight to the largest, at least a tenth of the mean wide, so that nearly
    uniform weights look uniform.

    Args:
        maps: The attention maps on this scale.
        outside: The percentage of weights at each end that may lie outside, so that extremes do not hide the rest.
    """
    weights = np.concatenate([grid.ravel() for grid in maps] or [np.ones(1)])
    low, high = np.percentile(weights, [outside, 100 - outside])
    middle, half = (low + high) / 2, max(high - low, 0.1 * weights.mean()) / 2
    return Normalize(middle - half, middle + half, clip=bool(outside))


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
