"""Columns 111 to 114: faces and skin."""

from functools import cache
from typing import Any

import numpy as np

__all__ = ["COLUMNS", "content", "faces", "skin"]

COLUMNS = ("faces/count", "faces/largest_area", "skin/share", "skin/per_face")
SCALE_FACTOR = 1.2
MIN_FACE = 32
"""The side in pixels of the smallest face that is searched, a seventh of a square image's; smaller ones cost most."""
CB, CR = (77, 127), (133, 173)
"""Where Cb and Cr of skin lie (Chai and Ngan 1999)."""
LOWEST, HIGHEST = 0.3, 0.175
"""The shares of a face's pixels, those with the smallest and largest values, whose means are its limits of skin."""

Box = tuple[slice, slice]


def content(image: np.ndarray) -> np.ndarray:
    """The features 111 to 114 of an image of about 50,000 pixels, uint8 (H, W, 3) → float64 (4,).

    - faces: the number of faces, and the area of the largest box over that of the image.
    - skin: the share of skin among the pixels, and that share over the largest face's, 0 without a face.
    """
    boxes = faces(image)
    areas = [(rows.stop - rows.start) * (columns.stop - columns.start) for rows, columns in boxes]
    largest = int(np.argmax(areas)) if boxes else None
    pixels = image.shape[0] * image.shape[1]
    skin_share = float(skin(image, None if largest is None else boxes[largest]).mean())
    face_share = 0.0 if largest is None else areas[largest] / pixels
    return np.array([len(boxes), face_share, skin_share, skin_share / face_share if face_share else 0.0])


def faces(image: np.ndarray) -> list[Box]:
    """The frontal faces of an image, uint8 (H, W, 3), by scikit-image's cascade on local binary patterns.

    It is a cascade as Viola and Jones's, which had Haar features. The boxes are in order of their place.
    """
    height, width = image.shape[:2]
    found: list[dict[str, int]] = _detector().detect_multi_scale(
        img=np.ascontiguousarray(image), scale_factor=SCALE_FACTOR, step_ratio=1,
        min_size=(MIN_FACE, MIN_FACE), max_size=(height, width),
    )  # fmt: skip
    boxes = sorted((one["r"], one["c"], one["height"], one["width"]) for one in found)
    return [(slice(r, min(r + h, height)), slice(c, min(c + w, width))) for r, c, h, w in boxes]


def skin(image: np.ndarray, face: Box | None = None) -> np.ndarray:
    """The pixels of an image that have the colour of skin: uint8 (H, W, 3) → bool (H, W).

    Without a face they are those with 77 ≤ Cb ≤ 127 and 133 ≤ Cr ≤ 173 (Chai and Ngan 1999). With a face the limits of
    Cb and Cr are its own: own reading, the mean of the lowest 30 % in its box and that of the highest 17.5 %.

    Args:
        image: The image.
        face: The box of its largest face.
    """
    from skimage.color import rgb2ycbcr  # late: it is an extra

    chroma = rgb2ycbcr(image)[..., 1:]
    limits = (CB, CR) if face is None else [_limits(chroma[(*face, channel)]) for channel in range(2)]
    inside = [
        (low <= chroma[..., channel]) & (chroma[..., channel] <= high) for channel, (low, high) in enumerate(limits)
    ]
    return inside[0] & inside[1]


def _limits(values: np.ndarray) -> tuple[float, float]:
    """The means of the lowest 30 % and of the highest 17.5 % of values, rounded to whole numbers outwards."""
    ordered = np.sort(values, axis=None)
    low, high = (max(1, round(share * ordered.size)) for share in (LOWEST, HIGHEST))
    return float(np.floor(ordered[:low].mean())), float(np.ceil(ordered[-high:].mean()))


@cache
def _detector() -> Any:
    """scikit-image's detector of frontal faces."""
    from skimage.data import lbp_frontal_face_cascade_filename  # late: it is an extra
    from skimage.feature import Cascade

    return Cascade(lbp_frontal_face_cascade_filename())
