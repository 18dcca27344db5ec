"""Energies of Gabor filters on the channels of the Gaussian colour model, after Yanulevskaya et al. (2008).

360 numbers: the mean magnitude of 4 frequencies × 6 orientations on 3 channels, in the whole image and its quarters.
"Emotional valence categorization using holistic image features" (Yanulevskaya, van Gemert, Roth, Herbold, Sebe,
Geusebroek 2008) has features of Gabor filters beside those of `emotune.models.handmade.wiccest`. The colour model is
the same here, and regions stand in place of annotated concepts here, too.

Our own reading: an image is seen as a square of 128×128, so that the filters fit and counts do not depend on its
resolution. The filters are Gaussians in the frequency domain, an octave wide, around 1/4, 1/8, 1/16 and 1/32 cycle per
pixel, without an answer to a constant; the lower ones are those of 1/4 on an image of half the size each time.
`emotune.models.handmade.textures` has such filters for grey, with finer cells.
"""

from functools import cache

import numpy as np
from scipy import fft

from emotune.models.handmade.feature_set import FeatureSet
from emotune.models.handmade.resizing import square
from emotune.models.handmade.wiccest import CHANNELS, COLOUR_MODEL

__all__ = ["FEATURES", "gabor"]

SIDE = 128
LEVELS = 4
ORIENTATIONS = 6
FREQUENCY = 0.25
"""The centre of the filters in cycles per pixel of their level."""
WIDTH = FREQUENCY / 3 / (2 * np.log(2)) ** 0.5
"""The standard deviation of a filter in the frequency domain: it falls to half at 2/3 and 4/3 of its frequency."""
REGIONS = ("whole", "top-left", "top-right", "bottom-left", "bottom-right")


def gabor(image: np.ndarray) -> np.ndarray:
    """Mean magnitudes of 72 filters in 5 regions: uint8 (H, W, 3) → float32 (360,)."""
    whole = square(image, SIDE)
    levels = [_energies(square(whole, SIDE >> level)) for level in range(LEVELS)]
    return np.stack(levels, axis=1).ravel().astype(np.float32)  # channels, frequencies, orientations, regions


def _energies(image: np.ndarray) -> np.ndarray:
    """The mean magnitudes on an image of a level: uint8 (n, n, 3) → float32 (3, 6, 5)."""
    side = len(image)
    channels = (COLOUR_MODEL @ (image.reshape(-1, 3).T.astype(np.float32) / np.float32(255))).reshape(3, side, side)
    margin = side // 2
    padded = np.pad(channels, ((0, 0), (margin, margin), (margin, margin)), mode="symmetric")
    spectrum = np.asarray(fft.fft2(padded))[:, None]
    inner = slice(margin, -margin)  # beyond it is the margin, without which opposite borders would touch
    magnitudes = np.abs(np.asarray(fft.ifft2(spectrum * _filters(2 * side)))[..., inner, inner])
    quarters = magnitudes.reshape(3, ORIENTATIONS, 2, margin, 2, margin).mean(axis=(3, 5)).reshape(3, ORIENTATIONS, 4)
    return np.concatenate([quarters.mean(axis=2, keepdims=True), quarters], axis=2)


@cache
def _filters(side: int) -> np.ndarray:
    """The filters in the frequency domain, float32 (6, side, side); number k is for waves that run k·30° down from x.

    Args:
        side: The side of the images, with their margin.
    """
    angles = np.arange(ORIENTATIONS)[:, None, None] * np.pi / ORIENTATIONS
    across, down = fft.fftfreq(side)[None, :], fft.fftfreq(side)[:, None]
    distance = (across - FREQUENCY * np.cos(angles)) ** 2 + (down - FREQUENCY * np.sin(angles)) ** 2
    filters = np.exp(-distance / (2 * WIDTH**2)).astype(np.float32)
    filters[:, 0, 0] = 0
    return filters


FEATURES = FeatureSet(
    name="gabor",
    columns=tuple(
        f"{channel}_{2 << level}px/{180 // ORIENTATIONS * number}_{region}"
        for channel in CHANNELS
        for level in range(1, LEVELS + 1)
        for number in range(ORIENTATIONS)
        for region in REGIONS
    ),
    compute=gabor,
)
