"""The trivial baseline of predicted dimensions: the mean rating of the training images, whatever the image."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["MeanRating"]


@dataclass
class MeanRating:
    """The mean rating of the training images in each dimension as the prediction for every image.

    The methods are those of `emotune.models.baselines.baseline.Baseline`.
    """

    _means: np.ndarray = field(init=False, repr=False)

    def fit(
        self,
        train: np.ndarray,
        targets: np.ndarray,
        val: np.ndarray,
        val_targets: np.ndarray,
        on_progress: Callable[[], None] = lambda: None,
    ) -> dict[str, Any]:
        """Computes the means; only ``targets``, (N, D), matter."""
        self._means = targets.astype(np.float64).mean(0).astype(np.float32)
        return {}

    def log_probabilities(self, features: np.ndarray) -> np.ndarray:
        """The same ratings for each row: (N, 0) → float32 (N, D)."""
        return np.tile(self._means, (len(features), 1))

    @property
    def parameters(self) -> int:
        """A mean per dimension."""
        return len(self._means)
