"""The measures of predicted distributions as metrics: unit, direction and bounds of each.

They are computed in `emotune.analysis.distribution_metrics`, as the mean over the test images.
"""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from emotune.config.scale import Scale

__all__ = ["DISTRIBUTION_SCALES", "DistributionMetric", "as_distribution_metric"]

DistributionMetric = Literal[
    "kl", "chi_squared", "chebyshev", "clark", "canberra", "cosine", "intersection", "bhattacharyya", "emd_wheel",
    "emd_polarity",
]  # fmt: skip

DISTANCE = ("", "", 3, False)
SIMILARITY = ("", "", 3, True, (0.0, 1.0))

DISTRIBUTION_SCALES: Mapping[DistributionMetric, Scale] = MappingProxyType(
    {
        "kl": Scale("Kullback-Leibler divergence", "KL", "nats", "nat", 3, False, (0.0, math.inf)),
        "chi_squared": Scale("χ² distance", "χ²", *DISTANCE, (0.0, 2.0)),
        "chebyshev": Scale("Chebyshev distance", "Chebyshev", *DISTANCE, (0.0, 1.0)),
        "clark": Scale("Clark's distance", "Clark", *DISTANCE, (0.0, math.inf)),
        "canberra": Scale("Canberra distance", "Canberra", *DISTANCE, (0.0, math.inf)),
        "cosine": Scale("cosine similarity", "cosine", *SIMILARITY),
        "intersection": Scale("intersection", "intersection", *SIMILARITY),
        "bhattacharyya": Scale("Bhattacharyya coefficient", "Bhattacharyya", *SIMILARITY),
        "emd_wheel": Scale("EMD on the wheel of emotions", "EMD, wheel", "steps", "step", 3, False, (0.0, math.inf)),
        "emd_polarity": Scale("EMD between polarities", "EMD, polarity", *DISTANCE, (0.0, 1.0)),
    }
)
"""The measures by the name of their column in ``runs.csv``."""


def as_distribution_metric(name: str) -> DistributionMetric | None:
    """The measure of this name; None if it is another metric's.

    >>> as_distribution_metric("kl"), as_distribution_metric("accuracy")
    ('kl', None)
    """
    return next((measure for measure in DISTRIBUTION_SCALES if measure == name), None)
