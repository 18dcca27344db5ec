"""Images of a fixed area, so that lengths, counts and thresholds of features mean the same for images of any size."""

import numpy as np
from PIL import Image

__all__ = ["AREA", "REGION_AREA", "SQUARE_AREA", "fixed_area", "square"]

AREA = 200_000
"""The number of pixels (an unfinished public reading of Machajdik and Hanbury 2010 in Python has the same)."""
REGION_AREA = AREA // 4
"""The number of pixels for segments and faces, whose cost would be the largest by far: half the sides. Own reading."""
SQUARE_AREA = 256 * 256
"""The number of pixels of a square of 256×256, the size at which most images are stored. Own reading."""
MIN_SIDE = 32
"""The smallest side: three levels of wavelets in 4×4 blocks need it."""


def fixed_area(image: np.ndarray, area: int = AREA) -> np.ndarray:
    """An image with about a number of pixels and its own aspect ratio: uint8 (H, W, 3) → uint8 (H', W', 3).

    Smaller images are enlarged. No side is shorter than 32 pixels: an image that is longer in proportion, of more than
    1:195 at 200,000 pixels or 1:48 at 50,000, is compressed along its longer side.
    """
    height, width = image.shape[:2]
    limit = area / MIN_SIDE**2
    ratio = float(np.clip(width / height, 1 / limit, limit))
    new_height = max(MIN_SIDE, round((area / ratio) ** 0.5))
    size = max(MIN_SIDE, round((area * ratio) ** 0.5)), new_height
    if size == (width, height):
        return image
    picture = Image.fromarray(np.ascontiguousarray(image))
    return np.asarray(picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0))


def square(image: np.ndarray, side: int) -> np.ndarray:
    """An image as a square, whatever its proportions: uint8 (H, W, 3) → uint8 (side, side, 3)."""
    if image.shape[:2] == (side, side):
        return image
    return np.asarray(Image.fromarray(np.ascontiguousarray(image)).resize((side, side), Image.Resampling.BILINEAR))
