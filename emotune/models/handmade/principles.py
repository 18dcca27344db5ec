"""Principles of art in an image: balance, emphasis, harmony, variety, gradation, movement. After Zhao et al. (2014).

78 numbers. "Exploring principles-of-art features for image emotion recognition" (Zhao, Gao, Jiang, Yao, Chua, Sun 2014)
describes images by these six principles. No code of theirs is public: how each is measured is our own reading, so that
these are not the features of that paper. They are computed on an image of 50,000 pixels.

- *Balance*: the correlation of lightness, of colour (a and b of CIELAB together) and of edges with their mirror images
  left to right, up to down and turned by 180° (9); for 8 radii, the greatest share of all edges that point to one place
  at that distance, after the fast radial symmetry transform of Loy and Zelinsky (2003) (8).
- *Emphasis*: Itten's contrasts, `emotune.models.handmade.itten` (20); the shares of saliency at the crossings of
  thirds, along the diagonals and at the centre (3).
- *Harmony*: how much one hue, and one direction of edges, prevails among 8 in the surroundings of a pixel: the
  difference of the two most frequent, less the further they are apart (2).
- *Variety*: the shares of eleven colour names, the number of names with 1 % or more, and the entropy of shares (13);
  static and slanted lines, `emotune.models.handmade.lines` (6).
- *Gradation*: windowed total and inherent variation (Xu, Yan, Xia, Jia 2012), and their ratio, along x, along y and
  both (9): where a window's slopes have one sign, both are equal; texture has a small inherent variation.
- *Movement*: a path of the eye over the salient places, `emotune.models.handmade.saliency` (8).
"""

import numpy as np
from scipy import ndimage
from skimage.color import rgb2lab

from emotune.models.handmade.colour_names import COLOUR_NAMES, colour_name_shares
from emotune.models.handmade.colour_spaces import Ihsl, hue_weights, ihsl
from emotune.models.handmade.feature_set import FeatureSet
from emotune.models.handmade.itten import CONTRASTS, itten_contrasts
from emotune.models.handmade.lines import LINE_STATISTICS, edges_of, line_statistics, lines_of
from emotune.models.handmade.resizing import REGION_AREA, fixed_area, square
from emotune.models.handmade.saliency import MASKS, PATH, SIDE, focused_attention, saliency_of, scan_path
from emotune.models.handmade.segments import segments_of

__all__ = ["FEATURES", "principles"]

SMALL_AREA = 64 * 64
"""The number of pixels on which mirror images are compared: detail need not match."""
RADII = (2, 4, 6, 8, 12, 16, 24, 32)
"""The radii of radial symmetry, in pixels of an image of 128×128 or the same area."""
RADIAL_AREA = 128 * 128
WINDOW = 3.0
"""The standard deviation of the windows of variation, in pixels."""
BINS, SURROUNDINGS = 8, 9
"""The directions that harmony tells apart, and the side of a pixel's surroundings."""
PRESENT = 0.01
"""The share from which a colour name counts."""


def principles(image: np.ndarray) -> np.ndarray:
    """Statistics of six principles of art: uint8 (H, W, 3) → float32 (78,)."""
    resized = fixed_area(image, REGION_AREA)
    channels = ihsl(resized)
    saliency = saliency_of(ihsl(square(resized, SIDE)).luminance)
    numbers = [
        _mirrored(fixed_area(resized, SMALL_AREA)),
        _radial(ihsl(fixed_area(resized, RADIAL_AREA)).luminance),
        itten_contrasts(channels, segments_of(channels.luminance)),
        focused_attention(saliency),
        _harmony(channels),
        _colours(resized),
        line_statistics(lines_of(edges_of(channels.luminance)), resized.shape),
        _gradation(channels.luminance),
        scan_path(saliency),
    ]
    return np.concatenate(numbers).astype(np.float32)


def _mirrored(image: np.ndarray) -> np.ndarray:
    """The correlations of lightness, colour and edges with three mirror images: (9,), 1 for what has no contrast."""
    lab = rgb2lab(image.astype(np.float32) / np.float32(255)) / 100
    edges = np.hypot(*np.asarray(np.gradient(ndimage.gaussian_filter(lab[..., 0], 1.0))))
    correlations = []
    for values in (lab[..., :1], lab[..., 1:], edges[..., None]):
        centred = values - values.mean(axis=(0, 1))
        power = np.square(centred).sum()
        for mirrored in (centred[:, ::-1], centred[::-1], centred[::-1, ::-1]):
            correlations.append((centred * mirrored).sum() / power if power > 1e-4 * values.size**0.5 else 1)
    return np.array(correlations)


