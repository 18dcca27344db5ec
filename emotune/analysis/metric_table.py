"""A data set's metric values by variant and seed, and contrasts as weights over its variants."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from emotune.config.contrast import Contrast
from emotune.runs.directory import State

__all__ = ["MetricTable", "contrast_weights", "metric_table"]


@dataclass(frozen=True)
class MetricTable:
    """The metric of a data set's runs.

    Attributes:
        variants: The names of the variants, A/A included.
        values: The metric by variant and seed (k, n); NaN where no run has finished with a value.
    """

    variants: Sequence[str]
    values: np.ndarray

    def weights(self, contrasts: Sequence[Contrast]) -> np.ndarray:
        """The contrasts as weights over the variants (m, k)."""
        return contrast_weights(contrasts, self.variants)


def metric_table(
    rows: Iterable[Mapping[str, Any]], dataset: str, seeds: int, column: str, contrasts: Sequence[Contrast] = ()
) -> MetricTable:
    """The table of a data set.

    Args:
        rows: The runs with ``variant``, ``dataset``, ``seed`` and ``state``; finished ones also have the metric.
        dataset: The data set's name.
        seeds: The study's number of seeds; runs of other seeds do not count.
        column: The column of the metric.
        contrasts: Contrasts whose variants get a row even without runs.
    """
    here = [row for row in rows if row["dataset"] == dataset]
    compared = [variant for c in contrasts for variant in c.weights]
    variants = tuple(dict.fromkeys([*(row["variant"] for row in here), *compared]))
    values = np.full((len(variants), seeds), math.nan)
    for row in here:
        if row["state"] == State.DONE and row["seed"] < seeds:
            values[variants.index(row["variant"]), row["seed"]] = row[column]
    return MetricTable(variants, values)


def contrast_weights(contrasts: Sequence[Contrast], variants: Sequence[str]) -> np.ndarray:
    """The contrasts as weights over the variants (m, k)."""
    rows = [[contrast.weights.get(variant, 0.0) for variant in variants] for contrast in contrasts]
    return np.array(rows).reshape(len(contrasts), len(variants))
