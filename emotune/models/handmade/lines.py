"""Straight lines of an image, and how static or slanted they are."""

import numpy as np

__all__ = ["LINE_STATISTICS", "edges_of", "line_statistics", "lines_of"]

LINE_STATISTICS = tuple(
    f"{kind}_{what}" for kind in ("static", "slanted") for what in ("absolute_angle", "relative_angle", "length")
)
SIGMA = 1.4
"""The standard deviation in pixels of the Gaussian that smooths before edges are found."""
STATIC = np.deg2rad(15)
"""The angle to the horizontal or vertical up to which a line is static."""
VOTES, LENGTH, GAP = 10, 20, 3
"""The votes that a line needs, its smallest length and the largest gap in it, in pixels. Own reading."""


def edges_of(luminance: np.ndarray) -> np.ndarray:
    """The edges of an image after Canny, from its luminance, 0 to 1: (H, W) → bool (H, W)."""
    from skimage.feature import canny  # late: it is an extra

    return canny(luminance, sigma=SIGMA)


def lines_of(edges: np.ndarray) -> np.ndarray:
    """The straight lines along edges by the probabilistic Hough transform: bool (H, W) → float64 (N, 2, 2).

    Each line has two ends, and each end has x and y in pixels. The order in which edges vote is drawn with a fixed
    seed, so that an image always has the same lines.
    """
    from skimage.transform import probabilistic_hough_line  # late: it is an extra

    found = probabilistic_hough_line(edges, threshold=VOTES, line_length=LENGTH, line_gap=GAP, rng=0)
    return np.array(found, np.float64).reshape(-1, 2, 2)


def line_statistics(lines: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The means of the static and of the slanted lines of an image, named by `LINE_STATISTICS`, float64 (6,).

    A line is static within 15° of the horizontal or vertical, else slanted (Machajdik and Hanbury 2010). For each kind
    they are the mean angle to the horizontal, 0 to 1 for 0° to 90°; the mean angle to the nearest of both axes, 0 to 1
    for 0° to 45°; and the mean length over the image's diagonal. Own reading: what the angles are measured from.
    Without lines of a kind its three numbers are 0.

    Args:
        lines: The lines, (N, 2, 2).
        shape: The height and width of the image in pixels.
    """
    run, rise = np.abs(lines[:, 1] - lines[:, 0]).T
    absolute = np.arctan2(rise, run)
    relative = np.minimum(absolute, np.pi / 2 - absolute)
    diagonal = (shape[0] ** 2 + shape[1] ** 2) ** 0.5
    numbers = np.stack([absolute / (np.pi / 2), relative / (np.pi / 4), np.hypot(run, rise) / diagonal])
    static = relative <= STATIC
    return np.concatenate([numbers[:, kind].mean(axis=1) if kind.any() else np.zeros(3) for kind in (static, ~static)])
