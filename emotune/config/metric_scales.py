"""The metrics of emotune: the scale of each, and which of them say something for which task."""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from emotune.config.distribution_scales import DISTRIBUTION_SCALES
from emotune.config.scale import Scale
from emotune.config.target import Target

__all__ = ["ALL_SCALES", "DIMENSION_METRICS", "MEASURED", "SCALES", "TASK_METRICS", "MetricName", "task_of", "unfit"]

MetricName = Literal[
    "accuracy", "balanced_accuracy", "macro_f1", "top2_accuracy", "polarity_accuracy", "nll", "brier", "ece",
    "ccc", "pearson", "rmse", "sagr", "ccc_valence", "ccc_arousal", "ccc_dominance",
    "kl", "chi_squared", "chebyshev", "clark", "canberra", "cosine", "intersection", "bhattacharyya", "emd_wheel",
    "emd_polarity",
]  # fmt: skip

SCALES: Mapping[MetricName, Scale] = MappingProxyType(
    {
        "accuracy": Scale("accuracy", "accuracy"),
        "balanced_accuracy": Scale("balanced accuracy", "balanced"),
        "macro_f1": Scale("macro-F1", "macro-F1"),
        "top2_accuracy": Scale("top-2 accuracy", "top-2"),
        "polarity_accuracy": Scale("polarity accuracy", "polarity"),
        "nll": Scale("negative log-likelihood", "NLL", "nats", "nat", 3, False, (0.0, math.inf)),
        "brier": Scale("Brier score", "Brier", "", "", 3, False, (0.0, 2.0)),
        "ece": Scale("expected calibration error", "ECE", higher_is_better=False),
    }
)
"""The metrics of classes by the name of their column in ``runs.csv``."""

CORRELATION = ("", "", 3, True, (-1.0, 1.0))
DIMENSION_SCALES: Mapping[MetricName, Scale] = MappingProxyType(
    {
        "ccc": Scale("concordance correlation", "CCC", *CORRELATION),
        "pearson": Scale("Pearson correlation", "Pearson r", *CORRELATION),
        "rmse": Scale("root mean squared error", "RMSE", "", "", 3, False, (0.0, math.inf)),
        "sagr": Scale("sign agreement", "SAGR"),
        "ccc_valence": Scale("concordance correlation of valence", "CCC of valence", *CORRELATION),
        "ccc_arousal": Scale("concordance correlation of arousal", "CCC of arousal", *CORRELATION),
        "ccc_dominance": Scale("concordance correlation of dominance", "CCC of dominance", *CORRELATION),
    }
)
"""The same of predicted dimensions; the error is on scales from -1 to 1."""

ALL_SCALES: Mapping[MetricName, Scale] = MappingProxyType(
    {**SCALES, **DIMENSION_SCALES, **dict(DISTRIBUTION_SCALES.items())}
)
"""All metrics of emotune."""
DIMENSION_METRICS: tuple[MetricName, ...] = tuple(DIMENSION_SCALES)
TASK_METRICS: Mapping[Target, tuple[MetricName, ...]] = MappingProxyType(
    {"classes": tuple(SCALES), "distributions": (*DISTRIBUTION_SCALES, *SCALES), "dimensions": DIMENSION_METRICS}
)
"""The metrics of each task, in the order of the report's columns."""


def task_of(metric: MetricName) -> Target:
    """The task in which a metric first says something.

    >>> task_of("ccc"), task_of("kl"), task_of("accuracy")
    ('dimensions', 'distributions', 'classes')
    """
    return next(task for task, names in TASK_METRICS.items() if metric in names)


MEASURED: Mapping[Target, str] = MappingProxyType(
    {"classes": "classes", "distributions": "distributions of votes", "dimensions": "ratings"}
)
"""The subject of a task's metrics, in words."""


def unfit(metric: MetricName | None, dataset: str, task: Target) -> str:
    """Why a metric says nothing about what is predicted on a data set, in words.

    >>> unfit("ccc", "scenes", "classes"), unfit("ccc_arousal", "photos", "dimensions")
    ('ccc measures ratings, but scenes has classes', 'ccc_arousal measures a dimension that photos does not have')
    """
    if metric is None:
        return f"the metric is for classes, but {dataset} has {MEASURED[task]}"
    if task_of(metric) == task:
        return f"{metric} measures a dimension that {dataset} does not have"
    return f"{metric} measures {MEASURED[task_of(metric)]}, but {dataset} has {MEASURED[task]}"
