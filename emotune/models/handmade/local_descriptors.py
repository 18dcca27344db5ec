"""Local descriptors of an image on a dense grid: gradients and colours of small patches, for visual words."""

from functools import cache, partial

import numpy as np

from emotune.config.blocks import DESCRIPTORS, IMAGE_SIDE
from emotune.models.handmade.feature_set import FeatureSet

__all__ = ["COLOURS", "GRADIENTS", "descriptor_set", "local_descriptors", "positions"]

ORIENTATIONS = 8
CELLS = 2
"""The cells along a side of a patch."""
GRADIENTS = CELLS**2 * ORIENTATIONS
"""The number of values that describe a patch's gradients; those of its colours follow them."""
COLOURS = CELLS**2 * 3


def positions(step: int) -> np.ndarray:
    """The places of the patches' centres along a side, as shares of it, float64 (g,): the grid has g² patches.

    Args:
        step: The distance between neighbours in pixels, half the side of a patch.
    """
    cells = IMAGE_SIDE // step
    return np.arange(1, cells) * step / IMAGE_SIDE


def local_descriptors(image: np.ndarray, step: int) -> np.ndarray:
    """The descriptors of patches of 2 step × 2 step pixels, row by row, float16 (g², 44).

    32 values are the histograms of gradients in 2×2 cells with 8 orientations each (Dalal and Triggs 2005), normalised
    over the patch (*L2-Hys*); of each pixel the colour channel with the largest gradient counts. 12 values are the
    cells' mean L*, a*, b* over 100. A patch without gradients has zeros.

    Args:
        image: uint8 (256, 256, 3).
        step: The distance between neighbours, which is the side of a cell, in pixels.
    """
    from skimage.color import rgb2lab  # late: it is an extra
    from skimage.feature import hog

    gradients = hog(
        image, ORIENTATIONS, (step, step), (CELLS, CELLS), block_norm="L2-Hys", feature_vector=False, channel_axis=-1
    )
    side = gradients.shape[0]
    cells = side + 1
    lab = rgb2lab(image[: cells * step, : cells * step].astype(np.float32) / np.float32(255)) / 100
    means = lab.reshape(cells, step, cells, step, 3).mean(axis=(1, 3), dtype=np.float64)
    corners = [means[row : row + side, column : column + side] for row in range(CELLS) for column in range(CELLS)]
    parts = [gradients.reshape(side**2, GRADIENTS), np.concatenate(corners, axis=-1).reshape(side**2, COLOURS)]
    return np.concatenate(parts, axis=1).astype(np.float16)


@cache
def descriptor_set(step: int) -> FeatureSet:
    """The descriptors of an image as a set of g²·44 numbers, which are computed once per data set."""
    along = range(len(positions(step)))
    columns = tuple(
        f"{row}_{column}/{number}" for row in along for column in along for number in range(GRADIENTS + COLOURS)
    )
    return FeatureSet(f"{DESCRIPTORS}{step}", columns, partial(_flat, step), kept_as="float16")


def _flat(step: int, image: np.ndarray) -> np.ndarray:
    return local_descriptors(image, step).ravel()
