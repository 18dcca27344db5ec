"""The trivial predictor of a data set: always the class frequencies of training, its mean distribution, or rating."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from emotune.analysis.metrics import scalar_metrics
from emotune.analysis.prediction_arrays import classes_of, logits_of, shares_of
from emotune.analysis.rating_metrics import rating_metrics
from emotune.config.scale import with_minus
from emotune.config.target import Dimension, Target
from emotune.runs.predictions import LOGIT_PREFIX, PREDICTED_PREFIX, class_prior

__all__ = ["PriorPredictor", "mean_distribution_predictor", "mean_predictor", "mean_text", "prior_predictor"]


@dataclass(frozen=True)
class PriorPredictor:
    """The class prior of a data set, or its mean distribution or rating, which predicts the same for every test image.

    Attributes:
        predictions: Its predictions for the test images, as a run's.
        answer: The class that it answers, the most frequent one in training; or the mean rating in each dimension, on
            its own scale.
        metrics: The value of every metric of `emotune.config.metric.SCALES` on the test images.
        from_training: Whether the frequencies are those of training. Otherwise they are those of the test images,
            because the runs were recorded before records had the classes of their training images.
        dimensions: The dimensions that are predicted; empty for classes.
    """

    predictions: pd.DataFrame
    answer: str
    metrics: Mapping[str, float]
    from_training: bool = True
    dimensions: tuple[Dimension, ...] = ()

    @property
    def task(self) -> Target:
        """The task: the kind of target that is predicted."""
        if self.dimensions:
            return "dimensions"
        return "classes" if shares_of(self.predictions) is None else "distributions"

    @property
    def best_answer(self) -> tuple[str, float]:
        """The most frequent class of the test images, and the accuracy of answering it always, in per cent."""
        shares = self.predictions["target"].value_counts(normalize=True)
        return str(shares.index[0]), 100.0 * float(shares.iloc[0])


def prior_predictor(
    test: pd.DataFrame, train_by_class: Mapping[str, int] | None, prior_run: pd.DataFrame | None = None
) -> PriorPredictor:
    """The class prior of a data set, equal to the model ``constant`` on it.

    Args:
        test: The predictions of any run, for the images and their classes.
        train_by_class: The number of training images of each class; None if it is unknown.
        prior_run: The predictions of a run of the model ``constant``, from which the frequencies are taken if the
            numbers are unknown.
    """
    classes = classes_of(test)
    if train_by_class is not None:
        shares = class_prior(np.array([train_by_class.get(label, 0) for label in classes]))
    elif prior_run is not None:
        shares = logits_of(prior_run)[0].astype(np.float32)
    else:
        counts = test["target"].value_counts()
        shares = class_prior(np.array([counts.get(label, 0) for label in classes]))
    predictions = test.assign(**{LOGIT_PREFIX + label: share for label, share in zip(classes, shares, strict=True)})
    from_training = train_by_class is not None or prior_run is not None
    return PriorPredictor(predictions, classes[int(shares.argmax())], scalar_metrics(predictions), from_training)


def mean_distribution_predictor(
    test: pd.DataFrame, train_shares: Mapping[str, float] | None, prior_run: pd.DataFrame | None = None
) -> PriorPredictor:
    """The mean distribution of the training images as the prediction for every image, equal to the model ``constant``.

    Args:
        test: The predictions of any run, for the images and their true shares.
        train_shares: The mean share of each class in training; None if it is unknown.
        prior_run: The predictions of a run of the model ``constant``, from which the distribution is taken if the mean
            is unknown. If both are, the mean distribution of the test images is.
    """
    classes, truth = classes_of(test), shares_of(test)
    assert truth is not None, "the task is distributions"
    shares = truth.mean(axis=0)
    if train_shares is not None:
        shares = np.array([train_shares.get(label, 0.0) for label in classes])
    elif prior_run is not None:
        shares = np.exp(logits_of(prior_run)[0])
    with np.errstate(divide="ignore"):  # a class without any vote
        logits = np.log(shares).astype(np.float32)
    predictions = test.assign(**{LOGIT_PREFIX + label: one for label, one in zip(classes, logits, strict=True)})
    from_training = train_shares is not None or prior_run is not None
    return PriorPredictor(predictions, classes[int(shares.argmax())], scalar_metrics(predictions), from_training)


def mean_predictor(
    test: pd.DataFrame, train_means: Mapping[str, float], dimensions: tuple[Dimension, ...]
) -> PriorPredictor:
    """The mean rating of the training images as the prediction for every image, equal to the model ``constant``.

    Args:
        test: The predictions of any run, for the images and their ratings, on scales from -1 to 1.
        train_means: The mean rating of the training images in each dimension, on its own scale; the centre of the scale
            if it is unknown.
        dimensions: The dimensions.
    """
    means = [one.to_unit(train_means.get(one.name, one.centre)) for one in dimensions]
    columns = {PREDICTED_PREFIX + one.name: mean for one, mean in zip(dimensions, means, strict=True)}
    predictions = test.assign(**columns)
    return PriorPredictor(predictions, mean_text(means, dimensions), rating_metrics(predictions), dimensions=dimensions)


def mean_text(values: Iterable[float], dimensions: Iterable[Dimension]) -> str:
    """Ratings in words, each on its own scale: ``valence 4.33, arousal 3.67``.

    Args:
        values: The ratings on scales from -1 to 1.
        dimensions: Their dimensions.
    """
    pairs = zip(values, dimensions, strict=True)
    return ", ".join(f"{one.name} {with_minus(f'{one.from_unit(float(value)):.3g}')}" for value, one in pairs)
