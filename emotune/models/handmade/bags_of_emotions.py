"""Emotions of the colours at interest points, after Solli and Lenz (2009).

80 numbers. Solli and Lenz, "Color based bags-of-emotions": pixels become Ou's activity, weight and heat; gradient
magnitudes of a stack of low-pass filtered images give interest points of two kinds, homogeneous areas and transitions
between areas; the emotions around each point go into a bag. The rest is our own reading:

- The stack has four levels, each half as wide as the one before, smoothed by a Gaussian of σ = 1 pixel of its level; so
  σ is about 1, 2, 4 and 8 pixels of an image of 256×256.
- A point is homogeneous where the magnitude, the root of the sum of squares over the three scales, is the least in its
  5×5 neighbourhood, and a transition where it is the greatest there and at least 0.1.
- A homogeneous point gives its own emotions to histograms of 8 bins for each scale (24 numbers). A transition gives
  those at 3 pixels on both sides of it along the gradient: on each scale the lower value to one histogram, the higher
  to another (48). Bins are cut at fixed values, not learnt. Histograms are roots of shares, 0 without points.
- The share of pixels that are points of a kind, for each level (8).
"""

import numpy as np
from scipy import ndimage

from emotune.models.handmade.colour_emotions import SCALES, emotions_of_image
from emotune.models.handmade.feature_set import FeatureSet
from emotune.models.handmade.resizing import SQUARE_AREA, fixed_area

__all__ = ["FEATURES", "bags_of_emotions"]

LEVELS = 4
CUTS = (-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5)
NEIGHBOURHOOD = 5
EDGE = 0.1
"""The least magnitude of a transition, in units of the scales per pixel of its level."""
REACH = 3.0
"""The distance from a transition to what lies on either side, in pixels of its level."""
DECIMALS = 4
"""Magnitudes are rounded to so many places; otherwise rounding errors would make points of a blank area."""
SIDES = ("homogeneous", "lower", "higher")


def bags_of_emotions(image: np.ndarray) -> np.ndarray:
    """Histograms of the emotions at interest points: uint8 (H, W, 3) → float32 (80,)."""
    emotions = emotions_of_image(fixed_area(image, SQUARE_AREA))
    bags: dict[str, list[np.ndarray]] = {side: [] for side in SIDES}
    densities = []
    for level in range(LEVELS):
        smooth = np.stack([ndimage.gaussian_filter(emotions[..., one], 1.0) for one in range(len(SCALES))])
        down, across = np.asarray(np.gradient(smooth, axis=(1, 2)))
        magnitude = np.round(np.sqrt((down**2 + across**2).sum(axis=0)), DECIMALS)
        homogeneous = magnitude == ndimage.minimum_filter(magnitude, NEIGHBOURHOOD)
        transition = (magnitude == ndimage.maximum_filter(magnitude, NEIGHBOURHOOD)) & (magnitude >= EDGE)
        bags["homogeneous"].append(smooth[:, homogeneous])
        sides = _both_sides(smooth, down[:, transition], across[:, transition], np.argwhere(transition))
        bags["lower"].append(sides.min(axis=0))
        bags["higher"].append(sides.max(axis=0))
        densities += [homogeneous.mean(), transition.mean()]
        if level + 1 < LEVELS:
            emotions = _halved(emotions)
    histograms = [_histogram(values) for side in SIDES for values in np.concatenate(bags[side], axis=1)]
    return np.concatenate([*histograms, densities]).astype(np.float32)


def _both_sides(smooth: np.ndarray, down: np.ndarray, across: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The emotions on both sides of P transitions: (2, 3, P).

    Args:
        smooth: The smoothed level, (3, h, w).
        down: The derivatives along columns at the points, (3, P).
        across: Those along rows.
        points: Rows and columns of the points, (P, 2).
    """
    # The scale with the steepest slope tells the direction, because the scales may rise in opposite directions.
    steepest = (down**2 + across**2).argmax(axis=0)
    slope = np.stack([np.choose(steepest, list(down)), np.choose(steepest, list(across))], axis=1)
    step = REACH * slope / np.linalg.norm(slope, axis=1, keepdims=True)
    ends = np.clip(np.round(points + np.stack([step, -step])), 0, np.array(smooth.shape[1:]) - 1).astype(int)
    return np.moveaxis(smooth[:, ends[..., 0], ends[..., 1]], 0, 1)


def _halved(emotions: np.ndarray) -> np.ndarray:
    """The next level, means of 2×2 pixels: (h, w, 3) → (h/2, w/2, 3), without an odd last row or column."""
    height, width = (side // 2 for side in emotions.shape[:2])
    return emotions[: 2 * height, : 2 * width].reshape(height, 2, width, 2, -1).mean(axis=(1, 3))


def _histogram(values: np.ndarray) -> np.ndarray:
    """The roots of the shares of values in the 8 bins of a scale, all 0 without values."""
    counts = np.bincount(np.searchsorted(CUTS, values, side="right"), minlength=len(CUTS) + 1)
    return np.sqrt(counts / max(len(values), 1))


FEATURES = FeatureSet(
    name="bags_of_emotions",
    columns=(
        *(f"{side}_{scale}/{bin_}" for side in SIDES for scale in SCALES for bin_ in range(len(CUTS) + 1)),
        *(f"points/{kind}{level}" for level in range(LEVELS) for kind in ("homogeneous", "transition")),
    ),
    compute=bags_of_emotions,
)
