"""The textures of an image: GIST and local binary patterns.

They need scikit-image, which the extra ``classical`` installs.
"""

from functools import cache

import numpy as np
from scipy import fft
from skimage.color import rgb2gray
from skimage.feature import local_binary_pattern
from skimage.filters import gabor_kernel
from skimage.transform import resize

from emotune.models.handmade.feature_set import FeatureSet

__all__ = ["FEATURES", "textures"]

FREQUENCIES = (0.25, 0.125, 0.0625, 0.03125)
"""The frequencies of the Gabor filters in cycles per pixel, an octave apart."""
ORIENTATIONS = 8
GRID = 4
"""The number of cells along a side; a filter's energy is averaged over each (Oliva and Torralba 2001, section 4.2)."""
GIST_SIDE = 128
PATTERNS = ((8, 1), (16, 2))
"""The points on a circle and its radius in pixels (Ojala, Pietikäinen, Mäenpää 2002, section 2)."""


def textures(image: np.ndarray) -> np.ndarray:
    """GIST and local binary patterns of an image: uint8 (H, W, 3) → float32 (540,).

    GIST (Oliva and Torralba 2001) is the mean energy of 32 Gabor filters (4 frequencies × 8 orientations) in each cell
    of a 4×4 grid, for the grey image at 128×128. The histograms of rotation-invariant uniform local binary patterns
    (Ojala et al. 2002), with 8 points at radius 1 and 16 at radius 2, are taken from the grey image at full size, as
    square roots of shares.
    """
    grey = rgb2gray(image)
    return np.concatenate([_gist(grey), *(_patterns(grey, points, radius) for points, radius in PATTERNS)])


def _gist(grey: np.ndarray) -> np.ndarray:
    """The GIST descriptor of a grey image, (H, W) → (512,)."""
    small = np.asarray(resize(grey, (GIST_SIDE, GIST_SIDE), anti_aliasing=True))
    padded = np.pad(small - small.mean(), GIST_SIDE // 2, mode="symmetric")  # otherwise opposite borders would touch
    inner = slice(GIST_SIDE // 2, -GIST_SIDE // 2)
    spectrum = np.asarray(fft.fft2(padded.astype(np.float32)))
    energies = np.abs(np.asarray(fft.ifft2(spectrum * _gabor_filters())))[:, inner, inner]
    cell = GIST_SIDE // GRID
    return energies.reshape(-1, GRID, cell, GRID, cell).mean(axis=(2, 4)).ravel().astype(np.float32)


@cache
def _gabor_filters() -> np.ndarray:
    """The Gabor filters in the frequency domain, for an image with its margin: complex64 (32, 256, 256)."""
    filters = np.zeros((len(FREQUENCIES) * ORIENTATIONS, 2 * GIST_SIDE, 2 * GIST_SIDE), np.complex64)
    angles = np.arange(ORIENTATIONS) * np.pi / ORIENTATIONS
    for number, (frequency, angle) in enumerate((f, a) for f in FREQUENCIES for a in angles):
        kernel: np.ndarray = gabor_kernel(frequency, theta=angle, dtype=np.complex64)  # type: ignore[arg-type]  # any type
        height, width = kernel.shape
        filters[number, :height, :width] = kernel - kernel.mean()  # so that an image's brightness has no effect
        centred = np.roll(filters[number], (-(height // 2), -(width // 2)), axis=(0, 1))
        filters[number] = np.asarray(fft.fft2(centred))
    return filters


def _patterns(grey: np.ndarray, points: int, radius: int) -> np.ndarray:
    """The histogram of uniform local binary patterns, (H, W) → (points + 2,)."""
    codes = local_binary_pattern(np.round(255 * grey).astype(np.uint8), points, radius, method="uniform")
    return np.sqrt(np.bincount(codes.astype(int).ravel(), minlength=points + 2) / codes.size).astype(np.float32)


FEATURES = FeatureSet(
    "textures",
    (
        *(f"gist/frequency{frequency:g}-angle{number}-row{row}-column{column}" for frequency in FREQUENCIES
          for number, row, column in np.ndindex(ORIENTATIONS, GRID, GRID)),
        *(f"patterns{points}/{code}" for points, _ in PATTERNS for code in range(points + 2)),
    ),
    textures,
)  # fmt: skip
