"""Columns 71 to 97: texture after Tamura et al. (1978), Haar wavelets (Datta et al. 2006) and grey-level co-occurrence
(Haralick et al. 1973)."""

import numpy as np

from emotune.models.handmade.colour_spaces import Ihsl, circular_mean, hue_weights
from emotune.models.handmade.machajdik.prepared import Prepared
from emotune.models.handmade.machajdik.tamura import coarseness, contrast, directionality
from emotune.models.handmade.machajdik.wavelets import LEVELS

__all__ = ["COLUMNS", "co_occurrence", "grey_levels", "hue_levels", "texture"]

CHANNELS = ("hue", "saturation", "luminance")
COLUMNS = (
    "tamura/coarseness", "tamura/contrast", "tamura/directionality",
    *(f"wavelets/{channel}_{level}" for level in range(1, LEVELS + 1) for channel in CHANNELS),
    *(f"wavelets/all_{level}" for level in range(1, LEVELS + 1)),
    *(f"co_occurrence/{channel}_{name}" for channel in CHANNELS
      for name in ("contrast", "correlation", "energy", "homogeneity")),
)  # fmt: skip
GREY_LEVELS = 8
"""The levels of a channel in its co-occurrence matrix, as MATLAB's default."""


def texture(prepared: Prepared) -> np.ndarray:
    """The features 71 to 97, float64 (27,).

    - tamura: see `emotune.models.handmade.machajdik.tamura`.
    - wavelets: the mean absolute detail of the three bands of a level, for each level and channel, then the sum over
      channels for each level. Absolute, because details of both signs would cancel out; each level divides the mean
      band of the one before. Own: hue enters as a complex number, see
      `emotune.models.handmade.machajdik.wavelets.channel_details`.
    - co_occurrence: contrast, correlation, energy and homogeneity of horizontal neighbours, see `co_occurrence`.
    """
    image = prepared.colours
    grey = np.round(255 * image.luminance).astype(np.int32)
    details = np.array([[np.mean(np.abs(band)) for band in level] for level in prepared.details])
    levels = hue_levels(image), grey_levels(image.saturation), grey_levels(image.luminance)
    return np.concatenate(
        [
            [coarseness(grey), contrast(grey), directionality(grey)],
            details.ravel(),
            details.sum(axis=1),
            *(co_occurrence(channel, circular=not number) for number, channel in enumerate(levels)),
        ]
    )


def grey_levels(channel: np.ndarray) -> np.ndarray:
    """Eight equal levels of a channel in 0 to 1: (H, W) → int (H, W)."""
    return np.minimum((channel * GREY_LEVELS).astype(np.intp), GREY_LEVELS - 1)


def hue_levels(image: Ihsl) -> np.ndarray:
    """Eight levels of hue, int (H, W), with the image's mean hue in the middle of level 4. Own reading.

    So reds on both sides of 0° have one level, and only hues opposite to the mean are neighbours of level 0 and 7. What
    has no hue has the mean one, in part where it is nearly grey.
    """
    mean, _ = circular_mean(image.hue, image.saturation)
    away = (image.hue - np.float32(mean) + np.float32(np.pi)) % np.float32(2 * np.pi) - np.float32(np.pi)
    turns = hue_weights(image.saturation) * away / np.float32(2 * np.pi)
    return (np.round(turns * GREY_LEVELS).astype(np.intp) + GREY_LEVELS // 2) % GREY_LEVELS


def co_occurrence(levels: np.ndarray, *, circular: bool = False) -> np.ndarray:
    """Contrast, correlation, energy and homogeneity of a channel's levels, float64 (4,).

    With p(i, j) the share of pixels of level i whose right neighbour has level j: Σ p |i − j|²; the correlation of i
    and j, 1 where a level is constant; Σ p²; Σ p / (1 + |i − j|).

    Args:
        levels: The levels of the pixels, int (H, W).
        circular: Whether the first level is a neighbour of the last one, so that |i − j| is the shorter way.
    """
    pairs = levels[:, :-1] * GREY_LEVELS + levels[:, 1:]
    p = np.bincount(pairs.ravel(), minlength=GREY_LEVELS**2).reshape(GREY_LEVELS, GREY_LEVELS) / pairs.size
    i, j = np.indices(p.shape)
    apart = np.abs(i - j)
    if circular:
        apart = np.minimum(apart, GREY_LEVELS - apart)
    i_away, j_away = i - (p * i).sum(), j - (p * j).sum()
    variance = (p * i_away**2).sum() * (p * j_away**2).sum()
    correlation = (p * i_away * j_away).sum() / np.sqrt(variance) if variance > 1e-20 else 1.0
    return np.array([(p * apart**2).sum(), correlation, (p**2).sum(), (p / (1 + apart)).sum()])
