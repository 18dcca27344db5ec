"""Metrics of one run's predicted distributions: the mean over images of a measure of
`emotune.runs.distribution_measures`.

A run's table of predictions has the true shares beside the logits, as ``share_<class>``, if its task is distributions.
"""

import numpy as np
import pandas as pd
from scipy import special

from emotune.analysis.prediction_arrays import classes_of, logits_of, shares_of
from emotune.config.distribution_scales import DISTRIBUTION_SCALES, DistributionMetric
from emotune.runs.distribution_values import measured

__all__ = ["distribution_metrics", "image_measures"]


def distribution_metrics(predictions: pd.DataFrame) -> dict[str, float]:
    """Every metric of `DISTRIBUTION_SCALES`, by name; NaN for one that makes no sense for the classes.

    Args:
        predictions: The predictions of a run whose task is distributions.
    """
    return {name: float(image_measures(predictions, name).mean()) for name in DISTRIBUTION_SCALES}


def image_measures(predictions: pd.DataFrame, name: DistributionMetric) -> np.ndarray:
    """The value of a measure for each image (N,); NaN if it makes no sense for the classes.

    Args:
        predictions: The predictions of a run whose task is distributions.
        name: The name of the measure in `DISTRIBUTION_SCALES`.

    Raises:
        ValueError: the predictions have no true shares.
    """
    truth, classes = shares_of(predictions), classes_of(predictions)
    if truth is None:
        raise ValueError(f"{name} needs the true shares of the votes, which these predictions do not have")
    predicted = special.softmax(logits_of(predictions), axis=1)
    return measured(name, truth, predicted, classes)
