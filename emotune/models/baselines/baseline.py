"""The interface that all baselines have, and the threads that they compute with."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np

__all__ = ["Baseline", "one_thread"]


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


def one_thread() -> AbstractContextManager[Any]:
    """A context in which linear algebra and loops are done by one thread: sums over several depend on their number."""
    from threadpoolctl import threadpool_limits  # late: it comes with scikit-learn

    return threadpool_limits(1)
