"""What a number of seeds can show, before and after it is known how much seeds differ. Light: plans import it."""

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from emotune.config.metric import ROUNDING

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
"""How far, in standard deviations, a normal distribution is integrated, and at how many points."""


def power_of_paired_t(effect_in_sd: float, seeds: int, alpha: float = ALPHA) -> float:
    """The probability that a two-sided paired t-test over ``seeds`` pairs finds an effect.

    Args:
        effect_in_sd: The true mean difference over the standard deviation of the differences.
        seeds: Pairs, at least 2.
        alpha: The test's false-alarm rate.
    """
    df, shift = seeds - 1, abs(effect_in_sd) * math.sqrt(seeds)
    critical = special.stdtrit(df, 1 - alpha / 2)
    # |Z + shift| > critical * S, where S is a chi over the root of its df: the mean over
    # y = |Z + shift| of P(S < y / critical). scipy's noncentral t is NaN or not monotonous where the shift is large.
    y = np.linspace(max(0.0, shift - INTEGRATION_RANGE), shift + INTEGRATION_RANGE, INTEGRATION_POINTS)
    density = np.exp(-((y - shift) ** 2) / 2) + np.exp(-((y + shift) ** 2) / 2)
    found = special.chdtr(df, df * (y / critical) ** 2)
    return float(min(1.0, np.trapezoid(density * found, y) / math.sqrt(2 * math.pi)))


def smallest_effect(seeds: int, alpha: float = ALPHA) -> float | None:
    """The smallest effect, in standard deviations of the seed differences, found with 80 % power; None below 2 seeds.

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
    """The number of seeds that finds an effect with 80 % power; None above a thousand.

    >>> seeds_for(1.0)
    10
    """
    candidates = range(2, MOST_SEEDS + 1)
    index = bisect_left(candidates, POWER, key=lambda seeds: power_of_paired_t(effect_in_sd, seeds, alpha))
    return candidates[index] if index < len(candidates) else None


@dataclass(frozen=True)
class PooledSpread:
    """How much two variants' difference varies over seeds, estimated from all variants of a data set together.

    Attributes:
        sd: Standard deviation of the difference of two runs of one seed, in the unit of the metric.
        df: Degrees of freedom that it rests on.
    """

    sd: float
    df: int


def pooled_spread(rows: Iterable[Mapping[str, Any]], dataset: str, metric: str) -> PooledSpread | None:
    """The spread that is left beside what variants and seeds explain; None where too few runs are finished.

    Least squares of *variant + seed* over the runs there are. Variants that say the same in all seeds stay out.

    Args:
        rows: Finished runs with ``variant``, ``dataset``, ``seed`` and the metric; A/A runs are welcome.
        dataset: On which data.
        metric: Its column.
    """
    by_variant: dict[str, dict[int, float]] = {}
    for row in rows:
        if row["dataset"] == dataset and math.isfinite(row[metric]):
            by_variant.setdefault(row["variant"], {})[row["seed"]] = row[metric]
    varying = [own for own in by_variant.values() if max(own.values()) - min(own.values()) > ROUNDING]
    seeds = sorted({seed for own in varying for seed in own})
    if len(varying) < 2:
        return None
    # Frisch, Waugh and Lovell: with values and seeds' dummies less their means by variant, variants need no dummies.
    blocks = [
        (np.array([*own.values()]), np.array([[s == seed for seed in seeds] for s in own], float)) for own in varying
    ]
    values, dummies = (
        np.concatenate([part - part.mean(axis=0) for part in parts]) for parts in zip(*blocks, strict=True)
    )
    fitted, _, rank, _ = np.linalg.lstsq(dummies, values, rcond=1e-9)
    df = len(values) - len(varying) - int(rank)
    squares = float(((values - dummies @ fitted) ** 2).sum())
    return PooledSpread(math.sqrt(2 * squares / df), df) if df > 0 and squares > ROUNDING**2 else None


def detectable_effects(spread: PooledSpread, seeds: Iterable[int], alpha: float = ALPHA) -> dict[int, float]:
    """By number of seeds, the smallest difference that is found with 80 % power, in the unit of the metric.

    Args:
        spread: Of a seed difference.
        seeds: Numbers, of which those under 2 find nothing.
        alpha: The test's false-alarm rate.
    """
    return {n: effect * spread.sd for n in sorted(set(seeds)) if (effect := smallest_effect(n, alpha)) is not None}
