"""The interface that all baselines have."""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

__all__ = ["Baseline"]


class Baseline(Protocol):
    """A model that is fitted with a single call, and predicts log-probabilities where networks predict logits."""

    def fit(
        self,
        train: np.ndarray,
        targets: np.ndarray,
        val: np.ndarray,
        val_targets: np.ndarray,
        on_progress: Callable[[], None],
    ) -> dict[str, Any]:
        """Fits the model.

        Args:
            train: The training images' features, (N, F).
            targets: The training images' class indices, (N,).
            val: The validation images' features, (M, F).
            val_targets: The validation images' class indices, (M,).
            on_progress: A function that is called from time to time and may raise an error to stop.

        Returns:
            What the run's record tells of the fitted model.
        """
        ...

    def log_probabilities(self, features: np.ndarray) -> np.ndarray:
        """The logarithms of the classes' probabilities: (N, F) → float32 (N, K)."""
        ...

    @property
    def parameters(self) -> int:
        """The number of fitted values."""
        ...
