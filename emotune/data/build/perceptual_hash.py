"""What an image looks like in 255 bits, and which images look alike.

A perceptual hash: the signs of the lowest 16×16 frequencies of the grey image, but the mean, relative to their median
(Zauner 2010, "Implementation and benchmarking of perceptual image hash functions", section 3.2, with four times its
bits). `benchmarks/near_duplicates.py` measures the distances of altered copies and of different images on any folder.
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

SIDE = 64
FREQUENCIES = 16
BITS = FREQUENCIES**2 - 1
COPY_DISTANCE = 32
"""Bits: nearer ones are one image, stored or toned differently."""
SCENE_DISTANCE = 56
"""Bits: nearer ones show one scene, such as two images of a burst."""
FLAT = 2.0
"""Standard deviation, in grey levels: below it the bits are those of noise, or all equal."""
FAINT = 0.05
"""Grey levels: what rounding leaves of a frequency that is not there, as in stripes or what mirrors itself."""

BASIS = np.cos(np.pi / SIDE * np.outer(np.arange(FREQUENCIES), np.arange(SIDE) + 0.5)).astype(np.float32)
BASIS *= np.sqrt(np.where(np.arange(FREQUENCIES) == 0, 1, 2) / SIDE)[:, None].astype(np.float32)
"""The lowest frequencies of the orthonormal cosine transform (DCT-II)."""

MIRROR = np.where(np.arange(FREQUENCIES) % 2, np.float32(-1), np.float32(1))
"""What mirroring makes of each horizontal frequency."""


def perceptual_hash(image: Image.Image) -> bytes:
    """The image's perceptual hash, 32 bytes; empty where there is next to nothing to be seen."""
    return perceptual_hashes(image)[0]


def mirrored_hash(image: Image.Image) -> bytes:
    """The perceptual hash of the image's mirror image."""
    return perceptual_hashes(image)[1]


def perceptual_hashes(image: Image.Image) -> tuple[bytes, bytes]:
    """`perceptual_hash` and `mirrored_hash`; a mirror image's odd horizontal frequencies have the other sign."""
    frequencies = _frequencies(image)
    return _hash(frequencies), _hash(frequencies * MIRROR)


def is_blank(image: Image.Image) -> bool:
    """Whether the image is of one colour, or nearly."""
    return bool((np.asarray(image.convert("RGB")).std(axis=(0, 1)) < FLAT).all())


def _frequencies(image: Image.Image) -> np.ndarray:
    """The lowest frequencies of the grey image, (16, 16); zeros where there is next to nothing to be seen."""
    grey = np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float32)
    lowest = BASIS @ grey @ BASIS.T
    # Else all images without frequencies in both directions would be alike in these bits.
    faint = grey.std() < FLAT or np.median(np.abs(lowest.ravel()[1:])) < FAINT
    return np.zeros_like(lowest) if faint else lowest


def _hash(frequencies: np.ndarray) -> bytes:
    lowest = frequencies.ravel()[1:]
    return np.packbits(lowest > np.median(lowest)).tobytes() if lowest.any() else b""
