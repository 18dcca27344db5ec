"""Roundness, angularity and simplicity of the shapes in an image, after Lu et al. (2012).

98 numbers. "On shape and the computability of emotions" (Lu, Suryanarayan, Adams, Li, Newman, Wang 2012) relates shapes
to emotions on two scales: roundness-angularity and simplicity-complexity. What follows is our own reading:

- Contours are edges of Canny, for an image of 256×256 pixels or the same area. A thin line has two contours, one on
  each side. Pieces of contours reach from corner to corner.
- *Segments* are pieces that are straight: the distance of their ends is at least 0.97 of their length. Orientation in
  12 bins of 15°, the first around the horizontal (12 numbers), length in 6 bins (6), mass (4).
- *Lines* are whole contours: degree of curving, that distance over the length, 1 for straight and 0 for closed ones, in
  10 bins (10); length in 6 bins (6); mass (4); and the logarithms of one more than the numbers of contours, closed
  contours, segments and curves (4), a measure of complexity.
- *Angles* at corners: the logarithm of one more than their number (1), 9 bins of 20° (9), mean and standard deviation
  over 180° (2).
- *Curves* are the other pieces of at least 16 pixels, of which the longest 64 are fitted by ellipses: circularity, the
  minor over the major axis, in 10 bins (10); fitness, the share of pixels within 1.5 pixels of the ellipse, in 5 bins
  (5); area in 6 bins (6); orientation in 6 bins of 30° (6); mass (4); and circularity, fitness and the root of the area
  of the three roundest (9): those with the greatest product of circularity, fitness and the share of the ellipse that
  the curve goes along.

Histograms are roots of shares; orientations and degrees of curving count by length. Mass is the mean and the standard
deviation of rows and columns over the sides of the image. What does not occur leaves zeros.
"""

import numpy as np
from skimage.measure import EllipseModel

from emotune.models.handmade.contours import Pieces, contours_of, pieces_of
from emotune.models.handmade.feature_set import FeatureSet
from emotune.models.handmade.resizing import SQUARE_AREA, fixed_area

__all__ = ["FEATURES", "shapes"]

STRAIGHT = 0.97
LENGTHS = (16, 24, 32, 64, 128)
"""Where the bins of lengths are cut, in pixels."""
AREAS = (0.001, 0.003, 0.01, 0.03, 0.1)
"""Where the bins of ellipses' areas are cut, in shares of the image."""
SHORTEST_CURVE, MOST_CURVES = 16, 64
ON_ELLIPSE = 1.5
ROUNDEST = 3


def shapes(image: np.ndarray) -> np.ndarray:
    """Statistics of segments, lines, angles and curves: uint8 (H, W, 3) → float32 (98,)."""
    resized = fixed_area(image, SQUARE_AREA)
    sides = np.array(resized.shape[:2])
    lines, pieces, angles = pieces_of(contours_of(resized))
    straight = pieces.straightness >= STRAIGHT
    curved = np.flatnonzero(~straight & (pieces.count >= SHORTEST_CURVE))
    counts = [len(lines.first), (lines.chord == 0).sum(), straight.sum(), len(curved)]
    numbers = [
        *_segments(pieces, np.flatnonzero(straight), sides),
        _histogram(np.minimum(lines.straightness * 10, 9).astype(int), 10, lines.length),
        _histogram(np.searchsorted(LENGTHS, lines.length), len(LENGTHS) + 1),
        _mass(lines.points, sides),
        np.log1p(counts),
        *_angles(np.rad2deg(angles)),
        *_curves(pieces, curved, sides),
    ]
    return np.concatenate(numbers).astype(np.float32)


def _segments(pieces: Pieces, chosen: np.ndarray, sides: np.ndarray) -> list[np.ndarray]:
    """Orientation, length and mass of straight pieces: (12,), (6,), (4,)."""
    ends = pieces.points[pieces.first[chosen] + pieces.count[chosen] - 1] - pieces.points[pieces.first[chosen]]
    degrees = np.rad2deg(np.arctan2(-ends[:, 0], ends[:, 1]))  # rows count downwards
    return [
        _histogram(np.round(degrees / 15).astype(int) % 12, 12, pieces.length[chosen]),
        _histogram(np.searchsorted(LENGTHS, pieces.length[chosen]), len(LENGTHS) + 1),
        _mass(np.concatenate([pieces.of(one) for one in chosen]) if len(chosen) else np.zeros((0, 2)), sides),
    ]


