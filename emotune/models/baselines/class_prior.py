"""The trivial baselines: the frequencies of the classes in training, or its mean distribution, whatever the image."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from emotune.runs.predictions import class_prior, mean_distribution

__all__ = ["ClassPrior", "MeanDistribution"]


@dataclass
class ClassPrior:
    """The classes' shares of the training images as the prediction for every image.

    The frequencies are those of `emotune.runs.predictions.class_prior`, as in reports. The methods are those of
    `emotune.models.baselines.baseline.Baseline`.

    Args:
        classes: The number of classes, K.
    """

    classes: int
    _log_shares: np.ndarray = field(init=False, repr=False)

    def fit(
        self,
        train: np.ndarray,
        targets: np.ndarray,
        val: np.ndarray,
        val_targets: np.ndarray,
        on_progress: Callable[[], None] = lambda: None,
    ) -> dict[str, Any]:
        """Counts the training images of each class; only ``targets`` matter."""
        self._log_shares = class_prior(np.bincount(targets, minlength=self.classes))
        return {}

    def log_probabilities(self, features: np.ndarray) -> np.ndarray:
        """The same log-probabilities for each row: (N, 0) → float32 (N, K)."""
        return np.tile(self._log_shares, (len(features), 1))

    @property
    def parameters(self) -> int:
        """A share per class, except the last, which follows from the others."""
        return self.classes - 1


@dataclass
class MeanDistribution(ClassPrior):
    """The mean of the training images' distributions as the prediction for every image.

    A class without any vote in training has the share 0, whose logarithm is -inf.

    Args:
        classes: The number of classes, K.
        shares: The training images' shares of the votes (N, K).
    """

    shares: np.ndarray = field(kw_only=True, repr=False)

    def fit(
        self,
        train: np.ndarray,
        targets: np.ndarray,
        val: np.ndarray,
        val_targets: np.ndarray,
        on_progress: Callable[[], None] = lambda: None,
    ) -> dict[str, Any]:
        """Takes the mean of ``shares``; nothing else matters."""
        with np.errstate(divide="ignore"):
            self._log_shares = np.log(mean_distribution(self.shares)).astype(np.float32)
        return {}
