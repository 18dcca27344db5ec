"""Measures of predicted ratings: concordance, correlation, error and agreement of signs, each the mean over dimensions.

Ratings are on scales from -1 to 1, so the centre of each scale is 0. Moments are those of the population.
"""

import hashlib

import numpy as np
import pandas as pd

from emotune.analysis.rating_arrays import dimensions_in, predicted_of, true_of
from emotune.config.metric_scales import DIMENSION_METRICS
from emotune.runs.predictions import concordance
from emotune.runs.rating_measures import correlation, pearson, root_mean_squared_error, sign_agreement

__all__ = [
    "contributions",
    "from_sums",
    "predictions_digest",
    "rating_metrics",
    "ratings_by_dimension",
]

MOMENTS = 5
"""Sums from which a correlation is computed: of x, y, x², y² and xy."""


def ratings_by_dimension(predictions: pd.DataFrame) -> pd.DataFrame:
    """The measures of each dimension: ``dimension, ccc, pearson, rmse, sagr``.

    Args:
        predictions: The predictions of one run, see `emotune.analysis.rating_arrays`.
    """
    true, predicted = true_of(predictions), predicted_of(predictions)
    return pd.DataFrame({
        "dimension": dimensions_in(predictions),
        "ccc": concordance(true, predicted),
        "pearson": pearson(true, predicted),
        "rmse": root_mean_squared_error(true, predicted),
        "sagr": sign_agreement(true, predicted),
    })  # fmt: skip


def rating_metrics(predictions: pd.DataFrame) -> dict[str, float]:
    """Every metric of *dimensions* in `emotune.config.metric_scales.SCALES`, by name.

    ``pearson`` is NaN if it is undefined in a dimension; ``ccc_<dimension>`` is, if the data do not have the dimension.
    """
    table = ratings_by_dimension(predictions).set_index("dimension")
    means = {name: float(table[name].to_numpy().mean()) for name in ("ccc", "pearson", "rmse", "sagr")}
    alone = {f"ccc_{name}": float(value) for name, value in table["ccc"].items()}
    return {name: (means | alone).get(name, np.nan) for name in DIMENSION_METRICS}


def predictions_digest(predictions: pd.DataFrame) -> str:
    """A digest of the predicted ratings, whatever the order of the images."""
    order = predictions["sample_id"].array.argsort()
    digest = hashlib.sha256("\n".join(map(str, predictions["sample_id"].take(order).tolist())).encode())
    digest.update(np.round(predicted_of(predictions)[order], 6).astype("<f8").tobytes())
    return digest.hexdigest()[:16]


def contributions(predictions: pd.DataFrame, metric: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """The terms of each image in the sums from which a metric is computed: cells, values, images, and number of cells.

    Args:
        predictions: The predictions of one run.
        metric: The metric's name.
    """
    true, predicted = true_of(predictions), predicted_of(predictions)
    if metric.startswith("ccc_"):
        column = dimensions_in(predictions).index(metric.removeprefix("ccc_"))
        true, predicted = true[:, [column]], predicted[:, [column]]
    if metric == "rmse":
        values = np.square(predicted - true)[None]
    elif metric == "sagr":
        values = 100.0 * (np.sign(true) == np.sign(predicted))[None]
    else:
        values = np.stack([true, predicted, true**2, predicted**2, true * predicted])
    parts, images, dimensions = values.shape
    cells = np.broadcast_to(np.arange(parts * dimensions).reshape(parts, 1, dimensions), values.shape)
    rows = np.broadcast_to(np.arange(images)[None, :, None], values.shape)
    return cells.ravel(), values.ravel(), rows.ravel(), parts * dimensions


def from_sums(metric: str, sums: np.ndarray, images: np.ndarray) -> np.ndarray:
    """A metric (…) from the sums of `contributions`.

    Args:
        metric: The metric's name.
        sums: The sums over images by cell (…, cells).
        images: The number of images in each sum (…).
    """
    means = sums / np.asarray(images)[..., None]
    if metric == "rmse":
        return np.sqrt(means).mean(-1)
    if metric == "sagr":
        return means.mean(-1)
    moments = np.moveaxis(means.reshape(*means.shape[:-1], MOMENTS, -1), -2, 0)
    return correlation(moments, concordant=metric != "pearson").mean(-1)
