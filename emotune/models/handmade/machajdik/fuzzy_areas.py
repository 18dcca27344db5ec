"""Columns 42 to 70: fuzzy histograms of lightness, warmth and saturation (Wang et al. 2006), and areas."""

import numpy as np

from emotune.models.handmade.fuzzy import (
    LIGHTNESS_CENTRES,
    centre_memberships,
    saturation_memberships,
    warmth_memberships,
)
from emotune.models.handmade.machajdik.prepared import Prepared

__all__ = ["COLUMNS", "fuzzy_areas"]

LIGHTNESS = ("very_dark", "dark", "middle", "light", "very_light")
SATURATION = ("low", "middle", "high")
WARMTH = ("warm", "cool")
COLUMNS = (
    *(f"wang/{level}_{warmth}" for level in LIGHTNESS for warmth in WARMTH),
    *(f"wang/{level}_saturation_{warmth}" for level in SATURATION for warmth in WARMTH),
    "wang/colour_spread", "wang/luminance_variance", "wang/sharpness",
    *(f"areas/{name}" for name in (*LIGHTNESS, *WARMTH)),
    *(f"areas/{level}_saturation" for level in SATURATION),
)  # fmt: skip
SHARPEST = 0.005
"""The share of pixels, those with the strongest edges, whose mean is the sharpness."""


def fuzzy_areas(prepared: Prepared) -> np.ndarray:
    """The features 42 to 70, float64 (29,).

    - wang: the mean over pixels of the product of memberships in five levels of lightness and in warm and cool (10), in
      three levels of saturation and in warm and cool (6); the root of the mean squared distance of (a*, b*) from its
      mean; the variance of luminance; the mean of the strongest 0.5 % of the Sobel magnitudes of luminance.
    - areas: the mean membership in each level of lightness, in warm, in cool, and in each level of saturation.

    The memberships are those of `emotune.models.handmade.fuzzy`. Own: memberships are multiplied.
    """
    from skimage.color import rgb2lab  # late: it is an extra
    from skimage.filters import sobel

    hue, saturation, luminance = prepared.colours
    lightness = centre_memberships(luminance, LIGHTNESS_CENTRES)
    saturated = saturation_memberships(saturation)
    warmth = warmth_memberships(hue, saturation)[:2]
    # Row by row, and not as one product of matrices, whose sums would depend on the number of threads.
    rows = np.einsum("irc,jrc->ijr", np.concatenate([lightness, saturated]), warmth)
    together = rows.sum(axis=2, dtype=np.float64) / luminance.size
    lab = rgb2lab(prepared.image.astype(np.float32) / np.float32(255))
    spread = np.sqrt(sum(lab[..., channel].var(dtype=np.float64) for channel in (1, 2)))
    edges = sobel(luminance).ravel()
    count = max(1, round(SHARPEST * edges.size))
    sharpness = np.partition(edges, edges.size - count)[-count:].mean(dtype=np.float64)
    areas = np.concatenate([lightness, warmth, saturated]).mean(axis=(1, 2), dtype=np.float64)
    return np.concatenate([together.ravel(), [spread, luminance.var(dtype=np.float64), sharpness], areas])
