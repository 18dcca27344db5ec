"""The value of a metric for the validation images, by which the best epoch is told."""

import numpy as np
from scipy import special

from emotune.config.distribution_scales import as_distribution_metric
from emotune.config.metric_scales import MetricName
from emotune.data.read.batches import Split
from emotune.runs.distribution_values import measured
from emotune.runs.predictions import concordance
from emotune.runs.rating_measures import pearson, root_mean_squared_error, sign_agreement
from emotune.training.tasks import true_shares

__all__ = ["validation_score"]

RATED = {"ccc": concordance, "pearson": pearson, "rmse": root_mean_squared_error, "sagr": sign_agreement}


def validation_score(metric: MetricName, split: Split, outputs: np.ndarray) -> float:
    """The value of a metric of distributions or dimensions; NaN where it is undefined.

    It is computed as reports compute that of test images, see `emotune.analysis.distribution_metrics` and
    `emotune.analysis.rating_metrics`: ratings are on scales from -1 to 1.

    Args:
        metric: The name of the metric.
        split: The images.
        outputs: The logits of their classes (N, K), or their predicted dimensions from -1 to 1 (N, D).
    """
    predicted = outputs.astype(np.float64)
    if name := as_distribution_metric(metric):
        truth = true_shares(split).astype(np.float64)
        return float(measured(name, truth, special.softmax(predicted, axis=1), split.classes).mean())
    measure, _, dimension = metric.partition("_")
    values = RATED[measure](split.targets.astype(np.float64), predicted)
    if not dimension:
        return float(values.mean())
    return float(values[[one.name for one in split.dimensions].index(dimension)])
