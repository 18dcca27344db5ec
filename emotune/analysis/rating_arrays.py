"""A run's predicted ratings as arrays: on scales from -1 to 1, on which all dimensions are alike.

The files of runs have ratings on the dimensions' own scales; tables that are loaded have them from -1 to 1.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from emotune.config.target import Dimension
from emotune.runs.predictions import PREDICTED_PREFIX, SD_PREFIX, TRUE_PREFIX

__all__ = ["dimensions_in", "has_ratings", "predicted_of", "true_of", "with_own_ratings", "with_unit_ratings"]


def has_ratings(predictions: pd.DataFrame) -> bool:
    """Whether a table has predicted ratings in the place of classes."""
    return bool(dimensions_in(predictions))


def dimensions_in(predictions: pd.DataFrame) -> list[str]:
    """The names of the dimensions that a table has predictions for."""
    names = map(str, predictions.columns)
    return [name.removeprefix(PREDICTED_PREFIX) for name in names if name.startswith(PREDICTED_PREFIX)]


def true_of(predictions: pd.DataFrame) -> np.ndarray:
    """The mean ratings of the images (N, D)."""
    return predictions[[TRUE_PREFIX + name for name in dimensions_in(predictions)]].to_numpy(np.float64)


def predicted_of(predictions: pd.DataFrame) -> np.ndarray:
    """The predicted ratings (N, D)."""
    return predictions[[PREDICTED_PREFIX + name for name in dimensions_in(predictions)]].to_numpy(np.float64)


def with_unit_ratings(predictions: pd.DataFrame, dimensions: Sequence[Dimension]) -> pd.DataFrame:
    """A run's table with ratings on scales from -1 to 1, and with ``target``: the mean ratings as text.

    Args:
        predictions: The table as a run has written it: ``sample_id``, ``group``, and ``true_``, ``predicted_`` and
            ``sd_`` of each dimension.
        dimensions: The dimensions.

    Raises:
        KeyError: a column is missing.
    """
    names = [one.name for one in dimensions]
    rows = predictions[[TRUE_PREFIX + name for name in names]].to_numpy()
    texts = [" ".join(f"{value:.6g}" for value in row) for row in rows]
    columns = {"sample_id": predictions["sample_id"], "target": texts, "group": predictions["group"]}
    for one in dimensions:
        for prefix in (TRUE_PREFIX, PREDICTED_PREFIX):
            columns[prefix + one.name] = one.to_unit(predictions[prefix + one.name].astype(float))
        columns[SD_PREFIX + one.name] = predictions[SD_PREFIX + one.name].astype(float) * 2 / (one.high - one.low)
    return pd.DataFrame(columns)


def with_own_ratings(predictions: pd.DataFrame, dimensions: Sequence[Dimension]) -> pd.DataFrame:
    """A table of `with_unit_ratings` with ratings on the dimensions' own scales again."""
    columns = {}
    for one in dimensions:
        for prefix in (TRUE_PREFIX, PREDICTED_PREFIX):
            columns[prefix + one.name] = one.from_unit(predictions[prefix + one.name])
        columns[SD_PREFIX + one.name] = predictions[SD_PREFIX + one.name] * (one.high - one.low) / 2
    return predictions.assign(**columns)
