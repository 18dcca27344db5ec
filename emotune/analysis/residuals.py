"""What remains of a metric after variants and seeds are accounted for: the spread that all variants share.

It imports neither pandas nor scipy.stats, because every plan imports it.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from emotune.config.scale import ROUNDING

__all__ = [
    "PooledSpread",
    "Residuals",
    "fit_variant",
    "fit_variant_and_seed",
    "is_constant",
    "pooled_spread",
    "without_constant",
]


@dataclass(frozen=True)
class Residuals:
    """A least-squares fit to a table of metric values.

    Attributes:
        squares: The sum of the squared residuals.
        df: Their degrees of freedom; of *variant + seed* with all of k variants and n seeds (k - 1)(n - 1).
        residuals: The residual of each run (k, n); NaN where there is no value.
        leverages: How much each run pulls its own fitted value (k, n), from 0 to 1; NaN where there is no value.
    """

    squares: float
    df: int
    residuals: np.ndarray
    leverages: np.ndarray


def fit_variant_and_seed(values: np.ndarray) -> Residuals:
    """The least-squares fit of *variant + seed* to the runs that there are.

    A report asks for that of one table many times: verdicts, undeclared differences, A/A, other analyses, outcomes.

    Args:
        values: The metric by variant and seed (k, n); NaN or infinite where a run does not count.
    """
    return _fit(values.shape, np.ascontiguousarray(values, float).tobytes())


@lru_cache(maxsize=16)
def _fit(shape: tuple[int, int], data: bytes) -> Residuals:
    """The fit to a table of this shape with these values; its arrays are read-only."""
    values = np.frombuffer(data).reshape(shape)
    finite = np.isfinite(values)
    variant, seed = np.nonzero(finite)
    residuals, leverages = np.full(values.shape, np.nan), np.full(values.shape, np.nan)
    if not len(variant):
        return Residuals(0.0, 0, residuals, leverages)
    rows = np.arange(len(variant))
    design = np.zeros((len(rows), sum(values.shape)))
    design[rows, variant] = 1
    design[rows, len(values) + seed] = 1
    u, singular, _ = np.linalg.svd(design, full_matrices=False)
    u = u[:, singular > ROUNDING * singular[0]]
    y = values[finite] - values[finite].mean()
    left = y - u @ (u.T @ y)
    residuals[finite], leverages[finite] = left, (u**2).sum(axis=1)
    residuals.flags.writeable = leverages.flags.writeable = False
    return Residuals(float(left @ left), len(y) - u.shape[1], residuals, leverages)


def fit_variant(values: np.ndarray) -> Residuals:
    """The least-squares fit of each variant's mean, whose residuals contain what all variants of a seed share.

    Args:
        values: The metric by variant and seed (k, n); NaN or infinite where a run does not count.
    """
    finite = np.isfinite(values)
    runs = np.maximum(finite.sum(axis=1, keepdims=True), 1)
    means = np.where(finite, values, 0).sum(axis=1, keepdims=True) / runs
    residuals = np.where(finite, values - means, np.nan)
    leverages = np.where(finite, 1 / runs, np.nan)
    df = int(np.maximum(finite.sum(axis=1) - 1, 0).sum())
    return Residuals(float(np.nansum(residuals**2)), df, residuals, leverages)


def is_constant(values: np.ndarray) -> np.ndarray:
    """Whether each variant has two or more runs and the same value in all of them, whatever the seed (k,).

    Args:
        values: The metric by variant and seed (k, n); NaN or infinite where a run does not count.
    """
    finite = np.isfinite(values)
    low = np.where(finite, values, np.inf).min(axis=1, initial=np.inf)
    high = np.where(finite, values, -np.inf).max(axis=1, initial=-np.inf)
    return (finite.sum(axis=1) > 1) & (high - low < ROUNDING)


def without_constant(values: np.ndarray) -> np.ndarray:
    """The values with NaN for variants that are constant, which tell nothing of the spread over seeds (k, n)."""
    return np.where(is_constant(values)[:, None], np.nan, values)


@dataclass(frozen=True)
class PooledSpread:
    """The standard deviation of the difference of two variants over seeds, pooled over all variants of a data set.

    Attributes:
        sd: The standard deviation of the difference of two runs of one seed, in the unit of the metric.
        df: Its degrees of freedom.
        variants: The number of variants that it is pooled over, A/A included.
    """

    sd: float
    df: int
    variants: int = 2


def pooled_spread(rows: Iterable[Mapping[str, Any]], dataset: str, metric: str) -> PooledSpread | None:
    """The spread that remains after variants and seeds are accounted for; None if too few runs have finished.

    It is the residual of a least-squares fit of *variant + seed* to the finished runs. Variants with equal values in
    all seeds are not included.

    Args:
        rows: The finished runs with ``variant``, ``dataset``, ``seed`` and the metric; A/A runs may be among them.
        dataset: The data set's name.
        metric: The column of the metric.
    """
    by_variant: dict[str, dict[int, float]] = {}
    for row in rows:
        if row["dataset"] == dataset:
            by_variant.setdefault(row["variant"], {})[row["seed"]] = row[metric]
    seeds = sorted({seed for by_seed in by_variant.values() for seed in by_seed})
    values = np.array([[by_seed.get(seed, math.nan) for seed in seeds] for by_seed in by_variant.values()])
    if not values.size:
        return None
    values = values[~is_constant(values)]
    fit = fit_variant_and_seed(values)
    if not fit.df or fit.squares < ROUNDING**2:
        return None
    return PooledSpread(math.sqrt(2 * fit.squares / fit.df), fit.df, int(np.isfinite(values).any(axis=1).sum()))
