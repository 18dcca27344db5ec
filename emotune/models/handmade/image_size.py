"""Images of comparable sizes, so that counts and lengths in pixels do not depend on an image's resolution."""

import numpy as np
from PIL import Image

__all__ = ["AREA", "LEAST_SIDE", "to_area", "to_side"]

AREA = 256 * 256
"""The number of pixels of an image for which features are computed, unless their module says otherwise."""
LEAST_SIDE = 16
"""The fewest pixels along a side: enough for every filter and region. Only images more than 256 times as long as wide
are squeezed by it."""


def to_area(image: np.ndarray, area: int = AREA) -> np.ndarray:
    """An image enlarged or reduced to a number of pixels, with its proportions: uint8 (H, W, 3) → uint8 (h, w, 3).

    Reducing averages over all pixels (bilinear, with antialiasing); an image of this size already stays as it is.

    Args:
        image: The image.
        area: The number of pixels h·w, up to rounding.
    """
    height, width = image.shape[:2]
    most = area // LEAST_SIDE
    scale = (area / (height * width)) ** 0.5
    new = [min(max(round(scale * side), LEAST_SIDE), most) for side in (height, width)]
    return _resized(image, new[0], new[1])


def to_side(image: np.ndarray, side: int) -> np.ndarray:
    """An image as a square, whatever its proportions: uint8 (H, W, 3) → uint8 (side, side, 3)."""
    return _resized(image, side, side)


def _resized(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """An image of other sides."""
    if image.shape[:2] == (height, width):
        return image
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))