def _radial(grey: np.ndarray) -> np.ndarray:
    """The greatest share of edges that point to one place at each radius, (8,), 0 without edges.

    An edge counts by the root of its magnitude, so that one strong edge does not hide the rest.
    """
    down, across = np.asarray(np.gradient(ndimage.gaussian_filter(grey, 1.0)))
    magnitude = np.hypot(down, across)
    rows, columns = np.nonzero(magnitude > 0.02)
    if not len(rows):
        return np.zeros(len(RADII))
    strength = magnitude[rows, columns]
    direction = np.stack([down[rows, columns], across[rows, columns]]) / strength
    weights, shares = np.sqrt(strength), []
    for radius in RADII:
        sigma = 1 + radius / 8
        best = 0.0
        for sign in (-1, 1):  # towards what is dark, or bright
            at = np.round(np.stack([rows, columns]) + sign * radius * direction).astype(int)
            inside = ((at >= 0) & (at < np.array(grey.shape)[:, None])).all(axis=0)
            places = np.ravel_multi_index(tuple(at[:, inside]), grey.shape)
            votes = np.bincount(places, weights[inside], minlength=grey.size).reshape(grey.shape)
            best = max(
                best, ndimage.gaussian_filter(votes, sigma, mode="constant", truncate=3).max() * 2 * np.pi * sigma**2
            )
        shares.append(best / weights.sum())
    return np.minimum(shares, 1)


def _harmony(channels: Ihsl) -> np.ndarray:
    """How far one hue, and one direction of edges, prevails in the surroundings of pixels, (2,), each 0 to 1."""
    down, across = np.asarray(np.gradient(ndimage.gaussian_filter(channels.luminance, 1.0)))
    kinds = (channels.hue, hue_weights(channels.saturation)), (np.arctan2(down, across), np.hypot(down, across))
    found = []
    for angle, weights in kinds:
        bins = np.round(angle * (BINS / (2 * np.pi))).astype(int) % BINS
        heights = np.stack(
            [ndimage.uniform_filter(np.where(bins == one, weights, 0), SURROUNDINGS)[::2, ::2] for one in range(BINS)]
        )
        total = heights.sum(axis=0)
        order = np.argsort(heights, axis=0)[-2:]
        second, first = np.take_along_axis(heights, order, axis=0)
        apart = np.abs(order[1] - order[0])
        closeness = np.exp(1 - np.minimum(apart, BINS - apart))  # 1 for neighbours
        # A bin alone has no second one to be apart from.
        harmony = np.where(second > 1e-3 * first, closeness, 1) * (first - second)
        found.append(np.maximum(harmony, 0).sum() / max(total.sum(), 1e-3 * total.size))
    return np.array(found)


def _colours(image: np.ndarray) -> np.ndarray:
    """The shares of colour names, the number of those that occur, and the entropy of shares over its maximum: (13,)."""
    shares = colour_name_shares(image)
    seen = shares[shares > 0]
    entropy = -(seen * np.log(seen)).sum() / np.log(len(shares))
    return np.array([*shares, (shares >= PRESENT).sum(), entropy])


def _gradation(grey: np.ndarray) -> np.ndarray:
    """The means of windowed total variation, of inherent variation, and their ratio; each along x, y and both: (9,)."""
    total, inherent = [], []
    for axis in (1, 0):
        slope = np.diff(grey, axis=axis, append=np.take(grey, [-1], axis=axis))
        total.append(ndimage.gaussian_filter(np.abs(slope), WINDOW, truncate=3).mean())
        inherent.append(np.abs(ndimage.gaussian_filter(slope, WINDOW, truncate=3)).mean())
    totals, inherents = np.array([*total, sum(total)]), np.array([*inherent, sum(inherent)])
    return np.concatenate([totals, inherents, inherents / np.maximum(totals, 1e-4)])


MIRRORS = ("left-right", "up-down", "half-turn")
GROUPS: dict[str, tuple[object, ...]] = {
    "balance_mirror": tuple(f"{what}-{how}" for what in ("lightness", "colour", "edges") for how in MIRRORS),
    "balance_radial": RADII,
    "emphasis_itten": tuple(f"{contrast}-{what}" for what in ("mean", "max") for contrast in CONTRASTS),
    "emphasis_attention": MASKS,
    "harmony": ("hue", "direction"),
    "variety_colours": (*COLOUR_NAMES, "count", "entropy"),
    "variety_lines": LINE_STATISTICS,
    "gradation": tuple(f"{what}-{axis}" for what in ("total", "inherent", "ratio") for axis in ("x", "y", "both")),
    "movement": PATH,
}
FEATURES = FeatureSet(
    name="principles",
    columns=tuple(f"{group}/{number}" for group, numbers in GROUPS.items() for number in numbers),
    compute=principles,
)
