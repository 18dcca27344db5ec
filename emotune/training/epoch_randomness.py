"""The random choices of an epoch for all images of a split, which follow from the run's seed streams alone."""

from dataclasses import dataclass

import numpy as np

from emotune.config.run import RunConfig
from emotune.data.augment import CropBoxes, draw_crops

__all__ = ["EpochRandomness", "draw_randomness"]


@dataclass(frozen=True)
class EpochRandomness:
    """The random choices of an epoch for every image of a split.

    Attributes:
        crops: The crop and flip of each image.
        augment_seeds: The seed of the draws of each image's augmentation, int64 (N,).
        erasing_seeds: The seed of the rectangle that is erased in each image, int64 (N,).
        dropout_seeds: The seed of each image's dropout masks, int64 (N,).
        network_seed: The seed of what the network draws from torch's generators.
    """

    crops: CropBoxes
    augment_seeds: np.ndarray
    erasing_seeds: np.ndarray
    dropout_seeds: np.ndarray
    network_seed: int


def draw_randomness(run: RunConfig, epoch: int, images: int) -> EpochRandomness:
    """Everything that is random about an epoch's images except their order, the same on every rank."""
    crops = draw_crops(
        images, run.stream("augment"), epoch, run.input,
        crop=run.train.crop, flip=run.train.flip, min_scale=run.train.min_scale,
    )  # fmt: skip

    def seeds(*key: int) -> np.ndarray:
        return np.random.default_rng(key).integers(2**63, size=images)

    augment = run.stream("augment"), epoch  # the crops' own key: a number after it makes another stream (3: mixing)
    generator = np.random.default_rng([run.stream("dropout"), epoch])
    return EpochRandomness(
        crops, seeds(*augment, 1), seeds(*augment, 2),
        dropout_seeds=generator.integers(2**63, size=images), network_seed=int(generator.integers(2**63)),
    )  # fmt: skip
