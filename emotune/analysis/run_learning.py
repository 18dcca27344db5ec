"""Whether a single run has learned anything: a test over the test images, against the trivial prediction."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from emotune.analysis.max_t import t_quantile
from emotune.analysis.metrics import sufficient_stats
from emotune.analysis.prediction_arrays import classes_of, guesses_of, logits_of, targets_of
from emotune.analysis.prior import PriorPredictor, mean_text
from emotune.analysis.rating_arrays import dimensions_in, predicted_of, true_of
from emotune.analysis.verdict import ALPHA
from emotune.config.distribution_scales import DISTRIBUTION_SCALES
from emotune.config.metric_scales import ALL_SCALES, MetricName
from emotune.config.scale import ROUNDING
from emotune.runs.directory import State

__all__ = ["RunLearning", "run_learning"]

NEARLY_ALL = 0.95
"""The share of the images of other classes to which a collapsed run gives its one answer."""
NEARLY_CONSTANT = 0.005
"""The standard deviation below which predicted ratings are one answer, on scales from -1 to 1."""


NEARLY_SAME = 0.01
"""The total variation from the mean prediction below which a predicted distribution counts as the same."""


@dataclass(frozen=True)
class RunLearning:
    """A finished run, compared with the trivial prediction over the test images.

    Attributes:
        variant: Its variant.
        seed: Its seed.
        learned: Whether it is better than the trivial prediction by one of the yardsticks, by a one-sided test at 5 %,
            and does not give one answer to nearly all images, which can be better where test images are of other
            classes.
        answer: The class that it answers for nearly all images, whatever theirs, or the ratings that hardly vary; None
            if there is no such answer.
    """

    variant: str
    seed: int
    learned: bool
    answer: str | None = None


def run_learning(
    rows: Iterable[Mapping[str, Any]],
    dataset: str,
    predictions: Mapping[str, pd.DataFrame],
    prior: PriorPredictor,
    compared: Sequence[MetricName],
) -> list[RunLearning]:
    """Each finished run of a data set, compared with the trivial prediction over the test images.

    Args:
        rows: The runs, with ``run``, ``variant``, ``dataset``, ``seed`` and ``state``.
        dataset: The data set's name.
        predictions: The predictions of the finished runs by run id, of the same images in the same order.
        prior: The trivial prediction.
        compared: The metrics that are compared.
    """
    of_distributions = any(name in DISTRIBUTION_SCALES for name in compared)
    judge = _judge_ratings if prior.dimensions else _judge_distributions if of_distributions else _judge_classes
    return [
        RunLearning(row["variant"], row["seed"], *judge(predictions[row["run"]], prior, compared))
        for row in rows if row["dataset"] == dataset and row["state"] == State.DONE
    ]  # fmt: skip


def _judge_classes(
    frame: pd.DataFrame, prior: PriorPredictor, compared: Sequence[MetricName]
) -> tuple[bool, str | None]:
    """Whether predicted classes are better than the class prior, and the only class that is answered, if it is one."""
    targets, trivial = targets_of(prior.predictions), guesses_of(prior.predictions)
    guesses = guesses_of(frame)
    answer = _only_answer(guesses, targets)
    learned = answer is None and any(
        _is_better(
            _values(frame, targets, guesses, name), _values(prior.predictions, targets, trivial, name), name
        )
        for name in compared
    )  # fmt: skip
    return learned, None if answer is None else classes_of(frame)[answer]


def _judge_distributions(
    frame: pd.DataFrame, prior: PriorPredictor, compared: Sequence[MetricName]
) -> tuple[bool, str | None]:
    """Whether predicted distributions are better than the training mean; and the class with the largest share in them,
    if nearly all are the same.
    """
    predicted, classes = special.softmax(logits_of(frame), axis=1), classes_of(frame)
    mean = predicted.mean(axis=0)
    apart = np.abs(predicted - mean).sum(axis=1) / 2
    if (apart < NEARLY_SAME).mean() >= NEARLY_ALL:
        return False, f"one distribution, most of it {classes[int(mean.argmax())]}"
    targets = targets_of(prior.predictions)

    def values(one: pd.DataFrame, name: MetricName) -> np.ndarray:
        return _values(one, targets, guesses_of(one), name)

    return any(_is_better(values(frame, name), values(prior.predictions, name), name) for name in compared), None


def _judge_ratings(
    frame: pd.DataFrame, prior: PriorPredictor, compared: Sequence[MetricName]
) -> tuple[bool, str | None]:
    """Whether predicted ratings are better than the training mean, and the ratings themselves if they hardly vary.

    Only the dimensions that are compared count.
    """
    places = sorted({place for name in compared for place in _places(frame, name)})
    predicted = predicted_of(frame)[:, places]
    if (predicted.std(0) < NEARLY_CONSTANT).all():
        return False, mean_text(predicted.mean(0), [prior.dimensions[place] for place in places])
    learned = any(_is_better(_rated(frame, name), _rated(prior.predictions, name), name) for name in compared)
    return learned, None


def _places(predictions: pd.DataFrame, name: MetricName) -> list[int]:
    """The columns of ratings that a measure is about: all, or that of its one dimension."""
    names = dimensions_in(predictions)
    return [names.index(name.removeprefix("ccc_"))] if name.startswith("ccc_") else list(range(len(names)))


def _rated(predictions: pd.DataFrame, name: MetricName) -> np.ndarray:
    """The terms of each image in a measure of ratings, mean over its dimensions (N,).

    For a correlation this is the product of the distances from both means, whose mean is the covariance: above zero if
    and only if the concordance is.
    """
    places = _places(predictions, name)
    true, predicted = true_of(predictions)[:, places], predicted_of(predictions)[:, places]
    if name == "rmse":
        return np.square(predicted - true).mean(1)
    spread = np.maximum(predicted.std(0), NEARLY_CONSTANT)
    return ((true - true.mean(0)) * (predicted - predicted.mean(0)) / spread).mean(1)


def _values(predictions: pd.DataFrame, targets: np.ndarray, guesses: np.ndarray, name: MetricName) -> np.ndarray:
    """The value that each image adds to a metric, which is the mean of these values (N,)."""
    if name not in ("accuracy", "balanced_accuracy"):
        return sufficient_stats(predictions, name).value
    right = 100.0 * (guesses == targets)
    if name == "accuracy":
        return right
    images = np.bincount(targets)
    return right * len(targets) / (np.sum(images > 0) * images[targets])


def _is_better(values: np.ndarray, prior: np.ndarray, name: MetricName) -> bool:
    """A one-sided paired test over images at 5 %: of signs, which is McNemar's, if all differences are as large.

    An infinite loss is worse than any.
    """
    gains = (values - prior) * (1 if ALL_SCALES[name].higher_is_better else -1)
    if not np.isfinite(gains).all():
        return False
    sizes = np.abs(gains[np.abs(gains) > ROUNDING])
    if not len(sizes):
        return False
    if np.ptp(sizes) < ROUNDING:
        better = int((gains > ROUNDING).sum())
        return better > 0 and float(special.bdtrc(better - 1, len(sizes), 0.5)) < ALPHA
    error = gains.std(ddof=1) / np.sqrt(len(gains))
    return bool(gains.mean() > t_quantile(2 * ALPHA, len(gains) - 1) * error)


def _only_answer(guesses: np.ndarray, targets: np.ndarray) -> int | None:
    """The class that is answered for nearly all images, whatever theirs; None if there is no such class."""
    most = int(np.bincount(guesses).argmax())
    others = targets != most
    return most if others.any() and (guesses[others] == most).mean() >= NEARLY_ALL else None
