"""Metrics of one run's predictions, a table with a row for each image: ``target`` and ``logit_<class>``.

Shares are in per cent. Probabilities are the softmax of the logits. Logarithms of probabilities are logits, too; -inf
is that of probability 0, with which the negative log-likelihood can become infinite.
The tests compare the metrics with scikit-learn's, which clips small probabilities and has no calibration error.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd
from scipy import special

from emotune.analysis.distribution_metrics import distribution_metrics, image_measures
from emotune.analysis.prediction_arrays import classes_of, guesses_of, logits_of, shares_of, targets_of
from emotune.analysis.rating_arrays import has_ratings
from emotune.analysis.rating_metrics import contributions, from_sums, predictions_digest, rating_metrics
from emotune.config.distribution_scales import DISTRIBUTION_SCALES, DistributionMetric
from emotune.config.labels import POSITIVE, has_polarity
from emotune.config.metric_scales import DIMENSION_METRICS
from emotune.runs.predictions import accuracy

__all__ = [
    "SufficientStats",
    "brier_score",
    "confusion_counts",
    "expected_calibration_error",
    "f1_of",
    "metric_from_stats",
    "negative_log_likelihood",
    "polarity_accuracy",
    "predicted_classes_digest",
    "recall_of",
    "scalar_metrics",
    "sufficient_stats",
    "top_k_accuracy",
]  # fmt: skip

BINS = 15


@dataclass(frozen=True)
class SufficientStats:
    """The contribution of each image to the sums from which a metric is computed.

    Attributes:
        cell: The index of the sum that each image adds to (N,).
        value: The value that each image adds (N,).
        cells: The number of sums.
        image: The image that each value is of, where images add several values (M,), so that ``cell`` and ``value`` are
            (M,), too; None: the values are those of the images.
    """

    cell: np.ndarray
    value: np.ndarray
    cells: int
    image: np.ndarray | None = None


def predicted_classes_digest(predictions: pd.DataFrame) -> str:
    """A digest of the predicted class of each image, or of its predicted ratings, whatever the order of the images."""
    if has_ratings(predictions):
        return predictions_digest(predictions)
    order = predictions["sample_id"].array.argsort()
    digest = hashlib.sha256("\n".join(map(str, predictions["sample_id"].take(order).tolist())).encode())
    digest.update(guesses_of(predictions)[order].astype("<i4").tobytes())
    return digest.hexdigest()[:16]


def confusion_counts(predictions: pd.DataFrame) -> np.ndarray:
    """The number of images by target (rows) and predicted class (columns), in the order of the logits (K, K).

    The predicted class is the one with the largest logit, the first if several are equal.
    """
    return _counts(targets_of(predictions), logits_of(predictions))


def recall_of(counts: np.ndarray) -> np.ndarray:
    """The recall of each class in per cent (K,); NaN for a class that is no image's target.

    Args:
        counts: The confusion matrix, see `confusion_counts`.
    """
    with np.errstate(invalid="ignore"):
        return 100 * np.diag(counts) / counts.sum(axis=1)


def f1_of(counts: np.ndarray) -> np.ndarray:
    """The F1 of each class in per cent (K,); NaN for a class that is neither an image's target nor ever predicted.

    Args:
        counts: The confusion matrix, see `confusion_counts`.
    """
    with np.errstate(invalid="ignore"):
        return 100 * 2 * np.diag(counts) / (counts.sum(axis=1) + counts.sum(axis=0))


def scalar_metrics(predictions: pd.DataFrame) -> dict[str, float]:
    """Every metric of `emotune.config.metric.SCALES`, by name.

    ``balanced_accuracy`` is the mean recall of the classes that occur among the targets, ``macro_f1`` the mean F1 of
    those that occur among targets or predictions, both as in scikit-learn. ``polarity_accuracy`` is NaN where classes
    have no polarity.

    Of predicted distributions, they have the metrics of `emotune.analysis.distribution_metrics`, too. Of predicted
    ratings, they are those of `emotune.analysis.rating_metrics`.
    """
    if has_ratings(predictions):
        return rating_metrics(predictions)
    classes = classes_of(predictions)
    targets, logits = targets_of(predictions), logits_of(predictions)
    counts = _counts(targets, logits)
    log_probabilities = special.log_softmax(logits, axis=1)
    probabilities = np.exp(log_probabilities)
    measures = {} if shares_of(predictions) is None else distribution_metrics(predictions)
    return measures | {
        "accuracy": accuracy(targets, logits),  # as in the run's record
        "balanced_accuracy": float(np.nanmean(recall_of(counts))),
        "macro_f1": float(np.nanmean(f1_of(counts))),
        "top2_accuracy": top_k_accuracy(targets, logits, k=2),
        "polarity_accuracy": polarity_accuracy(classes, targets, logits),
        "nll": negative_log_likelihood(targets, log_probabilities),
        "brier": brier_score(targets, probabilities),
        "ece": expected_calibration_error(probabilities.max(axis=1), logits.argmax(axis=1) == targets),
    }


def sufficient_stats(predictions: pd.DataFrame, metric: str) -> SufficientStats:
    """The contribution of each image to the sums from which a metric is computed; weighting them resamples images.

    Args:
        predictions: The predictions of one run.
        metric: The metric's name in `emotune.config.metric.SCALES`.
    """
    if has_ratings(predictions):
        cell, value, image, cells = contributions(predictions, metric)
        return SufficientStats(cell, value, cells, image)
    if metric in DISTRIBUTION_SCALES:
        values = image_measures(predictions, cast(DistributionMetric, metric))
        return SufficientStats(np.zeros(len(values), int), values, 1)
    classes = classes_of(predictions)
    targets, logits = targets_of(predictions), logits_of(predictions)
    guesses, k = logits.argmax(axis=1), len(classes)
    if metric in ("balanced_accuracy", "macro_f1"):
        return SufficientStats(targets * k + guesses, np.ones(len(targets)), k * k)
    if metric == "ece":
        confidence = special.softmax(logits, axis=1).max(axis=1)
        return SufficientStats(_bin_of(confidence, BINS), (guesses == targets) - confidence, BINS + 1)
    of_images = {
        "accuracy": lambda: 100 * _in_top_k(targets, logits, 1),
        "top2_accuracy": lambda: 100 * _in_top_k(targets, logits, 2),
        "polarity_accuracy": lambda: 100 * _polarity_right(classes, targets, logits),
        "nll": lambda: _negative_log_probabilities(targets, special.log_softmax(logits, axis=1)),
        "brier": lambda: _squared_distance(targets, special.softmax(logits, axis=1)),
    }
    return SufficientStats(np.zeros(len(targets), int), of_images[metric]().astype(float), 1)


def metric_from_stats(metric: str, sums: np.ndarray, images: np.ndarray) -> np.ndarray:
    """A metric (…) from the sums of its `sufficient_stats`; with every image counted once, as in `scalar_metrics`.

    Args:
        metric: The metric's name in `emotune.config.metric.SCALES`.
        sums: The sums over images by cell (…, cells).
        images: The number of images in each sum (…).
    """
    if metric in DIMENSION_METRICS:
        return from_sums(metric, sums, images)
    if metric == "ece":
        return 100 * np.abs(sums).sum(axis=-1) / images
    if metric not in ("balanced_accuracy", "macro_f1"):
        return sums[..., 0] / images
    k = math.isqrt(sums.shape[-1])
    counts = sums.reshape(*sums.shape[:-1], k, k)
    correct, totals = np.diagonal(counts, axis1=-2, axis2=-1), counts.sum(axis=-1)
    if metric == "macro_f1":
        totals = (totals + counts.sum(axis=-2)) / 2
    shares = np.divide(correct, totals, out=np.zeros_like(correct), where=totals > 0)
    return 100 * shares.sum(axis=-1) / (totals > 0).sum(axis=-1)


def top_k_accuracy(targets: np.ndarray, logits: np.ndarray, k: int) -> float:
    """The percentage of images whose class is among the ``k`` classes with the largest logits.

    Of classes with equal logits, the first ones count as larger.

    Args:
        targets: The index of each image's class (N,).
        logits: The logits (N, K).
        k: The number of classes.
    """
    return float(100 * _in_top_k(targets, logits, k).mean())


def polarity_accuracy(
    classes: Sequence[str], targets: np.ndarray, logits: np.ndarray, *, summed: bool = False
) -> float:
    """The percentage of images whose polarity, positive or negative, is correct; NaN if the classes have no polarity.

    The polarity of a prediction is that of the class with the largest logit, so it follows from the confusion matrix
    and is never below the accuracy.

    Args:
        classes: The class names in the order of the logits.
        targets: The index of each image's class (N,).
        logits: The logits (N, K).
        summed: Whether to take the polarity whose classes have the larger total probability instead.
    """
    return float(100 * _polarity_right(classes, targets, logits, summed=summed).mean())


def negative_log_likelihood(targets: np.ndarray, log_probabilities: np.ndarray) -> float:
    """The mean of -log p(target) in nats: 0 is certain and correct, log K uniform, infinite is p = 0.

    Args:
        targets: The index of each image's class (N,).
        log_probabilities: The logarithms of the class probabilities (N, K).
    """
    return float(_negative_log_probabilities(targets, log_probabilities).mean())


def brier_score(targets: np.ndarray, probabilities: np.ndarray) -> float:
    """The mean squared distance of the probabilities from the one-hot target, summed over classes: 0 to 2.

    As in Brier (1950), "Verification of forecasts expressed in terms of probability"; some later authors halve it.

    Args:
        targets: The index of each image's class (N,).
        probabilities: The class probabilities (N, K).
    """
    return float(_squared_distance(targets, probabilities).mean())


def expected_calibration_error(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> float:
    """The mean distance of confidence from accuracy over bins of confidence, weighted by their images, in points.

    As in Guo et al. (2017), "On calibration of modern neural networks", section 2: the bins have equal width and
    include their upper edges.

    Args:
        confidence: The probability of the predicted class (N,).
        right: Whether the predicted class is the target (N,).
        bins: The number of bins between 0 and 1.
    """
    sums = np.bincount(_bin_of(confidence, bins), weights=right - confidence)
    return float(100 * np.abs(sums).sum() / len(right))


def _in_top_k(targets: np.ndarray, logits: np.ndarray, k: int) -> np.ndarray:
    target_logits = np.take_along_axis(logits, targets[:, None], axis=1)
    equal_before = (logits == target_logits) & (np.arange(logits.shape[1]) < targets[:, None])
    return ((logits > target_logits) | equal_before).sum(axis=1) < k


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


def _counts(targets: np.ndarray, logits: np.ndarray) -> np.ndarray:
    k = logits.shape[1]
    return np.bincount(targets * k + logits.argmax(axis=1), minlength=k * k).reshape(k, k)
