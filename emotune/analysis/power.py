"""Power analysis of paired t-tests over seeds, and the spread of seed differences pooled over variants.

It imports neither pandas nor scipy.stats, because every plan imports it.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from emotune.analysis.residuals import fit_variant_and_seed, is_constant
from emotune.config.scale import ROUNDING

__all__ = [
    "ALPHA",
    "PooledSpread",
    "detectable_effects",
    "pooled_spread",
    "power_of_paired_t",
    "seeds_for",
    "smallest_effect",
]

ALPHA, POWER = 0.05, 0.80
MOST_SEEDS = 1000
INTEGRATION_RANGE, INTEGRATION_POINTS = 9.0, 2001
"""The range in standard deviations over which a normal distribution is integrated, and the number of points."""


def power_of_paired_t(effect_in_sd: float, seeds: int, alpha: float = ALPHA) -> float:
    """The probability that a two-sided paired t-test over ``seeds`` pairs detects an effect.

    Args:
        effect_in_sd: The true mean difference divided by the standard deviation of the differences.
        seeds: The number of pairs, at least 2.
        alpha: The significance level.
    """
    df, shift = seeds - 1, abs(effect_in_sd) * math.sqrt(seeds)
    critical = special.stdtrit(df, 1 - alpha / 2)
    # The test detects the effect if |Z + shift| > critical * S, where S is a chi variable divided by the root of its
    # degrees of freedom: this is the mean of P(S < y / critical) over y = |Z + shift|. scipy's noncentral t is NaN or
    # not monotonous for large shifts.
    y = np.linspace(max(0.0, shift - INTEGRATION_RANGE), shift + INTEGRATION_RANGE, INTEGRATION_POINTS)
    density = np.exp(-((y - shift) ** 2) / 2) + np.exp(-((y + shift) ** 2) / 2)
    detected = special.chdtr(df, df * (y / critical) ** 2)
    return float(min(1.0, np.trapezoid(density * detected, y) / math.sqrt(2 * math.pi)))


def smallest_effect(seeds: int, alpha: float = ALPHA) -> float | None:
    """The smallest effect that is detected with 80 % power, in standard deviations of the seed differences.

    None for fewer than 2 seeds.

    Args:
        seeds: The number of pairs.
        alpha: The significance level.

    >>> [round(smallest_effect(n), 1) for n in (3, 5, 7, 10)]
    [3.3, 1.7, 1.3, 1.0]
    """
    if seeds < 2:
        return None
    low, high = 0.0, 1.0
    while power_of_paired_t(high, seeds, alpha) < POWER:
        high *= 2
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if power_of_paired_t(middle, seeds, alpha) >= POWER else (middle, high)
    return high


def seeds_for(effect_in_sd: float, alpha: float = ALPHA) -> int | None:
    """The number of seeds that detects an effect with 80 % power; None if it is more than a thousand.

    Args:
        effect_in_sd: The true mean difference divided by the standard deviation of the differences.
        alpha: The significance level.

    >>> seeds_for(1.0)
    10
    """
    candidates = range(2, MOST_SEEDS + 1)
    index = bisect_left(candidates, POWER, key=lambda seeds: power_of_paired_t(effect_in_sd, seeds, alpha))
    return candidates[index] if index < len(candidates) else None


@dataclass(frozen=True)
class PooledSpread:
    """The standard deviation of the difference of two variants over seeds, pooled over all variants of a data set.

    Attributes:
        sd: The standard deviation of the difference of two runs of one seed, in the unit of the metric.
        df: Its degrees of freedom.
    """

    sd: float
    df: int


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
    fit = fit_variant_and_seed(values[~is_constant(values)])
    if not fit.df or fit.squares < ROUNDING**2:
        return None
    return PooledSpread(math.sqrt(2 * fit.squares / fit.df), fit.df)


def detectable_effects(spread: PooledSpread, seeds: Iterable[int], alpha: float = ALPHA) -> dict[int, float]:
    """The smallest difference that is detected with 80 % power by number of seeds, in the unit of the metric.

    Args:
        spread: The pooled standard deviation of a seed difference.
        seeds: The numbers of seeds; those below 2 detect nothing and are omitted.
        alpha: The significance level.
    """
    return {n: effect * spread.sd for n in sorted(set(seeds)) if (effect := smallest_effect(n, alpha)) is not None}
