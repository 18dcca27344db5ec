"""Metrics of one run's predicted distributions: the mean over images of a measure of `distribution_measures`.

A run's table of predictions has the true shares beside the logits, as ``share_<class>``, if its task is distributions.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd
from scipy import special

from emotune.analysis import distribution_measures as measures
from emotune.analysis.prediction_arrays import classes_of, logits_of, shares_of
from emotune.config.distribution_scales import DISTRIBUTION_SCALES, DistributionMetric
from emotune.config.labels import POSITIVE, WHEELS, has_polarity

__all__ = ["distribution_metrics", "image_measures"]

MEASURES: Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = MappingProxyType(
    {
        "kl": measures.kl_divergence,
        "chi_squared": measures.chi_squared,
        "chebyshev": measures.chebyshev,
        "clark": measures.clark,
        "canberra": measures.canberra,
        "cosine": measures.cosine,
        "intersection": measures.intersection,
        "bhattacharyya": measures.bhattacharyya,
    }
)
"""The measures that need no order of the classes."""


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
    if name in MEASURES:
        return MEASURES[name](truth, predicted)
    if name == "emd_wheel":
        wheel = next((wheel for wheel, _ in WHEELS if set(wheel) == set(classes)), None)
        if wheel:
            return measures.emd_circle(truth, predicted, [classes.index(label) for label in wheel])
    elif has_polarity(classes):
        return measures.emd_groups(truth, predicted, np.array([label in POSITIVE for label in classes]))
    return np.full(len(truth), np.nan)