def _angles(degrees: np.ndarray) -> list[np.ndarray]:
    """Number, histogram, mean and standard deviation of angles: (1,), (9,), (2,)."""
    moments = [degrees.mean() / 180, degrees.std() / 180] if len(degrees) else [0, 0]
    return [np.log1p([len(degrees)]), _histogram(np.minimum(degrees // 20, 8).astype(int), 9), np.array(moments)]


def _curves(pieces: Pieces, chosen: np.ndarray, sides: np.ndarray) -> list[np.ndarray]:
    """Circularity, fitness, area, orientation, mass of curves, and the roundest ones: 10, 5, 6, 6, 4, and 9 numbers."""
    longest = chosen[np.argsort(-pieces.length[chosen], kind="stable")[:MOST_CURVES]]
    fits = []
    for piece in longest:
        fit = _ellipse(pieces.of(piece), float(pieces.length[piece]), sides)
        if fit is not None:
            fits.append(fit)
    found = np.array(fits).reshape(-1, 5)
    circularity, fitness, area, degrees, covered = found.T
    roundest = np.argsort(-circularity * fitness * covered, kind="stable")[:ROUNDEST]
    top = np.zeros((ROUNDEST, 3))
    top[: len(roundest)] = np.stack([circularity, fitness, np.sqrt(area)], axis=1)[roundest]
    return [
        _histogram(np.minimum(circularity * 10, 9).astype(int), 10),
        _histogram(np.minimum(fitness * 5, 4).astype(int), 5),
        _histogram(np.searchsorted(AREAS, area), len(AREAS) + 1),
        _histogram(np.round(degrees / 30).astype(int) % 6, 6, 1 - circularity),  # a circle has none
        _mass(np.concatenate([pieces.of(one) for one in chosen]) if len(chosen) else np.zeros((0, 2)), sides),
        top.ravel(),
    ]


def _ellipse(points: np.ndarray, length: float, sides: np.ndarray) -> tuple[float, ...] | None:
    """The ellipse along a curve: circularity, fitness, area over the image's, degrees, share of it that is covered.

    Returns:
        None where no ellipse fits, or one that reaches far beyond the image, as along a nearly straight curve.
    """
    with np.errstate(all="ignore"):  # of some symmetric curves it divides by zero, and finds the right angle
        model = EllipseModel.from_estimate(points[:, ::-1].astype(float))
    if not model:
        return None
    axes, theta = np.asarray(model.axis_lengths, float), model.theta
    if not (np.isfinite(axes).all() and np.isfinite(theta) and axes.min() >= 1 and axes.max() <= np.hypot(*sides)):
        return None
    offset = points[:, ::-1] - model.center
    turn = np.array([[np.cos(theta), -np.sin(theta)], [np.sin(theta), np.cos(theta)]])
    along = offset @ turn
    radius = np.hypot(*(along / axes).T)
    distance = np.abs(1 - 1 / np.maximum(radius, 1e-6)) * np.hypot(*along.T)  # towards the centre
    minor, major = np.sort(axes)
    degrees = np.rad2deg(-theta) + (90 if axes[1] > axes[0] else 0)
    mean = (minor + major) / 2
    covered = min(length / (2 * np.pi * mean), 1)
    fitness = (distance <= ON_ELLIPSE).mean()
    return minor / major, fitness, np.pi * minor * major / sides.prod(), degrees % 180, covered


def _histogram(bins: np.ndarray, count: int, weights: np.ndarray | None = None) -> np.ndarray:
    """The roots of the shares of the bins, zeros where nothing counts."""
    shares = np.bincount(bins, weights, minlength=count).astype(float)
    return np.sqrt(shares / max(shares.sum(), 1e-9))


def _mass(points: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """Mean and standard deviation of rows and columns over the sides, (4,), zeros without points."""
    return np.concatenate([points.mean(axis=0), points.std(axis=0)]) / np.tile(sides, 2) if len(points) else np.zeros(4)


MASS = ("mean-row", "mean-column", "spread-row", "spread-column")
TOP = tuple(f"{number}-{name}" for number in range(ROUNDEST) for name in ("circularity", "fitness", "size"))
GROUPS: dict[str, tuple[object, ...]] = {
    "segment_orientation": tuple(range(0, 180, 15)),
    "segment_length": tuple(range(6)),
    "segment_mass": MASS,
    "line_curving": tuple(range(10)),
    "line_length": tuple(range(6)),
    "line_mass": MASS,
    "line_count": ("contours", "closed", "segments", "curves"),
    "angle_count": ("corners",),
    "angle_size": (*range(0, 180, 20), "mean", "spread"),
    "curve_circularity": tuple(range(10)),
    "curve_fitness": tuple(range(5)),
    "curve_area": tuple(range(6)),
    "curve_orientation": tuple(range(0, 180, 30)),
    "curve_mass": MASS,
    "roundest": TOP,
}
FEATURES = FeatureSet(
    name="shapes",
    columns=tuple(f"{group}/{number}" for group, numbers in GROUPS.items() for number in numbers),
    compute=shapes,
)
