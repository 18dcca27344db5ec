"""Ridge and support vector regression of predicted dimensions on features of images, fitted with scikit-learn."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from emotune.config.baselines import RidgeConfig, SvrConfig
from emotune.models.baselines.baseline import one_thread
from emotune.models.baselines.importance import Score
from emotune.runs.predictions import mean_concordance

__all__ = ["Regression"]


@dataclass
class Regression:
    """A regression for each dimension on standardised features, all with the same penalty.

    The C with the highest mean concordance correlation on the validation images is taken, the smallest of equally good
    ones. *ridge* has the penalty 1/C on the squares of the weights; *svr* is ε-regression with a Gaussian kernel. The
    result depends neither on a seed nor on the number of threads.

    The methods are those of `emotune.models.baselines.baseline.Baseline`.

    Args:
        config: The options.
    """

    SCORE: ClassVar[Score] = "ccc"

    config: RidgeConfig | SvrConfig
    _scaler: Any = field(init=False, repr=False)
    _models: list[Any] = field(init=False, repr=False)

    def fit(
        self,
        train: np.ndarray,
        targets: np.ndarray,
        val: np.ndarray,
        val_targets: np.ndarray,
        on_progress: Callable[[], None] = lambda: None,
    ) -> dict[str, Any]:
        """Fits the regressions for each C and keeps the best; returns the choice and its concordances.

        Args:
            train: The training images' features, (N, F).
            targets: Their ratings on scales from -1 to 1, (N, D).
            val: The validation images' features, (M, F).
            val_targets: Their ratings, (M, D).
            on_progress: A function that is called from time to time and may raise an error to stop.
        """
        from sklearn.preprocessing import StandardScaler  # late: it is an extra

        self._scaler = StandardScaler().fit(train.astype(np.float64))
        standardised = self._scaler.transform(train.astype(np.float64))
        candidates: dict[float, tuple[float, list[Any]]] = {}
        for c in sorted(set(self.config.c_grid)):
            with one_thread():
                self._models = [self._regression(c).fit(standardised, column) for column in targets.T]
            candidates[c] = mean_concordance(val_targets, self.log_probabilities(val)), self._models
            on_progress()
        best = max(candidates, key=lambda c: candidates[c][0])  # the first of equally good ones
        self._models = candidates[best][1]
        outcome: dict[str, Any] = {
            "c": best, "val_ccc_by_c": {f"{c:g}": round(ccc, 4) for c, (ccc, _) in candidates.items()}
        }  # fmt: skip
        if len(candidates) > 1 and best in (min(candidates), max(candidates)):
            name = self.config.name
            outcome["notes"] = [f"{name}: the best C, {best:g}, is an end of c_grid; others beyond it may be better"]
        return outcome

    def log_probabilities(self, features: np.ndarray) -> np.ndarray:
        """The predicted ratings on scales from -1 to 1: (N, F) → float32 (N, D)."""
        standardised = self._scaler.transform(features.astype(np.float64))
        with one_thread():
            return np.stack([one.predict(standardised) for one in self._models], axis=1).astype(np.float32)

    def sums(self, features: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """The share of some columns in what all columns add up to: (N, F), (C,) → (N, S).

        Of *ridge* these are the weighted sums of each dimension; of *svr*, the squared distances to the support vectors
        of each dimension, one after the other.
        """
        standardised = (features[:, columns] - self._scaler.mean_[columns]) / self._scaler.scale_[columns]
        if isinstance(self.config, RidgeConfig):
            return np.stack([standardised @ one.coef_[columns] for one in self._models], axis=1)
        vectors = np.concatenate([one.support_vectors_[:, columns] for one in self._models])
        squares = np.sum(standardised**2, axis=1)[:, None] + np.sum(vectors**2, axis=1)
        return squares - 2 * standardised @ vectors.T

    def ratings_of_sums(self, sums: np.ndarray) -> np.ndarray:
        """The predicted ratings of images with these sums over all columns: (N, S) → (N, D)."""
        if isinstance(self.config, RidgeConfig):
            return sums + np.array([float(one.intercept_) for one in self._models])
        parts = np.split(sums, np.cumsum([len(one.support_vectors_) for one in self._models])[:-1], axis=1)
        answers = [
            np.exp(-one._gamma * part) @ one.dual_coef_[0] + one.intercept_[0]
            for one, part in zip(self._models, parts, strict=True)
        ]
        return np.stack(answers, axis=1)

    def score_of_sums(self, sums: np.ndarray, targets: np.ndarray) -> float:
        """The mean concordance correlation of the predictions of images with these sums, for ratings (N, D)."""
        return mean_concordance(targets, self.ratings_of_sums(sums))

    @property
    def parameters(self) -> int:
        """The number of weights and biases; of *svr*, of values in support vectors and their coefficients."""
        if isinstance(self.config, RidgeConfig):
            return sum(one.coef_.size + 1 for one in self._models)
        return sum(one.support_vectors_.size + one.dual_coef_.size + 1 for one in self._models)

    def _regression(self, c: float) -> Any:
        from sklearn.linear_model import Ridge
        from sklearn.svm import SVR

        return Ridge(alpha=1 / c) if isinstance(self.config, RidgeConfig) else SVR(C=c, epsilon=self.config.epsilon)
