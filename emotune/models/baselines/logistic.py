"""Logistic regression on features of images, fitted with scikit-learn."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from emotune.config.model import LogisticConfig
from emotune.models.baselines.baseline import one_thread
from emotune.models.baselines.calibration import best_temperature, log_probabilities
from emotune.models.baselines.importance import AdditiveClassifier

__all__ = ["Logistic"]

MAX_ITERATIONS = 5000
"""The maximum number of the solver's iterations; on standardised features it usually takes some dozens to hundreds."""


@dataclass
class Logistic(AdditiveClassifier):
    """Multinomial logistic regression with a squared penalty on its weights, by the solver L-BFGS in float64.

    Features are standardised with the training images' mean and standard deviation, so that the penalty weighs all of
    them alike, one grid of C serves backbones of any scale, and the solver converges. The C with the highest validation
    accuracy is taken, the smallest of equally good ones. A strong penalty shrinks the scores, so that probabilities
    would be too cautious: scores are divided by a temperature that is fitted on the validation images (Guo et al. 2017,
    "On Calibration of Modern Neural Networks", section 4.2), which leaves the predicted classes as they are.

    The result depends neither on a seed nor on the number of threads: linear algebra is done by one. The methods are
    those of `emotune.models.baselines.baseline.Baseline`.

    Args:
        config: The options.
        classes: The number of classes, K.
    """

    config: LogisticConfig
    classes: int
    _scaler: Any = field(init=False, repr=False)
    _regression: Any = field(init=False, repr=False)
    _temperature: float = field(init=False, repr=False)

    def fit(
        self,
        train: np.ndarray,
        targets: np.ndarray,
        val: np.ndarray,
        val_targets: np.ndarray,
        on_progress: Callable[[], None] = lambda: None,
    ) -> dict[str, Any]:
        """Fits the weights for each C and keeps the best; returns the choice, the accuracies and its iterations.

        If there are ``notes``, they tell of a solver that did not converge, and of a best C that is an end of the grid.
        """
        from sklearn.linear_model import LogisticRegression  # late: it is an extra
        from sklearn.preprocessing import StandardScaler

        self._temperature = 1.0
        self._scaler = StandardScaler().fit(train.astype(np.float64))
        standardised, notes = self._scaler.transform(train.astype(np.float64)), []
        candidates: dict[float, tuple[float, Any]] = {}
        for c in sorted(set(self.config.c_grid)):
            with one_thread(), warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                regression = LogisticRegression(C=c, max_iter=MAX_ITERATIONS).fit(standardised, targets)
            notes += [f"logistic, C {c:g}: {str(one.message).partition(chr(10))[0]}" for one in caught]
            self._regression = regression
            correct = self.log_probabilities(val).argmax(axis=1) == val_targets
            candidates[c] = 100 * float(correct.mean()), regression
            on_progress()
        best = max(candidates, key=lambda c: candidates[c][0])  # the first of equally good ones
        self._regression = candidates[best][1]
        self._temperature = best_temperature(self.log_probabilities(val), val_targets)
        if len(candidates) > 1 and best in (min(candidates), max(candidates)):
            notes.append(f"logistic: the best C, {best:g}, is an end of c_grid; others beyond it may be better")
        accuracies = {f"{c:g}": round(accuracy, 3) for c, (accuracy, _) in candidates.items()}
        outcome = {
            "c": best, "val_accuracy_by_c": accuracies, "temperature": round(self._temperature, 4),
            "iterations": int(self._regression.n_iter_[0]),
        }  # fmt: skip
        return outcome | ({"notes": notes} if notes else {})

    def log_probabilities(self, features: np.ndarray) -> np.ndarray:
        """The classes' log-probabilities, not less than -30: (N, F) → float32 (N, K)."""
        with one_thread():
            scores = self._regression.decision_function(self._scaler.transform(features.astype(np.float64)))
        if scores.ndim == 1:  # of two classes, that of the second
            scores = np.stack([np.zeros_like(scores), scores], axis=1)
        return log_probabilities(scores, self._temperature, self._regression.classes_, self.classes)

    def sums(self, features: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """The share of some columns in the scores of the classes with training images: (N, F), (C,) → (N, S)."""
        standardised = (features[:, columns] - self._scaler.mean_[columns]) / self._scaler.scale_[columns]
        return standardised @ self._regression.coef_[:, columns].T

    def classes_of_sums(self, sums: np.ndarray) -> np.ndarray:
        """The predicted class indices of images with these scores, without the intercepts: (N, S) → (N,)."""
        scores, known = sums + self._regression.intercept_, self._regression.classes_
        return known[(scores[:, 0] > 0).astype(int) if len(known) == 2 else scores.argmax(axis=1)]

    def arrays(self) -> dict[str, np.ndarray]:
        """The fitted arrays, by name, for `emotune.models.baselines.fitted_file`."""
        return {
            "mean": self._scaler.mean_, "scale": self._scaler.scale_, "weights": self._regression.coef_,
            "intercepts": self._regression.intercept_, "known": self._regression.classes_,
            "temperature": np.array([self._temperature]),
        }  # fmt: skip

    @property
    def parameters(self) -> int:
        """The number of weights and biases."""
        return self._regression.coef_.size + self._regression.intercept_.size
