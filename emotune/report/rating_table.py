"""The table of predicted ratings: the measures of each dimension by variant."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from emotune.analysis.rating_metrics import ratings_by_dimension
from emotune.config.target import Dimension
from emotune.report.columns import Column, dataset_column, number_text
from emotune.report.results import StudyResults
from emotune.runs.predictions import SD_PREFIX

__all__ = ["RatingRow", "rating_columns", "rating_rows"]


@dataclass(frozen=True)
class RatingRow:
    """A variant's predictions of one dimension of a data set.

    Attributes:
        variant: The variant's name.
        dataset: The data set's name.
        dimension: The dimension.
        means: The means over seeds of ``ccc``, ``pearson``, ``rmse`` and ``sagr``; NaN where a run has none. The error
            is on the dimension's own scale.
        sd: The mean standard deviation of the raters on that scale; NaN if it is unknown.
    """

    variant: str
    dataset: str
    dimension: Dimension
    means: dict[str, float]
    sd: float


def rating_rows(results: StudyResults) -> list[RatingRow]:
    """The rows of all variants with finished runs; none if classes are predicted."""
    rows = []
    for dataset, dimensions in results.records.dimensions.items():
        for variant, by_seed in results.predictions[dataset].items():
            tables = [ratings_by_dimension(frame).set_index("dimension") for frame in by_seed.values()]
            first = next(iter(by_seed.values()))
            for one in dimensions:
                values = pd.DataFrame([table.loc[one.name] for table in tables])
                means = {str(name): float(np.mean(values[name].to_numpy(float))) for name in values}
                half = (one.high - one.low) / 2
                means["rmse"] *= half
                sd = float(first[SD_PREFIX + one.name].mean()) * half
                rows.append(RatingRow(variant, dataset, one, means, sd))
    return rows


def rating_columns(several: bool) -> list[Column]:
    """The columns of the table.

    Args:
        several: Whether the study has several data sets.
    """

    def value(name: str, decimals: int) -> Callable[[RatingRow], str]:
        return lambda row: number_text(row.means[name], f"{{:.{decimals}f}}")

    return [
        Column("variant", lambda row: row.variant, "name"),
        dataset_column(several),
        Column("dimension", lambda row: f"{row.dimension.name} ({row.dimension.scale})", "text"),
        Column("CCC", value("ccc", 3)),
        Column("Pearson r", value("pearson", 3)),
        Column("RMSE", value("rmse", 2)),
        Column("SAGR, %", value("sagr", 1)),
        Column("SD of raters", lambda row: number_text(row.sd, "{:.2f}")),
    ]
