"""Fuzzy classes of lightness, saturation and warmth: how far a pixel or a segment belongs to each."""

from math import radians

import numpy as np

from emotune.models.handmade.colour_spaces import hue_weights

__all__ = [
    "LIGHTNESS_CENTRES",
    "SATURATION_CENTRES",
    "centre_memberships",
    "saturation_memberships",
    "warmth_memberships",
]

LIGHTNESS_CENTRES = (0.054, 0.250, 0.459, 0.674, 0.900)
"""The centres of very dark, dark, middle, light, very light, published with a public reading of Machajdik and Hanbury
2010, from 3 million pixels of ArtPhoto and Abstract (yoonsejong/mh_huevent2014)."""
SATURATION_CENTRES = (0.083, 0.484)
"""The centres of low and high saturation from there."""
SATURATION_EDGES = (0.10, 0.27, 0.51)
"""Where low, middle and high saturation begin to change over (Wang et al. 2006, as public readings have it)."""
WARMEST, COLDEST = radians(50), radians(230)


def centre_memberships(values: np.ndarray, centres: tuple[float, ...]) -> np.ndarray:
    """The memberships of values in classes with given centres, as of fuzzy c-means with m = 2: (...) → (classes, ...).

    The membership in class i is 1 / Σ_j (d_i / d_j)², with d the distances to the centres. They sum to 1.
    """
    shape = (-1, *(1,) * np.ndim(values))
    distances = np.square(np.asarray(values)[None] - np.asarray(centres, np.float32).reshape(shape))
    inverse = 1 / np.maximum(distances, 1e-12)
    return inverse / inverse.sum(axis=0)


def saturation_memberships(saturation: np.ndarray) -> np.ndarray:
    """The memberships in low, middle and high saturation: (...) → (3, ...), which sum to 1.

    Low is 1 below 0.10 and falls to 0 at 0.27; middle rises between these and falls from 0.27 to 0.51; high rises there
    and stays 1 (Wang et al. 2006, as public readings have it).
    """
    first, second, third = SATURATION_EDGES
    not_low = np.clip((saturation - first) / (second - first), 0, 1)
    high = np.clip((saturation - second) / (third - second), 0, 1)
    return np.stack([1 - not_low, not_low - high, high])


def warmth_memberships(hue: np.ndarray, saturation: np.ndarray) -> np.ndarray:
    """The memberships in warm, cold and neutral: (...) → (3, ...), which sum to 1.

    Warm is cos(hue − 50°) and cold cos(hue − 230°), where positive (yoonsejong/mh_huevent2014); neutral is the rest.
    Own reading: both are multiplied by how far a colour has a hue, so that grey is neutral.
    """
    weights = hue_weights(saturation)
    warm = weights * np.maximum(np.cos(hue - WARMEST), 0)
    cold = weights * np.maximum(np.cos(hue - COLDEST), 0)
    return np.stack([warm, cold, 1 - warm - cold])
