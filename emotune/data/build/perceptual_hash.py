"""255-bit perceptual hash (pHash) of an image.

The hash tells which of the lowest 16×16 frequencies of the grey image, without the mean, are above their median
(Zauner 2010, "Implementation and benchmarking of perceptual image hash functions", section 3.2, with four times as
many bits). `benchmarks/near_duplicates.py` measures, on any folder of images, the distances of altered copies and of
different images.
"""

import numpy as np
from PIL import Image

__all__ = [
    "BITS",
    "COPY_DISTANCE",
    "SCENE_DISTANCE",
    "is_blank",
    "mirrored_hash",
    "perceptual_hash",
    "perceptual_hashes",
]

GREY_SIDE = 64
"""Height and width of the grey image that is hashed, in pixels."""
FREQUENCIES = 16
BITS = FREQUENCIES**2 - 1
COPY_DISTANCE = 32
"""Number of bits in which the hashes of one image, stored or toned differently, may differ."""
SCENE_DISTANCE = 56
"""Number of bits in which the hashes of two images of one scene, such as those of a burst, may differ."""
FLAT = 2.0
"""Standard deviation in grey levels below which an image has no hash: its bits would be noise, or all equal."""
FAINT = 0.05
"""Amplitude in grey levels that rounding errors leave of a missing frequency, as in stripes or symmetric images."""

BASIS = np.cos(np.pi / GREY_SIDE * np.outer(np.arange(FREQUENCIES), np.arange(GREY_SIDE) + 0.5)).astype(np.float32)
BASIS *= np.sqrt(np.where(np.arange(FREQUENCIES) == 0, 1, 2) / GREY_SIDE)[:, None].astype(np.float32)
"""The lowest frequencies of the orthonormal discrete cosine transform (DCT-II), (16, 64)."""

MIRROR = np.where(np.arange(FREQUENCIES) % 2, np.float32(-1), np.float32(1))
"""Factor by which mirroring multiplies each horizontal frequency, (16,)."""


def perceptual_hash(image: Image.Image) -> bytes:
    """The perceptual hash of the image, 32 bytes; empty if the image has almost no structure."""
    return perceptual_hashes(image)[0]


def mirrored_hash(image: Image.Image) -> bytes:
    """The perceptual hash of the mirror image; empty if the image has almost no structure."""
    return perceptual_hashes(image)[1]


def perceptual_hashes(image: Image.Image) -> tuple[bytes, bytes]:
    """`perceptual_hash` and `mirrored_hash`, computed together.

    Mirroring an image only changes the sign of its odd horizontal frequencies.
    """
    frequencies = _frequencies(image)
    return _hash(frequencies), _hash(frequencies * MIRROR)


def is_blank(image: Image.Image) -> bool:
    """Whether the image has one colour, or nearly so."""
    return bool((np.asarray(image.convert("RGB")).std(axis=(0, 1)) < FLAT).all())


def _frequencies(image: Image.Image) -> np.ndarray:
    """The lowest frequencies of the grey image, (16, 16); zeros if it has almost no structure."""
    grey = np.asarray(image.convert("L").resize((GREY_SIDE, GREY_SIDE), Image.Resampling.BOX), dtype=np.float32)
    lowest = BASIS @ grey @ BASIS.T
    # Otherwise all images without frequencies in both directions would have similar hashes.
    faint = grey.std() < FLAT or np.median(np.abs(lowest.ravel()[1:])) < FAINT
    return np.zeros_like(lowest) if faint else lowest


def _hash(frequencies: np.ndarray) -> bytes:
    lowest = frequencies.ravel()[1:]
    return np.packbits(lowest > np.median(lowest)).tobytes() if lowest.any() else b""
