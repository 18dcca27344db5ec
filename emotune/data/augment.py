"""Crop, flip and normalisation, on the batch and on its device; what is drawn depends on seed, epoch and picture."""

from dataclasses import dataclass

import numpy as np
import torch

from emotune.data.cache import SIDE

__all__ = ["CROP", "Views", "apply_views", "center_views", "draw_views"]

CROP = 227
"""Pixels: with it, and only with it, AlexNet's last pooling gives 6×6 positions (the thesis, section 3)."""

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's training pictures in RGB: the field's custom, whatever the data set."""


@dataclass(frozen=True)
class Views:
    """How each picture of a split is seen in one epoch: crop corners (N, 2) in pixels, mirrored or not (N,)."""

    corners: np.ndarray
    flipped: np.ndarray


def draw_views(pictures: int, seed: int, epoch: int, *, crop: str = "random", flip: bool = True) -> Views:
    """The views of one epoch, for all pictures of the split, so that they do not depend on rank or batch."""
    generator = np.random.default_rng([seed, epoch])
    corners = generator.integers(0, SIDE - CROP + 1, (pictures, 2))
    flipped = generator.random(pictures) < 0.5
    middle = center_views(pictures)
    return Views(corners if crop == "random" else middle.corners, flipped if flip else middle.flipped)


def center_views(pictures: int) -> Views:
    """The centre of every picture, as it is: what evaluation sees."""
    return Views(np.full((pictures, 2), (SIDE - CROP) // 2), np.zeros(pictures, dtype=bool))


def apply_views(batch: torch.Tensor, views: Views, indices: np.ndarray) -> torch.Tensor:
    """uint8 (B, SIDE, SIDE, 3) to normalised float32 (B, 3, CROP, CROP) in channels-last memory.

    Args:
        batch: The pictures at ``indices`` of the split.
        views: Of the whole split.
        indices: (B,).
    """
    crops = torch.empty((len(batch), CROP, CROP, 3), dtype=torch.uint8, device=batch.device)
    for row, index in enumerate(indices):
        top, left = (int(corner) for corner in views.corners[index])
        crop = batch[row, top : top + CROP, left : left + CROP]
        crops[row] = crop.flip(1) if views.flipped[index] else crop
    mean = torch.tensor(MEAN, device=batch.device) * 255
    std = torch.tensor(STD, device=batch.device) * 255
    return ((crops.float() - mean) / std).permute(0, 3, 1, 2)  # the permuted view is channels-last memory
