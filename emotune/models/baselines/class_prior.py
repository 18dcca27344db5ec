"""The trivial baseline: the frequencies of the classes in training, whatever the image."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from emotune.runs.predictions import class_prior

__all__ = ["ClassPrior"]


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

    def features(self, image: np.ndarray) -> np.ndarray:
        """An empty array: predictions do not depend on the image."""
        return np.empty(0, np.float32)

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
