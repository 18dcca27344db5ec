"""The fixed views of images whose features are computed once, and the view that a training image has in an epoch.

The views of an image follow from its key and from the options that say how views are drawn. So they are the same in all
runs, for all seeds and parts of a data set, and however its images are cut into shards.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from emotune.config.input_spec import InputSpec
from emotune.config.run import RunConfig
from emotune.config.train import VIEW_OPTIONS, TrainConfig
from emotune.config.user_code import UserCode
from emotune.data.augment import CropBoxes, draw_crops, evaluation_crops
from emotune.data.read.batches import Split
from emotune.training.epoch_randomness import EpochRandomness
from emotune.training.step import TrainState

__all__ = ["View", "fixed_views", "in_views", "test_views", "training_views", "views_of_epoch"]


@dataclass(frozen=True)
class View:
    """A view of images.

    Attributes:
        name: Its name among the files of features, which tells how it is drawn.
        number: The number of the crop in evaluation, or of the drawn view.
        drawn: The training whose options say how the view is drawn; None: a crop of evaluation.
    """

    name: str
    number: int
    drawn: TrainConfig | None = None

    def randomness(self, keys: Sequence[str], input_spec: InputSpec) -> EpochRandomness:
        """The draws for images: crops, and the seeds of augmentation and erasing.

        Args:
            keys: The images' keys.
            input_spec: The input of the network.
        """
        nothing = np.zeros(len(keys), np.int64)
        train = self.drawn
        if train is None:
            crops = evaluation_crops(len(keys), 10 if self.number else 1, input_spec)[self.number]
            return EpochRandomness(crops, nothing, nothing, nothing, 0)
        seeds = [int.from_bytes(hashlib.sha256(f"{key}/view".encode()).digest()[:8], "big") >> 1 for key in keys]
        drawn = [
            draw_crops(1, seed, self.number, input_spec, crop=train.crop, flip=train.flip, min_scale=train.min_scale)
            for seed in seeds
        ]
        boxes = CropBoxes(
            np.concatenate([one.boxes for one in drawn]), np.concatenate([one.flipped for one in drawn]),
            input_spec.side,
        )  # fmt: skip

        def each(number: int) -> np.ndarray:
            return np.array([np.random.default_rng([seed, self.number, number]).integers(2**63) for seed in seeds])

        return EpochRandomness(boxes, each(1), each(2), nothing, 0)


def training_views(train: TrainConfig) -> list[View]:
    """The views that training images have: those that are drawn, or the centre crop."""
    if train.views == 1:
        return test_views(1)
    options = {name: getattr(train, name) for name in VIEW_OPTIONS}
    plain = {name: one.identity if isinstance(one, UserCode) else one for name, one in options.items()}
    digest = hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()[:8]
    return [View(f"drawn{digest}n{number}", number, train) for number in range(train.views)]


def test_views(crops: int) -> list[View]:
    """The crops over which evaluation averages: 1, 5 or 10."""
    return [View(f"crop{number}", number) for number in range(crops)]


def fixed_views(run: RunConfig, state: TrainState, split: Split) -> list[EpochRandomness]:
    """What is drawn for the training images in each view; empty unless features are computed from them in each step."""
    if state.backbone is None or split.features is not None:
        return []
    return [view.randomness(split.keys, run.input) for view in training_views(run.train)]


def views_of_epoch(run: RunConfig, epoch: int, images: int) -> np.ndarray:
    """The number of the view that each training image has in an epoch, (N,)."""
    generator = np.random.default_rng([run.stream("augment"), epoch, 4])  # 1 to 3 are drawn by the training loop
    return generator.integers(run.train.views, size=images)


def in_views(randomness: EpochRandomness, views: Sequence[EpochRandomness], numbers: np.ndarray) -> EpochRandomness:
    """An epoch's random choices, with each image's view in place of what would be drawn for the epoch.

    Args:
        randomness: The epoch's choices.
        views: What is drawn for all images in each view.
        numbers: The number of each image's view, (N,).
    """
    crops, images = [view.crops for view in views], np.arange(len(numbers))

    def chosen(name: str) -> np.ndarray:
        return np.stack([getattr(view, name) for view in views])[numbers, images]

    boxes = CropBoxes(
        np.stack([one.boxes for one in crops])[numbers, images],
        np.stack([one.flipped for one in crops])[numbers, images],
        crops[0].side,
    )
    return replace(
        randomness, crops=boxes, augment_seeds=chosen("augment_seeds"), erasing_seeds=chosen("erasing_seeds")
    )
