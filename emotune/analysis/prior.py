"""The trivial predictor of a data set: the frequencies of the classes in training, whatever the image."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from emotune.analysis.metrics import scalar_metrics
from emotune.analysis.prediction_arrays import classes_of, logits_of
from emotune.runs.predictions import LOGIT_PREFIX, class_prior

__all__ = ["PriorPredictor", "prior_predictor"]


@dataclass(frozen=True)
class PriorPredictor:
    """The class prior of a data set, which predicts the same for every test image.

    Attributes:
        predictions: Its predictions for the test images, as a run's.
        answer: The class that it answers, the most frequent one in training.
        metrics: The value of every metric of `emotune.config.metric.SCALES` on the test images.
        from_training: Whether the frequencies are those of training. Otherwise they are those of the test images,
            because the runs were recorded before records had the classes of their training images.
    """

    predictions: pd.DataFrame
    answer: str
    metrics: Mapping[str, float]
    from_training: bool = True

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
