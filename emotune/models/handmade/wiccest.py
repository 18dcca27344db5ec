"""Weibull statistics of colour edges, after Yanulevskaya et al. (2008) and van Gemert et al. (2006).

168 numbers: 12 for each of 14 regions. "Emotional valence categorization using holistic image features" (Yanulevskaya,
van Gemert, Roth, Herbold, Sebe, Geusebroek 2008) learns emotions from local image statistics. "Robust scene
categorization by learning image statistics in context" (van Gemert et al. 2006) summarises the colour-invariant edges
of a region by the parameters of an integrated Weibull distribution, and compares them with those of annotated concepts,
such as sky and water.

- The Gaussian colour model gives intensity E, yellow-blueness Eλ and redness Eλλ of each pixel; their derivatives in x
  and in y by a Gaussian of σ = 3 pixels, divided by E, do not change with the light's intensity.
- The integrated Weibull distribution is that of ``scipy.stats.gennorm``: its shape is γ and its scale is β·γ^(1/γ). β
  is the width of the contrasts; γ falls with the share of strong edges. Both are of maximum likelihood around the
  median.

Our own reading: annotated regions are not public, so that the regions of a pyramid (the whole image, 2×2, and 3×3 that
overlap by half) stand in place of similarities to concepts; the sRGB values are taken as they are; E is kept from 0;
and every third response is taken in each direction, because neighbours at σ = 3 say nearly the same.
"""

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import elementwise
from scipy.special import digamma

from emotune.models.handmade.feature_set import FeatureSet
from emotune.models.handmade.resizing import SQUARE_AREA, fixed_area

__all__ = ["COLOUR_MODEL", "FEATURES", "fit_weibull", "wiccest"]

COLOUR_MODEL = np.array([[0.06, 0.63, 0.27], [0.30, 0.04, -0.35], [0.34, -0.60, 0.17]], np.float32)
"""E, Eλ and Eλλ from R, G and B."""
SIGMA = 3.0
STEP = 3
SHAPES = (0.1, 5.0)
"""The least and the greatest γ."""
LEAST_WIDTH = 1e-4
"""The least β: where no edge is seen, which has the γ of a Gaussian, 2."""
LEAST_LIGHT = 0.01
"""The constant that is added to E, for dark regions: 1 % of white."""
CHANNELS = ("intensity", "yellow_blue", "red_green")
DIRECTIONS = ("x", "y")
GRIDS = ((1, 1.0), (2, 0.5), (3, 0.5))
"""The regions along a side, and the side of a region as a share of the image's."""


def wiccest(image: np.ndarray) -> np.ndarray:
    """β and γ of the edges in 14 regions: uint8 (H, W, 3) → float32 (168,)."""
    edges = _edges(fixed_area(image, SQUARE_AREA))[..., ::STEP, ::STEP]
    fits = [fit_weibull(_regions(edges, *grid)) for grid in GRIDS]
    numbers = np.concatenate(fits, axis=1)  # (6 kinds of edges, 14 regions, 2)
    return numbers.transpose(0, 2, 1).ravel().astype(np.float32)


def fit_weibull(responses: np.ndarray) -> np.ndarray:
    """β and γ of the integrated Weibull distribution of maximum likelihood around the median.

    γ solves 1 + ψ(1/γ)/γ − Σ|x|^γ ln|x| / Σ|x|^γ + ln(γ·mean |x|^γ)/γ = 0, and β = (mean |x|^γ)^(1/γ).

    Args:
        responses: The responses of a filter, (…, N).

    Returns:
        β and γ, (…, 2).
    """
    values = np.abs(responses - np.median(responses, axis=-1, keepdims=True)).reshape(-1, responses.shape[-1])
    mean = values.mean(axis=1, dtype=np.float64)
    seen = mean > LEAST_WIDTH
    fits = np.tile([LEAST_WIDTH, 2.0], (len(values), 1))
    # As shares of the mean, so that no power over- or underflows; a share of 0 has no logarithm.
    logs = np.log(np.maximum(values[seen] / mean[seen, None], 1e-12))
    if len(logs):
        gamma = _shape(logs)
        power = np.exp(gamma[:, None] * logs).mean(axis=1, dtype=np.float64)
        fits[seen] = np.stack([np.maximum(mean[seen] * power ** (1 / gamma), LEAST_WIDTH), gamma], axis=1)
    return fits.reshape(*responses.shape[:-1], 2)


def _shape(logs: np.ndarray) -> np.ndarray:
    """γ of the logarithms of absolute values, (R, N) → (R,), an end of the range where there is none within."""

    def slope(gamma: np.ndarray, row: np.ndarray) -> np.ndarray:
        """The derivative of the likelihood by γ, up to a positive factor."""
        power = np.exp(gamma[:, None].astype(np.float32) * logs[row])
        total = power.sum(axis=1, dtype=np.float64)
        weighted = np.einsum("rn,rn->r", power, logs[row]) / total
        return 1 + digamma(1 / gamma) / gamma - weighted + np.log(gamma * total / logs.shape[1]) / gamma

    rows = np.arange(len(logs))
    ends = [slope(np.full(len(logs), end), rows) for end in SHAPES]
    gamma = np.where(ends[0] <= 0, *SHAPES).astype(np.float64)
    inside = rows[(ends[0] > 0) & (ends[1] < 0)]
    if len(inside):
        found = elementwise.find_root(slope, SHAPES, args=(inside,), tolerances={"xatol": 1e-4})
        gamma[inside] = found.x
    return gamma


def _edges(image: np.ndarray) -> np.ndarray:
    """Derivatives in x and y of the three channels over intensity: uint8 (H, W, 3) → float32 (6, H, W)."""
    channels = COLOUR_MODEL @ (image.reshape(-1, 3).T.astype(np.float32) / np.float32(255))
    channels = channels.reshape(3, *image.shape[:2])
    smooth_y, smooth_x = (gaussian_filter1d(channels, SIGMA, axis=axis) for axis in (1, 2))
    light = np.maximum(gaussian_filter1d(smooth_y[0], SIGMA, axis=1), 0) + LEAST_LIGHT
    by_x = gaussian_filter1d(smooth_y, SIGMA, axis=2, order=1)
    by_y = gaussian_filter1d(smooth_x, SIGMA, axis=1, order=1)
    return np.stack([by_x, by_y], axis=1).reshape(6, *image.shape[:2]) / light


def _regions(edges: np.ndarray, count: int, share: float) -> np.ndarray:
    """The responses in count × count regions, (6, h, w) → (6, count², responses of a region)."""
    height, width = edges.shape[1:]
    side = max(round(share * height), 1), max(round(share * width), 1)
    tops, lefts = (
        np.round(np.linspace(0, whole - part, count)).astype(int)
        for whole, part in zip((height, width), side, strict=True)
    )
    parts = [edges[:, top : top + side[0], left : left + side[1]] for top in tops for left in lefts]
    return np.stack([part.reshape(6, -1) for part in parts], axis=1)


FEATURES = FeatureSet(
    name="wiccest",
    columns=tuple(
        f"{channel}_{direction}/{number}_{count}x{count}_{region}"
        for channel in CHANNELS
        for direction in DIRECTIONS
        for number in ("width", "shape")
        for count, _ in GRIDS
        for region in range(count**2)
    ),
    compute=wiccest,
)
