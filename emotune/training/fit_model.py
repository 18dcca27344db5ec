"""Fitting a baseline: what it has learned and answers, once on a machine for all runs that would fit the same."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np

from emotune.models.baselines.baseline import Baseline
from emotune.models.baselines.importance import permutation_importance
from emotune.models.baselines.logistic import Logistic
from emotune.models.baselines.regression import Regression
from emotune.models.baselines.svm import Svm
from emotune.training.kept_results import kept_result

__all__ = ["Fit", "fit_model"]

T = TypeVar("T")
Images = tuple[np.ndarray, np.ndarray]
"""The features of images, (N, F), and their targets: class indices (N,) or ratings (N, D)."""


@dataclass(frozen=True)
class Fit:
    """A fitted baseline.

    Attributes:
        model: The baseline.
        fitted: The entry on it in the run's record.
        train: The answers to the training images, float32 (N, K).
        val: The answers to the validation images, (M, K).
        fit_s: The seconds that fitting and answering took when it was done.
    """

    model: Baseline
    fitted: dict[str, Any]
    train: np.ndarray
    val: np.ndarray
    fit_s: float


def fit_model(
    model: Baseline,
    train: Images,
    val: Images,
    on_progress: Callable[[], None],
    *,
    columns: Sequence[str] = (),
    keep: bool = True,
) -> Fit:
    """The fit of a baseline to images, which is kept on this machine unless the model draws something.

    A kept fit has the same bits as a new one. What it learned is used by all runs with the same features, targets and
    options, whatever their seed, and so is the importance of its features, which is measured on validation images.

    Args:
        model: The baseline.
        train: The training images.
        val: The validation images.
        on_progress: A function that is called from time to time and may raise an error to stop.
        columns: The names of the features whose importance is measured; none for no importance.
        keep: Whether the fit may be kept. Ranks that work together must all call ``on_progress`` equally often, so that
            they fit anew.
    """
    if not isinstance(model, Svm | Logistic | Regression):
        return _fit(model, train, val, on_progress)

    options = [repr(model), *train, *val]
    result_of = kept_result if keep else _new_result
    fit = result_of(["fit", *options], lambda: _fit(model, train, val, on_progress), on_progress)
    if columns and isinstance(fit.model, Svm | Logistic | Regression):
        measure = partial(permutation_importance, fit.model, *val, columns, on_progress)
        fit.fitted["importance"] = result_of(["importance", *options, list(columns)], measure, on_progress)
    return fit


def _fit(model: Baseline, train: Images, val: Images, on_progress: Callable[[], None]) -> Fit:
    started = time.perf_counter()
    fitted = model.fit(*train, *val, on_progress)
    answers = model.log_probabilities(train[0]), model.log_probabilities(val[0])
    return Fit(model, fitted, *answers, time.perf_counter() - started)


def _new_result(content: list[Any], compute: Callable[[], T], on_wait: Callable[[], None]) -> T:
    return compute()
