"""Mixing the images of a global batch with each other, drawn from seed, epoch and step: MixUp and CutMix."""

from dataclasses import dataclass

import numpy as np
import torch

from emotune.config.input_spec import InputSpec
from emotune.config.train import TrainConfig

__all__ = ["Mixing", "Mixture", "make_mixing"]

MIXING_STREAM = 3
"""The number behind seed and epoch that tells these draws from those of crops and augmentations."""


@dataclass(frozen=True)
class Mixture:
    """How images of a global batch are mixed, each with a partner of the same batch.

    Attributes:
        partners: The position in the split of each image's partner, int64 (B,). Some images are their own partners.
        share: The share λ of the image in its mixture; the partner has the rest.
        box: The pixels that CutMix takes from the partner: top, left, bottom, right; None for MixUp, where every
            pixel is a weighted mean.
    """

    partners: np.ndarray
    share: float
    box: tuple[int, int, int, int] | None = None

    def mix(self, images: torch.Tensor, partners: torch.Tensor) -> None:
        """Mixes images with their partners, in place; both are float32 (B, …, 3, side, side)."""
        if self.box is None:
            images.lerp_(partners, 1 - self.share)
        else:
            top, left, bottom, right = self.box
            images[..., top:bottom, left:right] = partners[..., top:bottom, left:right]


@dataclass(frozen=True)
class Mixing:
    """The options of mixing.

    Attributes:
        mixup: The parameter α of MixUp's distribution Beta(α, α); 0: no MixUp.
        cutmix: The same of CutMix. If both are used, one is drawn for each batch, with equal probability.
        seed: The seed of the augmentation stream.
        side: The side of the images, in pixels.
    """

    mixup: float
    cutmix: float
    seed: int
    side: int = InputSpec.side

    def draw(self, batch: np.ndarray, epoch: int, step: int) -> Mixture:
        """The mixture of a global batch: a permutation of its images, and one share and box for all of them.

        One share for a batch is what both papers' algorithms have, and torchvision's classes. The permutation and the
        other uniform numbers are the same whatever the options are.

        Args:
            batch: The positions of the batch's images in the split, (B,).
            epoch: The number of the epoch, counted from 0.
            step: The number of the batch in its epoch, counted from 0.
        """
        generator = np.random.default_rng([self.seed, epoch, MIXING_STREAM, step])
        partners = generator.permutation(batch)
        first, row, column = generator.random(3)
        if not self.cutmix or (self.mixup and first < 0.5):
            return Mixture(partners, generator.beta(self.mixup, self.mixup))
        box = _box(generator.beta(self.cutmix, self.cutmix), row, column, self.side)
        top, left, bottom, right = box
        return Mixture(partners, 1 - (bottom - top) * (right - left) / self.side**2, box)


def make_mixing(train: TrainConfig, seed: int, side: int = InputSpec.side) -> Mixing | None:
    """The mixing that a run's training asks for; None without mixing.

    Args:
        train: The options of training.
        seed: The seed of the run's augmentation stream.
        side: The side of the network's images, in pixels.
    """
    return Mixing(train.mixup, train.cutmix, seed, side) if train.mixup or train.cutmix else None


def _box(share: float, row: float, column: float, side: int) -> tuple[int, int, int, int]:
    """CutMix's rectangle: 1 - λ of the area, around a centre given as shares of the side, without what is outside."""
    half = int(side * np.sqrt(1 - share) / 2)
    middles = int(row * side), int(column * side)
    top, left = (max(middle - half, 0) for middle in middles)
    bottom, right = (min(middle + half, side) for middle in middles)
    return top, left, bottom, right
