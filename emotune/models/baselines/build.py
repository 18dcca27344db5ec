"""Building a baseline from its config, and the interface that all baselines have."""

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np

from emotune.config.model import ConstantConfig, ModelConfig, SvmConfig
from emotune.core.errors import InputError
from emotune.models.baselines.class_prior import ClassPrior
from emotune.models.baselines.svm import Svm

__all__ = ["Baseline", "make_baseline", "require_libraries"]


class Baseline(Protocol):
    """A model that is fitted with a single call, and predicts log-probabilities where networks predict logits."""

    def features(self, image: np.ndarray) -> np.ndarray:
        """The features of an image: uint8 (H, W, 3) → float32 (F,)."""
        ...

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


def make_baseline(config: ModelConfig, classes: int) -> Baseline:
    """The model of a baseline's config, before it is fitted.

    Raises:
        InputError: a library is missing.
    """
    require_libraries([config])
    match config:
        case ConstantConfig():
            return ClassPrior(classes)
        case SvmConfig():
            return Svm(config, classes)
        case _:
            raise TypeError(f"model {config.name} is a network")


def require_libraries(configs: Sequence[ModelConfig]) -> None:
    """Checks that the libraries which the models need are installed, without importing them.

    Raises:
        InputError: a library is missing; the message has the command that installs it.
    """
    if any(isinstance(config, SvmConfig) for config in configs) and not all(map(find_spec, ("sklearn", "skimage"))):
        raise InputError("model svm: scikit-learn and scikit-image are needed: pip install 'emotune[classical]'")
