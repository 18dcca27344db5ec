"""What networks are to surpass: the classes' frequencies, and support vector machines on hand-made features.

They are fitted at once, with scikit-learn, and say log-probabilities where networks say logits.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import combinations
from typing import Any, Protocol

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from emotune.config.model import SvmConfig
from emotune.core.errors import InputError

__all__ = ["Baseline", "ClassPrior", "Svm", "make_baseline", "require_libraries"]

LEAST = -30.0
"""Log-probability of a class that was not seen in training; it must be a number."""
KERNEL_MB = 1000


class Baseline(Protocol):
    """A model that is fitted at once."""

    def features(self, image: np.ndarray) -> np.ndarray:
        """What it knows of an image: uint8 (H, W, 3) → float32 (F,)."""
        ...

    def fit(
        self, train: np.ndarray, targets: np.ndarray, val: np.ndarray, val_targets: np.ndarray,
        watch: Callable[[], None],
    ) -> dict[str, Any]:  # fmt: skip
        """Learns from features (N, F) and targets (N,); returns what a record should know of the outcome.

        ``watch`` is called now and then.
        """
        ...

    def log_probabilities(self, features: np.ndarray) -> np.ndarray:
        """(N, F) → float32 (N, K)."""
        ...

    @property
    def parameters(self) -> int:
        """Numbers that were learned."""
        ...


@dataclass
class ClassPrior:
    """Gives each image the classes' shares of the training images, each counted once more than it was seen."""

    classes: int
    _said: np.ndarray = field(init=False, repr=False)

    def features(self, image: np.ndarray) -> np.ndarray:
        """None: it does not look."""
        return np.empty(0, np.float32)

    def fit(
        self, train: np.ndarray, targets: np.ndarray, val: np.ndarray, val_targets: np.ndarray,
        watch: Callable[[], None] = lambda: None,
    ) -> dict[str, Any]:  # fmt: skip
        """See `Baseline`; only ``targets`` count."""
        counts = np.bincount(targets, minlength=self.classes) + 1
        self._said = np.log(counts / counts.sum()).astype(np.float32)
        return {}

    def log_probabilities(self, features: np.ndarray) -> np.ndarray:
        """The same for all."""
        return np.tile(self._said, (len(features), 1))

    @property
    def parameters(self) -> int:
        """A share per class; the last follows from the others."""
        return self.classes - 1


@dataclass
class Svm:
    """A support vector machine with a Gaussian kernel on features of mean 0 and variance 1, each class against each.

    A class's score is the sum of what it is ahead of each other class. The penalty C is chosen, and scores are made
    probabilities (a softmax with a fitted temperature: Guo et al. 2017, "On Calibration of Modern Neural Networks",
    section 4.2), on the validation images.
    """

    config: SvmConfig
    classes: int
    _machine: Any = field(init=False, repr=False)
    _temperature: float = field(init=False, repr=False)
    _parameters: int = field(init=False, repr=False)

    def features(self, image: np.ndarray) -> np.ndarray:
        """See `emotune.models.baselines.features`."""
        from emotune.models.baselines import features  # late: only with the extra

        return getattr(features, self.config.features)(image)

    def fit(
        self, train: np.ndarray, targets: np.ndarray, val: np.ndarray, val_targets: np.ndarray,
        watch: Callable[[], None] = lambda: None,
    ) -> dict[str, Any]:  # fmt: skip
        """See `Baseline`; of equally accurate values of C, the first is taken."""
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        from sklearn.svm import SVC

        tried: dict[float, tuple[float, Any]] = {}
        for c in self.config.c_grid:
            svc = SVC(C=c, decision_function_shape="ovo", cache_size=KERNEL_MB)
            machine = make_pipeline(StandardScaler(), svc).fit(train, targets)
            right = svc.classes_[_scores(machine, val).argmax(axis=1)] == val_targets
            tried[c] = 100 * float(right.mean()), machine
            watch()
        best = max(tried, key=lambda c: tried[c][0])
        self._machine, self._temperature = tried[best][1], 1.0
        svc = self._machine[-1]
        self._temperature = _best_temperature(self.log_probabilities(val), val_targets)
        self._parameters = sum(array.size for array in (svc.support_vectors_, svc.dual_coef_, svc.intercept_))
        accuracies = {f"{c:g}": round(accuracy, 3) for c, (accuracy, _) in tried.items()}
        return {
            "c": best, "val_accuracy_by_c": accuracies, "temperature": round(self._temperature, 4),
            "support_vectors": len(svc.support_vectors_),
        }  # fmt: skip

    def log_probabilities(self, features: np.ndarray) -> np.ndarray:
        """See `Baseline`."""
        said = np.full((len(features), self.classes), LEAST)
        scores = _scores(self._machine, features) / self._temperature
        said[:, self._machine[-1].classes_] = np.maximum(log_softmax(scores, axis=1), LEAST)
        return said.astype(np.float32)

    @property
    def parameters(self) -> int:
        """Support vectors, their coefficients and the intercepts."""
        return self._parameters


def _scores(machine: Any, features: np.ndarray) -> np.ndarray:
    """By how much each class is ahead of all others together, (N, classes that were seen).

    Counting the duels that it wins, as scikit-learn does, would leave hardly a difference between sure and unsure.
    """
    known, duels = len(machine[-1].classes_), machine.decision_function(features)
    if known == 2:  # by how much the second is ahead
        return np.stack([-duels, duels], axis=1) / 2
    scores = np.zeros((len(features), known))
    for duel, (first, second) in enumerate(combinations(range(known), 2)):
        scores[:, first] += duels[:, duel]
        scores[:, second] -= duels[:, duel]
    return scores / known


def _best_temperature(said: np.ndarray, targets: np.ndarray) -> float:
    """Which of 1/100 to 100 makes the targets most likely, dividing scores (N, K)."""
    rows = np.arange(len(targets))

    def loss(log_temperature: float) -> float:
        return -float(log_softmax(said / np.exp(log_temperature), axis=1)[rows, targets].mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-np.log(100), np.log(100)), method="bounded").x))


def make_baseline(config: Any, classes: int) -> ClassPrior | Svm:
    """The model of a config that is not a network's, not fitted yet.

    Raises:
        InputError: a library is missing.
    """
    if not isinstance(config, SvmConfig):
        return ClassPrior(classes)
    require_libraries([config])
    return Svm(config, classes)


def require_libraries(configs: Sequence[Any]) -> None:
    """Looks whether what these configs need is installed, without importing it.

    Raises:
        InputError: it is not; with the command that installs it.
    """
    if any(isinstance(config, SvmConfig) for config in configs) and not all(map(find_spec, ("sklearn", "skimage"))):
        raise InputError("model svm: scikit-learn and scikit-image are needed: pip install 'emotune[classical]'")
