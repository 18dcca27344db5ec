"""Columns 1 to 21: colours of pixels, wherever they are."""

import numpy as np

from emotune.models.handmade.colour_names import COLOUR_NAMES, colour_name_shares
from emotune.models.handmade.colour_spaces import circular_mean
from emotune.models.handmade.machajdik.prepared import Prepared

__all__ = ["COLUMNS", "colourfulness", "pixel_colour"]

COLUMNS = (
    "brightness/saturation", "brightness/luminance",
    "valdez/pleasure", "valdez/arousal", "valdez/dominance",
    "hue/mean", "hue/dispersion", "hue/weighted_mean", "hue/weighted_dispersion",
    "colourfulness/earth_mover",
    *(f"colour_names/{name}" for name in COLOUR_NAMES),
)  # fmt: skip
BINS = 4
"""The bins of each of red, green and blue."""


def pixel_colour(prepared: Prepared) -> np.ndarray:
    """The first 21 features, float64 (21,), with S and Y the means of saturation and luminance.

    - brightness: S, Y.
    - valdez: pleasure .69 Y + .22 S, arousal −.31 Y + .60 S, dominance −.76 Y + .32 S (Valdez and Mehrabian 1994).
      Public readings of Machajdik and Hanbury have +.76 Y; the minus is our own reading.
    - hue: the mean direction in radians, -π to π, and the dispersion, of all pixels and weighted by saturation. Grey
      pixels have hue 0 and no weight.
    - colourfulness: see `colourfulness`.
    - colour_names: the share of pixels with each of eleven names; own table.
    """
    hue, saturation, luminance = prepared.colours
    s, y = float(saturation.mean(dtype=np.float64)), float(luminance.mean(dtype=np.float64))
    return np.array(
        [
            s, y, 0.69 * y + 0.22 * s, -0.31 * y + 0.60 * s, -0.76 * y + 0.32 * s, *circular_mean(hue),
            *circular_mean(hue, saturation), colourfulness(prepared.image), *colour_name_shares(prepared.image),
        ]
    )  # fmt: skip


def colourfulness(image: np.ndarray) -> float:
    """The earth mover's distance of an image's colours from the uniform distribution (Datta et al. 2006).

    Both are histograms of 4×4×4 cells of RGB. The image's mass of a cell lies at the mean colour of its pixels, the
    uniform mass at the cells' centres; the ground distance is Euclidean in CIELUV. A colourful image has a small one.

    Args:
        image: uint8 (H, W, 3).
    """
    from skimage.color.colorconv import rgb2luv  # late: it is an extra

    pixels = image.reshape(-1, 3)
    levels = (pixels // (256 // BINS)).astype(np.intp)
    cells = (levels[:, 0] * BINS + levels[:, 1]) * BINS + levels[:, 2]
    counts = np.bincount(cells, minlength=BINS**3)
    used = counts > 0
    sums = np.stack([np.bincount(cells, pixels[:, channel], minlength=BINS**3) for channel in range(3)], axis=1)
    colours = sums[used] / counts[used, None] / 255
    centres = (np.stack(np.meshgrid(*3 * [np.arange(BINS)], indexing="ij"), axis=-1).reshape(-1, 3) + 0.5) / BINS
    distances = np.linalg.norm(rgb2luv(colours)[:, None] - rgb2luv(centres)[None], axis=2)
    return _least_cost(counts[used] / counts.sum(), distances)


def _least_cost(masses: np.ndarray, distances: np.ndarray) -> float:
    """The cost of moving masses (N,), whose sum is 1, to M equal ones over distances (N, M)."""
    from scipy.optimize import linprog
    from scipy.sparse import eye_array, kron, vstack

    sources, targets = distances.shape
    if sources == 1:
        return float(distances.mean())
    leaving = kron(eye_array(sources), np.ones((1, targets)))
    # One of the constraints follows from the others; with it, rounding would make the problem infeasible.
    arriving = kron(np.ones((1, sources)), eye_array(targets)).tocsr()[:-1]
    bounds = np.concatenate([masses, np.full(targets - 1, 1 / targets)])
    found = linprog(distances.ravel(), A_eq=vstack([leaving, arriving]), b_eq=bounds, method="highs-ds")
    if found.fun is None:
        raise RuntimeError(f"the earth mover's distance was not found: {found.message}")
    return float(found.fun)
