"""Metrics of one run's predictions: a row per image with ``target`` and ``logit_<class>``.

Shares are in per cent. A logit may be any number whose softmax is meant: logarithms of probabilities are logits too,
and -inf is that of 0, with which the negative log-likelihood may become infinite.
Written here and compared with scikit-learn in the tests, which cuts small probabilities off and knows no calibration.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special

from emotune.config.labels import POSITIVE, has_polarity
from emotune.runs.predictions import LOGIT_PREFIX, accuracy

__all__ = [
    "SufficientStats",
    "brier_score",
    "classes_of",
    "confusion",
    "constant_predictions",
    "expected_calibration_error",
    "metric_from_stats",
    "negative_log_likelihood",
    "per_class",
    "polarity_accuracy",
    "predicted_classes_digest",
    "scalar_metrics",
    "sufficient_stats",
    "top_k_accuracy",
]  # fmt: skip

BINS = 15


@dataclass(frozen=True)
class SufficientStats:
    """What each image adds to the sums that a metric is computed from.

    Attributes:
        cell: Which of the sums an image adds to (N,).
        value: What it adds (N,).
        cells: How many sums there are.
    """

    cell: np.ndarray
    value: np.ndarray
    cells: int


def classes_of(predictions: pd.DataFrame) -> list[str]:
    """The class names, in the order of the logits."""
    return [column.removeprefix(LOGIT_PREFIX) for column in predictions.columns if column.startswith(LOGIT_PREFIX)]


def predicted_classes_digest(predictions: pd.DataFrame) -> str:
    """A digest of which class was given to which image, whatever the order of the images."""
    ordered = predictions.sort_values("sample_id")
    guesses = ordered[[LOGIT_PREFIX + label for label in classes_of(predictions)]].to_numpy().argmax(axis=1)
    digest = hashlib.sha256("\n".join(map(str, ordered["sample_id"])).encode())
    digest.update(guesses.astype("<i4").tobytes())
    return digest.hexdigest()[:16]


def confusion(predictions: pd.DataFrame) -> pd.DataFrame:
    """Images by target (rows) and predicted class (columns), all classes in the order of the logits.

    Predicted is the class with the largest logit; of equal ones the first.
    """
    return _confusion(classes_of(predictions), *_arrays(predictions))


def per_class(table: pd.DataFrame) -> pd.DataFrame:
    """Per class: ``recall``, ``precision`` and ``f1`` in per cent, and ``images`` that have it as target.

    Read off a `confusion`. NaN is what is not defined: the recall of a class that is no image's target, the precision
    of one that is never predicted, the F1 of one that is neither.
    """
    right, targets, guesses = np.diag(table), table.sum(axis=1), table.sum(axis=0)
    return pd.DataFrame(
        {
            "recall": 100 * right / targets,
            "precision": 100 * right / guesses,
            "f1": 100 * 2 * right / (targets + guesses),
            "images": targets,
        }
    )


def scalar_metrics(predictions: pd.DataFrame) -> dict[str, float]:
    """Every metric of `emotune.config.metric.SCALES`, by name.

    ``balanced_accuracy`` is the mean recall of the classes that occur among the targets, ``macro_f1`` the mean F1 of
    those that occur among targets or predictions, both as in scikit-learn. ``polarity_accuracy`` is NaN where classes
    have no polarity.
    """
    classes = classes_of(predictions)
    targets, logits = _arrays(predictions)
    classwise = per_class(_confusion(classes, targets, logits))
    log_probabilities = special.log_softmax(logits, axis=1)
    probabilities = np.exp(log_probabilities)
    return {
        "accuracy": accuracy(targets, logits),  # as in the run's record
        "balanced_accuracy": float(classwise["recall"].mean()),  # pandas leaves NaN out
        "macro_f1": float(classwise["f1"].mean()),
        "top2_accuracy": top_k_accuracy(targets, logits, k=2),
        "polarity_accuracy": polarity_accuracy(classes, targets, logits),
        "nll": negative_log_likelihood(targets, log_probabilities),
        "brier": brier_score(targets, probabilities),
        "ece": expected_calibration_error(probabilities.max(axis=1), logits.argmax(axis=1) == targets),
    }


def sufficient_stats(predictions: pd.DataFrame, metric: str) -> SufficientStats:
    """What each image adds to the sums that ``metric`` is computed from: weighted ones resample images.

    Args:
        predictions: Of one run.
        metric: One of `emotune.config.metric.SCALES`.
    """
    classes = classes_of(predictions)
    targets, logits = _arrays(predictions)
    guesses, k = logits.argmax(axis=1), len(classes)
    if metric in ("balanced_accuracy", "macro_f1"):
        return SufficientStats(targets * k + guesses, np.ones(len(targets)), k * k)
    if metric == "ece":
        confidence = special.softmax(logits, axis=1).max(axis=1)
        return SufficientStats(_bin_of(confidence, BINS), (guesses == targets) - confidence, BINS + 1)
    values = {
        "accuracy": lambda: 100 * _in_top_k(targets, logits, 1),
        "top2_accuracy": lambda: 100 * _in_top_k(targets, logits, 2),
        "polarity_accuracy": lambda: 100 * _polarity_right(classes, targets, logits),
        "nll": lambda: _negative_log_probabilities(targets, special.log_softmax(logits, axis=1)),
        "brier": lambda: _squared_distance(targets, special.softmax(logits, axis=1)),
    }
    return SufficientStats(np.zeros(len(targets), int), values[metric]().astype(float), 1)


def metric_from_stats(metric: str, sums: np.ndarray, images: np.ndarray) -> np.ndarray:
    """The metric (…) of its `sufficient_stats`' sums; with every image counted once, what `scalar_metrics` says.

    Args:
        metric: One of `emotune.config.metric.SCALES`.
        sums: Over images, by cell (…, cells).
        images: How many were summed (…).
    """
    if metric == "ece":
        return 100 * np.abs(sums).sum(axis=-1) / images
    if metric not in ("balanced_accuracy", "macro_f1"):
        return sums[..., 0] / images
    k = math.isqrt(sums.shape[-1])
    counts = sums.reshape(*sums.shape[:-1], k, k)
    right, of = np.diagonal(counts, axis1=-2, axis2=-1), counts.sum(axis=-1)
    if metric == "macro_f1":
        of = (of + counts.sum(axis=-2)) / 2
    shares = np.divide(right, of, out=np.zeros_like(right), where=of > 0)
    return 100 * shares.sum(axis=-1) / (of > 0).sum(axis=-1)


def constant_predictions(predictions: pd.DataFrame) -> pd.DataFrame:
    """What a predictor says of the same images that knows nothing but how frequent their classes are."""
    shares = predictions["target"].value_counts(normalize=True)
    return predictions.assign(
        **{LOGIT_PREFIX + c: np.log(shares[c]) if c in shares else -np.inf for c in classes_of(predictions)}
    )


def top_k_accuracy(targets: np.ndarray, logits: np.ndarray, k: int) -> float:
    """Per cent of the images whose class is among the ``k`` with the largest logits; of equal ones the first.

    Args:
        targets: Indices of classes (N,).
        logits: (N, K).
        k: How many guesses count.
    """
    return float(100 * _in_top_k(targets, logits, k).mean())


def polarity_accuracy(
    classes: Sequence[str], targets: np.ndarray, logits: np.ndarray, *, summed: bool = False
) -> float:
    """Per cent of the images that are told positive from negative; NaN where classes have no polarity.

    The polarity of a prediction is that of the class with the largest logit, so that it follows from the confusion and
    is never under the accuracy; ``summed`` takes the polarity whose classes are more probable together.

    Args:
        classes: Their names, in the order of the logits.
        targets: Indices of classes (N,).
        logits: (N, K).
        summed: See above.
    """
    return float(100 * _polarity_right(classes, targets, logits, summed=summed).mean())


def negative_log_likelihood(targets: np.ndarray, log_probabilities: np.ndarray) -> float:
    """Mean of -log p(target), in nats: 0 is certain and right, log K knows nothing, and infinite is a p of 0.

    Args:
        targets: Indices of classes (N,).
        log_probabilities: (N, K).
    """
    return float(_negative_log_probabilities(targets, log_probabilities).mean())


def brier_score(targets: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean squared distance of the probabilities from the one-hot target, summed over classes: 0 to 2.

    As in Brier (1950), "Verification of forecasts expressed in terms of probability"; halved by some later authors.

    Args:
        targets: Indices of classes (N,).
        probabilities: (N, K).
    """
    return float(_squared_distance(targets, probabilities).mean())


