"""What a number of seeds can show, before and after it is known how much seeds differ. Light: plans import it."""

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from scipy import special

from emotune.study import Contrast

__all__ = ["ALPHA", "paired_differences", "power_of_paired_t", "seeds_for", "smallest_effect"]

ALPHA, POWER = 0.05, 0.80
MOST_SEEDS = 1000
BEYOND, POINTS = 9.0, 2001
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
    y = np.linspace(max(0.0, shift - BEYOND), shift + BEYOND, POINTS)
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


def paired_differences(
    rows: Iterable[Mapping[str, Any]], contrast: Contrast, dataset: str, metric: str
) -> dict[int, float]:
    """The metric of the contrast's variant minus its reference's, by seed; complete pairs only.

    Args:
        rows: Finished runs with ``variant``, ``dataset``, ``seed`` and the metric.
        contrast: Which difference.
        dataset: On which data.
        metric: Its column.
    """
    chosen = [row for row in rows if row["dataset"] == dataset]
    first, second = (
        {row["seed"]: row[metric] for row in chosen if row["variant"] == side}
        for side in (contrast.variant, contrast.reference)
    )
    return {seed: first[seed] - second[seed] for seed in sorted(first.keys() & second.keys())}
