"""A histogram of an image's colours: hue, saturation and value.

It follows Solli and Lenz (2009), "Color based bags-of-emotions", but without their colour space of emotions. It needs
scikit-image, which the extra ``classical`` installs.
"""

import numpy as np
from skimage.color import rgb2hsv

from emotune.models.handmade.feature_set import FeatureSet

__all__ = ["FEATURES", "colours"]

BINS = (16, 4, 4)
"""The bins of hue, saturation and value."""


def colours(image: np.ndarray) -> np.ndarray:
    """A histogram of an image's colours, 16 hues × 4 saturations × 4 values: uint8 (H, W, 3) → float32 (256,).

    It has the square roots of shares, so that a Gaussian kernel compares histograms by Hellinger's distance.
    """
    hsv = rgb2hsv(image).reshape(-1, 3)
    bins = np.minimum((hsv * BINS).astype(int), np.array(BINS) - 1)
    counts = np.bincount(np.ravel_multi_index(bins.T, BINS), minlength=int(np.prod(BINS)))
    return np.sqrt(counts / counts.sum()).astype(np.float32)


FEATURES = FeatureSet(
    "colours", tuple(f"histogram/hue{h}-saturation{s}-value{v}" for h, s, v in np.ndindex(*BINS)), colours
)