def expected_calibration_error(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> float:
    """How far confidence is from accuracy, in points: the mean over bins of confidence, weighted by their images.

    As in Guo et al. (2017), "On calibration of modern neural networks", section 2: bins are of equal width, and each
    has its upper edge.

    Args:
        confidence: The probability of the predicted class (N,).
        right: Whether that is the target (N,).
        bins: Between 0 and 1.
    """
    sums = np.bincount(_bin_of(confidence, bins), weights=right - confidence)
    return float(100 * np.abs(sums).sum() / len(right))


def _arrays(predictions: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Targets as indices (N,) and logits (N, K) in double precision."""
    classes = classes_of(predictions)
    targets = pd.Index(classes).get_indexer(predictions["target"])
    return targets, predictions[[LOGIT_PREFIX + label for label in classes]].to_numpy(np.float64)


def _in_top_k(targets: np.ndarray, logits: np.ndarray, k: int) -> np.ndarray:
    own = np.take_along_axis(logits, targets[:, None], axis=1)
    equal_before = (logits == own) & (np.arange(logits.shape[1]) < targets[:, None])
    return ((logits > own) | equal_before).sum(axis=1) < k


def _polarity_right(
    classes: Sequence[str], targets: np.ndarray, logits: np.ndarray, *, summed: bool = False
) -> np.ndarray:
    if not has_polarity(classes):
        return np.full(len(targets), np.nan)
    positive = np.array([label in POSITIVE for label in classes])
    if summed:
        return (special.softmax(logits, axis=1)[:, positive].sum(axis=1) > 0.5) == positive[targets]
    return positive[logits.argmax(axis=1)] == positive[targets]


def _negative_log_probabilities(targets: np.ndarray, log_probabilities: np.ndarray) -> np.ndarray:
    return -np.take_along_axis(log_probabilities, targets[:, None], axis=1)[:, 0]


def _squared_distance(targets: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    wanted = np.arange(probabilities.shape[1]) == targets[:, None]
    return ((probabilities - wanted) ** 2).sum(axis=1)


def _bin_of(confidence: np.ndarray, bins: int) -> np.ndarray:
    return np.digitize(confidence, np.linspace(0, 1, bins + 1), right=True)


def _confusion(classes: Sequence[str], targets: np.ndarray, logits: np.ndarray) -> pd.DataFrame:
    n = len(classes)
    counts = np.bincount(targets * n + logits.argmax(axis=1), minlength=n * n).reshape(n, n)
    return pd.DataFrame(counts, index=classes, columns=classes)
