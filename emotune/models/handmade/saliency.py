"""Where an image draws the eye: saliency from its spectrum, how it lies to rules of composition, and a path over it."""

import numpy as np
from scipy import fft, ndimage

__all__ = ["MASKS", "PATH", "focused_attention", "saliency_of", "scan_path"]

SIDE = 64
"""Saliency is computed on a square of this side, the scale that Hou and Zhang (2007) propose."""
FLAT = 1e-3
"""The standard deviation below which an image has nothing to see."""
MASKS = ("thirds", "diagonals", "centre")
SPREAD = 0.08
"""The standard deviation of the masks around their points and lines, over the side."""
PATH = ("fixations", "mean-length", "spread-length", "horizontal", "vertical", "turn", "from-centre", "coverage")
FIXATIONS, WORTH, INHIBITED = 8, 0.2, 6.0
"""The most fixations, the least saliency of one over that of the first, and the standard deviation in pixels of what is
inhibited around it."""


def saliency_of(grey: np.ndarray) -> np.ndarray:
    """The saliency of each place, by the spectral residual of Hou and Zhang (2007): float (64, 64) → (64, 64), sum 1.

    What the logarithm of the amplitudes has beyond its local mean is what is unusual in an image. Nothing to see makes
    all places equal.

    Args:
        grey: A grey image, reduced to a square.
    """
    if grey.std() < FLAT:
        return np.full(grey.shape, 1 / grey.size)
    spectrum = np.asarray(fft.fft2(grey - grey.mean()))
    amplitude = np.log(np.abs(spectrum) + 1e-6)
    residual = amplitude - ndimage.uniform_filter(amplitude, 3, mode="wrap")
    map_ = np.abs(np.asarray(fft.ifft2(np.exp(residual + 1j * np.angle(spectrum))))) ** 2
    smooth = ndimage.gaussian_filter(map_, 2.5)
    return smooth / smooth.sum()


def focused_attention(saliency: np.ndarray) -> np.ndarray:
    """The shares of saliency at the crossings of thirds, along the diagonals and at the centre, each 0 to 1: (3,).

    Args:
        saliency: The saliency of a square, (n, n), with sum 1.
    """
    y, x = (np.mgrid[: len(saliency), : len(saliency)] + 0.5) / len(saliency)
    thirds = [np.hypot(x - across / 3, y - down / 3) for across in (1, 2) for down in (1, 2)]
    distances = (
        np.min(thirds, axis=0),
        np.minimum(np.abs(x - y), np.abs(x + y - 1)) / 2**0.5,
        np.hypot(x - 0.5, y - 0.5),
    )
    return np.array([(saliency * np.exp(-((one / SPREAD) ** 2) / 2)).sum() for one in distances])


def scan_path(saliency: np.ndarray) -> np.ndarray:
    """Statistics of a path of the eye from the most salient place to the next, each inhibited once it was seen: (8,).

    They are named by `PATH`: the number of fixations over 8; of the jumps between them the mean and the standard
    deviation of lengths, the mean of their horizontal and vertical parts, and the mean turn over π; the distance of the
    first fixation from the centre; and the share of saliency that was seen. Lengths are over the side.

    Args:
        saliency: The saliency of a square, (n, n), with sum 1.
    """
    left, side = saliency.copy(), len(saliency)
    y, x = np.mgrid[:side, :side]
    places: list[tuple[np.intp, ...]] = []
    while len(places) < FIXATIONS and left.max() >= WORTH * saliency.max():
        row, column = np.unravel_index(left.argmax(), left.shape)
        places.append((row, column))
        left *= 1 - np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * INHIBITED**2))
    path = (np.array(places) + 0.5) / side
    jumps = np.diff(path, axis=0)
    lengths = np.hypot(*jumps.T)
    moments = [lengths.mean(), lengths.std(), *np.abs(jumps[:, ::-1]).mean(axis=0)] if len(jumps) else [0] * 4
    directions = np.arctan2(*jumps.T)
    turns = np.abs((np.diff(directions) + np.pi) % (2 * np.pi) - np.pi)
    turn = turns.mean() / np.pi if len(turns) else 0
    return np.array([len(path) / FIXATIONS, *moments, turn, np.hypot(*(path[0] - 0.5)), 1 - left.sum()])
