"""Segments of an image by a watershed of its gradient, after small details have been removed."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

__all__ = ["Segments", "segments_of"]

RADIUS = 3
"""The radius in pixels of the disc that removes details."""
STEP = 4
"""The levels of 256 in the gradient that are not told apart, so that smooth shading is one segment."""


@dataclass(frozen=True)
class Segments:
    """A division of an image into connected regions.

    Attributes:
        labels: The number of each pixel's segment, int (H, W), 0 ≤ number < count.
        count: The number of segments, S, 1 at least.
    """

    labels: np.ndarray
    count: int

    @cached_property
    def pixels(self) -> np.ndarray:
        """The number of pixels of each segment, (S,)."""
        return np.bincount(self.labels.ravel(), minlength=self.count)

    @property
    def areas(self) -> np.ndarray:
        """The share of the image that each segment covers, (S,); they sum to 1."""
        return self.pixels / self.labels.size

    def sums(self, values: np.ndarray) -> np.ndarray:
        """The sum of values (H, W) over each segment, (S,)."""
        return np.bincount(self.labels.ravel(), values.ravel(), minlength=self.count)

    def means(self, values: np.ndarray) -> np.ndarray:
        """The mean of values (H, W) over each segment, (S,)."""
        return self.sums(values) / self.pixels


def segments_of(luminance: np.ndarray) -> Segments:
    """The segments of an image, from its luminance, 0 to 1, (H, W).

    Opening and closing by reconstruction with a disc of 3 pixels flatten what is smaller than the disc; a watershed of
    the Sobel magnitude grows from markers (yoonsejong/mh_huevent2014). Own reading: the magnitude is that of the
    flattened image, in 64 levels, and a marker is each of its minima that is not smaller than the disc. A photograph of
    50,000 pixels has about a hundred segments.
    """
    from scipy import ndimage  # late: the libraries are an extra
    from skimage.filters import sobel
    from skimage.measure import label
    from skimage.morphology import disk, local_minima

    flattened = _flattened(np.round(255 * luminance).astype(np.uint8))
    magnitude = np.round(sobel(flattened.astype(np.float32)) / STEP).clip(0, 255).astype(np.uint8)
    minima = np.asarray(label(local_minima(magnitude, connectivity=2), connectivity=2))
    large = np.bincount(minima.ravel()) >= np.count_nonzero(disk(RADIUS))
    large[0] = False  # what is no minimum
    count = int(large.sum())
    if count <= 1:
        return Segments(np.zeros(luminance.shape, np.int32), 1)
    markers = np.where(large, np.cumsum(large), 0).astype(np.int32)[minima]
    return Segments(ndimage.watershed_ift(magnitude, markers, structure=np.ones((3, 3))) - 1, count)


def _flattened(grey: np.ndarray) -> np.ndarray:
    """A grey image after opening and closing by reconstruction: uint8 (H, W) → uint8 (H, W)."""
    from skimage.morphology import dilation, disk, erosion, reconstruction

    disc = disk(RADIUS)
    opened = reconstruction(erosion(grey, disc), grey, method="dilation").astype(np.uint8)
    return reconstruction(dilation(opened, disc), opened, method="erosion").astype(np.uint8)
