"""The differences between predicting classes, distributions and dimensions: targets, views, measures, columns."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import torch

from emotune.config.losses import CccLoss, MseLoss
from emotune.config.run import RunConfig
from emotune.config.target import Target
from emotune.config.train import TrainConfig
from emotune.data.annotations import vote_shares
from emotune.data.read.batches import Split
from emotune.runs.predictions import (
    LOGIT_PREFIX,
    PREDICTED_PREFIX,
    SD_PREFIX,
    SHARE_PREFIX,
    TRUE_PREFIX,
    accuracy,
    mean_concordance,
    mean_distribution,
)
from emotune.runs.record import EpochMetrics
from emotune.training.dimension_losses import dimension_loss
from emotune.training.distributed import World
from emotune.training.evaluate import Outputs, average_logits
from emotune.training.loss import Objective, make_loss, make_objective

__all__ = ["Task", "task_of", "true_shares"]


class Task(Protocol):
    """What a run predicts. Its score is what epochs and runs are told by: the accuracy, or the mean CCC.

    Attributes:
        score: The name of the score.
    """

    score: str

    def objective(self, split: Split, train: TrainConfig, world: World) -> Objective:
        """The objective of a run's training images, on the device of ``world``."""
        ...

    def average(self, views: Sequence[torch.Tensor]) -> torch.Tensor:
        """The outputs for images from those for several views of them, (B, K)."""
        ...

    def loss(self, targets: np.ndarray, outputs: Outputs) -> float:
        """The loss by which validation images are followed, whatever the loss of training."""
        ...

    def epoch_metrics(
        self,
        *,
        epoch: int,
        lr: float | None,
        train: tuple[float, float],
        val: tuple[np.ndarray, Outputs],
        train_s: float,
    ) -> EpochMetrics:
        """The metrics of an epoch.

        Args:
            epoch: The number of the epoch, from 1.
            lr: The learning rate of its first step.
            train: The mean loss of its steps, and their accuracy in per cent, which only classes have.
            val: The targets of the validation images, and the outputs for them.
            train_s: The seconds of training so far.
        """
        ...

    def score_of(self, targets: np.ndarray, outputs: np.ndarray) -> float:
        """The score of outputs (N, K) for targets as `Split` has them."""
        ...

    def columns(self, split: Split, outputs: np.ndarray) -> dict[str, Any]:
        """The columns of ``predictions.parquet`` besides the images' ids and groups."""
        ...

    def training_summary(self, split: Split) -> dict[str, Any]:
        """The field of the record that says what the trivial prediction is: of the training images alone."""
        ...


class _Classes:
    name: Target = "classes"
    score = "accuracy"

    def objective(self, split: Split, train: TrainConfig, world: World) -> Objective:
        return make_objective(split, train, world.device, self.name)

    def average(self, views: Sequence[torch.Tensor]) -> torch.Tensor:
        return average_logits(views)

    def loss(self, targets: np.ndarray, outputs: Outputs) -> float:
        return outputs.cross_entropy(targets)

    def epoch_metrics(
        self,
        *,
        epoch: int,
        lr: float | None,
        train: tuple[float, float],
        val: tuple[np.ndarray, Outputs],
        train_s: float,
    ) -> EpochMetrics:
        targets, outputs = val
        return {
            "epoch": epoch, "lr": lr, "train_loss": train[0], "train_accuracy": train[1],
            "val_loss": self.loss(targets, outputs), "val_accuracy": accuracy(targets, outputs.logits),
            "train_s_so_far": round(train_s, 3),
        }  # fmt: skip

    def score_of(self, targets: np.ndarray, outputs: np.ndarray) -> float:
        return accuracy(targets, outputs)

    def columns(self, split: Split, outputs: np.ndarray) -> dict[str, Any]:
        classes = np.array(split.classes)
        logits = {f"{LOGIT_PREFIX}{label}": outputs[:, index] for index, label in enumerate(split.classes)}
        return {"target": classes[split.targets].tolist(), "group": split.groups, **logits}

    def training_summary(self, split: Split) -> dict[str, Any]:
        counts = np.bincount(split.targets, minlength=len(split.classes))
        return {"train_by_class": dict(zip(split.classes, counts.tolist(), strict=True))}


class _Distributions(_Classes):
    """Distributions of votes are predicted as classes are; what is true of them is stored, too."""

    name: Target = "distributions"

    def columns(self, split: Split, outputs: np.ndarray) -> dict[str, Any]:
        shares = zip(split.classes, true_shares(split).T, strict=True)
        return super().columns(split, outputs) | {f"{SHARE_PREFIX}{label}": of_class for label, of_class in shares}

    def training_summary(self, split: Split) -> dict[str, Any]:
        means = mean_distribution(true_shares(split)).tolist()
        return super().training_summary(split) | {"train_shares": dict(zip(split.classes, means, strict=True))}


class _Dimensions:
    score = "ccc"

    def objective(self, split: Split, train: TrainConfig, world: World) -> Objective:
        targets = torch.from_numpy(split.targets).to(world.device)
        weights = torch.ones(len(targets), device=world.device)
        if isinstance(train.loss, MseLoss | CccLoss):
            return Objective(targets, targets, weights, dimension_loss(train.loss, world.sum))
        return Objective(targets, targets, weights, make_loss(train, split.classes))

    def average(self, views: Sequence[torch.Tensor]) -> torch.Tensor:
        return torch.stack(list(views)).mean(0)

    def loss(self, targets: np.ndarray, outputs: Outputs) -> float:
        return float(np.square(outputs.logits.astype(np.float64) - targets).mean())

    def epoch_metrics(
        self,
        *,
        epoch: int,
        lr: float | None,
        train: tuple[float, float],
        val: tuple[np.ndarray, Outputs],
        train_s: float,
    ) -> EpochMetrics:
        targets, outputs = val
        return {
            "epoch": epoch, "lr": lr, "train_loss": train[0], "val_loss": self.loss(targets, outputs),
            "val_ccc": mean_concordance(targets, outputs.logits), "train_s_so_far": round(train_s, 3),
        }  # fmt: skip

    def score_of(self, targets: np.ndarray, outputs: np.ndarray) -> float:
        return mean_concordance(targets, outputs)

    def columns(self, split: Split, outputs: np.ndarray) -> dict[str, Any]:
        columns: dict[str, Any] = {"group": split.groups}
        for index, one in enumerate(split.dimensions):
            # Rounded to what single precision has.
            columns[f"{TRUE_PREFIX}{one.name}"] = np.round(one.from_unit(split.targets[:, index].astype(np.float64)), 6)
            columns[f"{PREDICTED_PREFIX}{one.name}"] = one.from_unit(outputs[:, index].astype(np.float64))
            columns[f"{SD_PREFIX}{one.name}"] = split.deviations[:, index]
        return columns

    def training_summary(self, split: Split) -> dict[str, Any]:
        means = split.targets.astype(np.float64).mean(0)
        return {"train_means": {one.name: float(one.from_unit(means[i])) for i, one in enumerate(split.dimensions)}}


TASKS: Mapping[Target, Task] = MappingProxyType(
    {"classes": _Classes(), "distributions": _Distributions(), "dimensions": _Dimensions()}
)


def task_of(run: RunConfig) -> Task:
    """The task of a run."""
    return TASKS[run.dataset.task]


def true_shares(split: Split) -> np.ndarray:
    """The true shares of the votes, float32 (N, K)."""
    return vote_shares([split.classes[target] for target in split.targets], split.votes, split.classes)
