"""Support vector machines on hand-made features, fitted with scikit-learn and calibrated on the validation images."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from emotune.config.model import SvmConfig
from emotune.models.baselines.calibration import best_temperature, log_probabilities
from emotune.models.baselines.importance import AdditiveClassifier

__all__ = ["Svm", "mean_margins"]

KERNEL_CACHE_MB = 1000


@dataclass
class Svm(AdditiveClassifier):
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

    def sums(self, features: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """The squared distances to the S support vectors over some columns: (N, F), (C,) → float32 (N, S)."""
        scaler, svc = self._pipeline
        standardised = (features[:, columns] - scaler.mean_[columns]) / scaler.scale_[columns]
        standardised, vectors = standardised.astype(np.float32), svc.support_vectors_[:, columns].astype(np.float32)
        squares = np.sum(standardised**2, axis=1)[:, None] + np.sum(vectors**2, axis=1)
        return squares - 2 * standardised @ vectors.T

    def classes_of_sums(self, sums: np.ndarray) -> np.ndarray:
        """The predicted class indices of images with these squared distances: (N, S) → (N,)."""
        svc = self._pipeline[-1]
        margins = np.exp(-svc._gamma * sums) @ _pair_weights(svc) + svc.intercept_
        return svc.classes_[mean_margins(margins, len(svc.classes_)).argmax(axis=1)]

    def arrays(self) -> dict[str, np.ndarray]:
        """The fitted arrays, by name, for `emotune.models.baselines.fitted_file`."""
        scaler, svc = self._pipeline
        return {
            "mean": scaler.mean_, "scale": scaler.scale_, "vectors": svc.support_vectors_,
            "pair_weights": _pair_weights(svc, np.float64), "intercepts": svc.intercept_,
            "gamma": np.array([svc._gamma]), "known": svc.classes_, "temperature": np.array([self._temperature]),
        }  # fmt: skip

    @property
    def parameters(self) -> int:
        """The number of values in support vectors, their coefficients and the intercepts."""
        return self._parameters


def _scores(pipeline: Any, features: np.ndarray) -> np.ndarray:
    """The mean margin of each class with training images over the others: (N, F) → (N, classes with images).

    scikit-learn counts the pairs that a class wins, which would hardly differ between sure and unsure predictions.
    """
    return mean_margins(pipeline.decision_function(features), len(pipeline[-1].classes_))


def mean_margins(margins: np.ndarray, classes: int) -> np.ndarray:
    """The mean margin of each class over the others, from those of each pair: (N, pairs) → (N, classes)."""
    if classes == 2:  # the margin of the second class
        margins = margins.reshape(-1)
        return np.stack([-margins, margins], axis=1) / 2
    scores = np.zeros((len(margins), classes))
    for pair, (first, second) in enumerate(combinations(range(classes), 2)):
        scores[:, first] += margins[:, pair]
        scores[:, second] -= margins[:, pair]
    return scores / classes


def _pair_weights(svc: Any, kind: type[np.floating] = np.float32) -> np.ndarray:
    """The weight of each support vector in the margin of each pair of classes, (S, pairs)."""
    ends = np.cumsum(svc.n_support_)
    own = [slice(end - count, end) for count, end in zip(svc.n_support_, ends, strict=True)]
    pairs = list(combinations(range(len(svc.classes_)), 2))
    weights = np.zeros((len(svc.support_vectors_), len(pairs)), kind)
    for pair, (first, second) in enumerate(pairs):  # libsvm has a row for each class but a vector's own
        weights[own[first], pair] = svc.dual_coef_[second - 1, own[first]]
        weights[own[second], pair] = svc.dual_coef_[first, own[second]]
    return weights
