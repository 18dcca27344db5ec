"""The measures of predicted distributions by name, which validation and reports have in common."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from emotune.config.distribution_scales import DistributionMetric
from emotune.config.labels import POSITIVE, WHEELS, has_polarity
from emotune.runs import distribution_measures as measures

__all__ = ["MEASURES", "measured"]

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


def measured(name: DistributionMetric, truth: np.ndarray, predicted: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """The value of a measure for each image (N,); NaN if it makes no sense for the classes.

    Args:
        name: The name of the measure in `DISTRIBUTION_SCALES`.
        truth: The true distributions (N, K).
        predicted: The predicted distributions (N, K).
        classes: The K classes.
    """
    if name in MEASURES:
        return MEASURES[name](truth, predicted)
    if name == "emd_wheel":
        wheel = next((wheel for wheel, _ in WHEELS if set(wheel) == set(classes)), None)
        if wheel:
            return measures.emd_circle(truth, predicted, [classes.index(label) for label in wheel])
    elif has_polarity(classes):
        return measures.emd_groups(truth, predicted, np.array([label in POSITIVE for label in classes]))
    return np.full(len(truth), np.nan)
