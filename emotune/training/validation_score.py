"""The value of a metric for the validation images, by which the best epoch is told."""

import numpy as np
from scipy import special

from emotune.config.distribution_scales import DISTRIBUTION_SCALES
from emotune.config.metric_scales import MetricName
from emotune.data.annotations import vote_shares
from emotune.data.read.batches import Split
from emotune.runs.distribution_values import measured
from emotune.runs.predictions import concordance
from emotune.runs.rating_measures import pearson, root_mean_squared_error, sign_agreement

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
    for name in DISTRIBUTION_SCALES:
        if name == metric:
            labels = [split.classes[target] for target in split.targets]
            truth = vote_shares(labels, split.votes, split.classes).astype(np.float64)
            return float(measured(name, truth, special.softmax(predicted, axis=1), split.classes).mean())
    measure, _, dimension = metric.partition("_")
    values = RATED[measure](split.targets.astype(np.float64), predicted)
    if not dimension:
        return float(values.mean())
    return float(values[[one.name for one in split.dimensions].index(dimension)])
