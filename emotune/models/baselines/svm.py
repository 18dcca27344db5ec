"""Support vector machines on hand-made features, fitted with scikit-learn and calibrated on the validation images."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from emotune.config.model import SvmConfig
from emotune.models.baselines.calibration import best_temperature, log_probabilities

__all__ = ["Svm"]

KERNEL_CACHE_MB = 1000


@dataclass
class Svm:
    """A support vector machine with a Gaussian kernel on standardised features, one against one.

    A class's score is its mean margin over the other classes. The penalty C with the highest validation accuracy is
    taken, the first of equally good ones. Scores become probabilities by a softmax with a temperature that is fitted on
    the validation images (Guo et al. 2017, "On Calibration of Modern Neural Networks", section 4.2).

    The methods are those of `emotune.models.baselines.baseline.Baseline`.

    Args:
        config: The options.
        classes: The number of classes, K.
    """

    config: SvmConfig
    classes: int
    _pipeline: Any = field(init=False, repr=False)
    _temperature: float = field(init=False, repr=False)
    _parameters: int = field(init=False, repr=False)

    def fit(
        self,
        train: np.ndarray,
        targets: np.ndarray,
        val: np.ndarray,
        val_targets: np.ndarray,
        on_progress: Callable[[], None] = lambda: None,
    ) -> dict[str, Any]:
        """Fits a machine for each penalty and keeps the best; returns the choice, its accuracies and its size."""
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        from sklearn.svm import SVC

        candidates: dict[float, tuple[float, Any]] = {}
        for c in self.config.c_grid:
            svc = SVC(C=c, decision_function_shape="ovo", cache_size=KERNEL_CACHE_MB)
            pipeline = make_pipeline(StandardScaler(), svc).fit(train, targets)
            correct = svc.classes_[_scores(pipeline, val).argmax(axis=1)] == val_targets
            candidates[c] = 100 * float(correct.mean()), pipeline
            on_progress()
        best = max(candidates, key=lambda c: candidates[c][0])
        self._pipeline, self._temperature = candidates[best][1], 1.0
        svc = self._pipeline[-1]
        self._temperature = best_temperature(self.log_probabilities(val), val_targets)
        self._parameters = sum(array.size for array in (svc.support_vectors_, svc.dual_coef_, svc.intercept_))
        accuracies = {f"{c:g}": round(accuracy, 3) for c, (accuracy, _) in candidates.items()}
        return {
            "c": best, "val_accuracy_by_c": accuracies, "temperature": round(self._temperature, 4),
            "support_vectors": len(svc.support_vectors_),
        }  # fmt: skip

    def log_probabilities(self, features: np.ndarray) -> np.ndarray:
        """The classes' log-probabilities, not less than -30: (N, F) → float32 (N, K)."""
        scores = _scores(self._pipeline, features)
        return log_probabilities(scores, self._temperature, self._pipeline[-1].classes_, self.classes)

    @property
    def parameters(self) -> int:
        """The number of values in support vectors, their coefficients and the intercepts."""
        return self._parameters


def _scores(pipeline: Any, features: np.ndarray) -> np.ndarray:
    """The mean margin of each class with training images over the others: (N, F) → (N, classes with images).

    scikit-learn counts the pairs that a class wins, which would hardly differ between sure and unsure predictions.
    """
    classes, margins = len(pipeline[-1].classes_), pipeline.decision_function(features)
    if classes == 2:  # the margin of the second class
        return np.stack([-margins, margins], axis=1) / 2
    scores = np.zeros((len(features), classes))
    for pair, (first, second) in enumerate(combinations(range(classes), 2)):
        scores[:, first] += margins[:, pair]
        scores[:, second] -= margins[:, pair]
    return scores / classes
