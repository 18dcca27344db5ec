"""Coarseness, contrast and directionality after Tamura, Mori and Yamawaki (1978)."""

import numpy as np

__all__ = ["coarseness", "contrast", "directionality"]

SCALES = 5
"""The windows of coarseness have sides of 2, 4 … 32 pixels."""
THRESHOLD = 12
"""The gradient, of 255, from which a pixel has a direction."""
DIRECTIONS = 16
PEAK = 2 / DIRECTIONS
"""The share of a direction from which it can be a peak: twice that of noise. Own reading."""


def coarseness(grey: np.ndarray) -> float:
    """The mean over pixels of the best window's side, over 32.

    The best window is the one with the largest difference between the means of the two windows of this side that touch
    at the pixel, left and right or above and below; the smallest of equally good ones. Borders are mirrored.

    Args:
        grey: Grey values 0 to 255, int (H, W).
    """
    margin = 2**SCALES
    padded = np.pad(grey, margin, mode="symmetric")
    total = np.pad(padded.cumsum(axis=0, dtype=np.int64).cumsum(axis=1), ((1, 0), (1, 0)))
    height, width = grey.shape
    most, best = np.zeros(grey.shape), np.full(grey.shape, 2.0)
    for side in 2 ** np.arange(1, SCALES + 1):
        # The sum over a window from each corner on: exact, so that flat regions have no difference at all.
        sums = total[side:, side:] - total[side:, :-side] - total[:-side, side:] + total[:-side, :-side]
        half = side // 2
        middle, before, here = margin - half, margin - side, margin
        beside = sums[middle : middle + height, here : here + width] - sums[middle:, before:][:height, :width]
        above = sums[here : here + height, middle : middle + width] - sums[before:, middle:][:height, :width]
        difference = np.maximum(np.abs(beside), np.abs(above)) / side**2
        larger = difference > most
        most[larger], best[larger] = difference[larger], side
    return float(best.mean()) / margin


def contrast(grey: np.ndarray) -> float:
    """σ / κ^¼ over 128, with κ the fourth moment over σ⁴; 0 for a constant image.

    Args:
        grey: Grey values 0 to 255, int (H, W).
    """
    shares = np.bincount(grey.ravel(), minlength=256) / grey.size
    away = np.arange(256) - (np.arange(256) * shares).sum()
    variance, fourth = (float((away**power * shares).sum()) for power in (2, 4))
    return variance / fourth**0.25 / 128 if variance > 1e-9 else 0.0


def directionality(grey: np.ndarray) -> float:
    """The second moment of directions around their peaks in squared radians, over 5: 0 for parallel lines.

    The histogram has 16 directions in half a turn, of pixels with a Prewitt gradient, (|Δh| + |Δv|) / 2, of 12 or more.
    Own reading: a peak is a direction that is not rarer than its neighbours, with twice the share that it would have in
    noise, or else the most frequent one; each direction belongs to the nearest peak. Without gradients all directions
    are alike.

    Args:
        grey: Grey values 0 to 255, int (H, W).
    """
    across, down = grey[:, 2:] - grey[:, :-2], grey[2:] - grey[:-2]
    across = across[:-2] + across[1:-1] + across[2:]
    down = down[:, :-2] + down[:, 1:-1] + down[:, 2:]
    seen = np.abs(across) + np.abs(down) >= 2 * THRESHOLD
    bins = np.round(np.arctan2(down[seen], across[seen]) * (DIRECTIONS / np.pi)).astype(np.intp) % DIRECTIONS
    shares = np.bincount(bins, minlength=DIRECTIONS) / len(bins) if len(bins) else np.full(DIRECTIONS, 1 / DIRECTIONS)
    top = (shares >= np.roll(shares, 1)) & (shares >= np.roll(shares, -1)) & (shares >= PEAK)
    peaks = np.flatnonzero(top) if top.any() else np.atleast_1d(shares.argmax())
    steps = np.abs(np.arange(DIRECTIONS)[:, None] - peaks)
    nearest = np.minimum(steps, DIRECTIONS - steps).min(axis=1)
    return float((shares * (nearest * np.pi / DIRECTIONS) ** 2).sum()) / 5
