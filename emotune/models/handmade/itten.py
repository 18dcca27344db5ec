"""Itten's contrasts between the segments of an image (Machajdik and Hanbury 2010, after Itten 1961)."""

import numpy as np

from emotune.models.handmade.colour_spaces import Ihsl, hue_weights
from emotune.models.handmade.fuzzy import (
    LIGHTNESS_CENTRES,
    SATURATION_CENTRES,
    centre_memberships,
    warmth_memberships,
)
from emotune.models.handmade.segments import Segments

__all__ = ["CONTRASTS", "itten_contrasts"]

CONTRASTS = (
    "brightness", "saturation", "hue", "complements", "warmth", "harmony", "hue_count", "hue_spread", "warm_area",
    "cold_area",
)  # fmt: skip
HUE_BINS = 12
MIN_SHARE = 0.05
"""The share of a hue below which it does not count."""
MAX_PAIRED = 256
"""The number of segments, the largest ones, that are compared in pairs, so that time and memory are bounded."""
WARM_FROM, WARM_TO = np.deg2rad(320), np.deg2rad(140)


def itten_contrasts(image: Ihsl, segments: Segments) -> np.ndarray:
    """The means of ten contrasts, then their maxima, float64 (20,), in the order of `CONTRASTS`.

    The definitions are those of a public reading (yoonsejong/mh_huevent2014) as far as it goes; "own" is own reading.

    - brightness, saturation: the standard deviation over segments of their memberships in each of five classes of
      lightness, two of saturation. Own: segments weigh by area; the mean and the maximum are over classes.
    - hue, complements: 2 sin(Δh / 2) and Δh over π between two segments, Δh the shorter arc; mean and maximum over
      pairs. Own: pairs weigh by how far both have a hue.
    - warmth: one less the cosine of two segments' memberships in warm, cold and neutral, over all pairs. Own: one less,
      so that both mean and maximum are contrasts; the source has the cosine.
    - harmony: the differences between the interior angles of the polygon that the image's hues span on the colour
      circle, 12 bins without those under 5 %, and those of the regular one, π (n − 2) / n, over π; mean and maximum
      over corners, 0 for fewer than three. Own: pixels weigh by how far they have a hue.
    - hue_count, hue_spread: the number of bins of 5 % or more in a segment, and the circular dispersion of its hues.
      Own: pixels weigh as for harmony; the mean over segments weighs by area.
    - warm_area, cold_area: the share of the image in segments whose hue is warm, in [0°, 140°) or [320°, 360°), or
      cold, the total, and of the largest such segment. Own: pixels count as far as they have a hue.
    """
    weights = hue_weights(image.saturation)
    areas = segments.areas
    cosine = segments.sums(image.saturation * np.cos(image.hue))
    sine = segments.sums(image.saturation * np.sin(image.hue))
    hue = np.arctan2(sine, cosine) % (2 * np.pi)
    saturation = segments.means(image.saturation)
    coloured = segments.means(weights)
    pairs = [
        *_brightness_and_saturation(segments.means(image.luminance), saturation, areas),
        *_between_pairs(hue, saturation, coloured, segments.pixels),
        _harmony(_hue_shares(image.hue, weights)),
        *_within_segments(image.hue, weights, segments),
        *_warm_and_cold_areas(hue, coloured * areas),
    ]
    return np.array(pairs, np.float64).T.ravel()


def _brightness_and_saturation(luminance: np.ndarray, saturation: np.ndarray, areas: np.ndarray) -> list:
    """The mean and maximum of both contrasts, from the segments' means (S,) and shares of the image (S,)."""
    found = []
    for values, centres in ((luminance, LIGHTNESS_CENTRES), (saturation, SATURATION_CENTRES)):
        memberships = centre_memberships(values, centres)
        means = (memberships * areas).sum(axis=1, keepdims=True)
        deviations = np.sqrt((np.square(memberships - means) * areas).sum(axis=1))
        found.append((deviations.mean(), deviations.max()))
    return found


def _between_pairs(hue: np.ndarray, saturation: np.ndarray, coloured: np.ndarray, pixels: np.ndarray) -> list:
    """The mean and maximum over pairs of segments of the contrasts of hue, complements and warmth."""
    largest = np.argsort(-pixels, kind="stable")[:MAX_PAIRED]
    first, second = np.triu_indices(len(largest), 1)
    if not len(first):
        return [(0.0, 0.0)] * 3
    hue, coloured = hue[largest], coloured[largest]
    arc = np.abs(hue[first] - hue[second])
    arc = np.minimum(arc, 2 * np.pi - arc)
    weights = coloured[first] * coloured[second]
    found = []
    for contrast in (2 * np.sin(arc / 2), arc / np.pi):
        weighted = weights * contrast
        found.append((weighted.sum() / max(weights.sum(), 1e-9), weighted.max()))
    vectors = warmth_memberships(hue, saturation[largest])
    vectors /= np.linalg.norm(vectors, axis=0)
    warmth = np.maximum(1 - (vectors[:, first] * vectors[:, second]).sum(axis=0), 0)
    return [*found, (warmth.mean(), warmth.max())]


def _hue_shares(hue: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The share of each of 12 hues among pixels that have one, (12,), or zeros without any."""
    counts = np.bincount(_hue_bins(hue).ravel(), weights.ravel(), minlength=HUE_BINS)
    return counts / max(counts.sum(), 1e-9)


def _hue_bins(hue: np.ndarray) -> np.ndarray:
    """The bin of each hue; pure red lies in the middle of the first one."""
    return np.round(hue * (HUE_BINS / (2 * np.pi))).astype(np.int32) % HUE_BINS


def _harmony(shares: np.ndarray) -> tuple[float, float]:
    """The mean and maximum deviation of the interior angles from those of a regular polygon, over π."""
    corners = np.flatnonzero(shares >= MIN_SHARE)
    if len(corners) < 3:
        return 0.0, 0.0
    arcs = np.diff(corners, append=corners[0] + HUE_BINS) * (2 * np.pi / HUE_BINS)
    # By the theorem of the inscribed angle, a corner's angle is half the arc that does not touch it.
    interior = (2 * np.pi - arcs - np.roll(arcs, 1)) / 2
    deviations = np.abs(interior / np.pi - (len(corners) - 2) / len(corners))
    return deviations.mean(), deviations.max()


def _within_segments(hue: np.ndarray, weights: np.ndarray, segments: Segments) -> list:
    """The mean and maximum over segments of the number of hues and of their spread."""
    cells = segments.labels.ravel() * HUE_BINS + _hue_bins(hue).ravel()
    counts = np.bincount(cells, weights.ravel(), minlength=segments.count * HUE_BINS).reshape(-1, HUE_BINS)
    # Shares of all pixels, so that a grey segment has no hue.
    numbers = (counts >= MIN_SHARE * segments.pixels[:, None]).sum(axis=1)
    length = np.hypot(segments.sums(weights * np.cos(hue)), segments.sums(weights * np.sin(hue)))
    total = counts.sum(axis=1)
    spread = np.where(total > 0, np.maximum(1 - length / np.maximum(total, 1e-9), 0), 0)
    return [(float((values * segments.areas).sum()), values.max()) for values in (numbers, spread)]


def _warm_and_cold_areas(hue: np.ndarray, areas: np.ndarray) -> list:
    """The total and the largest area of warm and of cold segments, from hues (S,) and areas (S,)."""
    warm = (hue < WARM_TO) | (hue >= WARM_FROM)
    return [((areas * kind).sum(), (areas * kind).max()) for kind in (warm, ~warm)]
