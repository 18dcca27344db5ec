"""The power of the joint interval: which differences so many seeds find, and how many seeds a difference needs.

It imports neither pandas nor scipy.stats, because every plan imports it.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence

import numpy as np
from scipy import special

from emotune.analysis.joint_interval import PRIOR_DF
from emotune.analysis.max_t import max_t, t_quantile
from emotune.analysis.verdict import ALPHA
from emotune.config.contrast import Contrast

__all__ = [
    "Design",
    "alike",
    "findable_effects",
    "power",
    "relative_sds",
    "seeds_for",
    "seeds_of_interactions",
    "smallest_effect",
]

POWER = 0.80
MOST_SEEDS = 1000
OWN_QUANTILES, OTHER_QUANTILES = 400, 40
"""The equally likely values by which the distributions of a contrast's own variance and of the others' are represented.
"""
BISECTIONS = 40
NUMERALS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
Design = tuple[int, np.ndarray, float]
"""The arguments of `power` after the seeds: the variants, the weights of all contrasts, and alpha."""


def power(effect_in_sd: float, seeds: int, variants: int, weights: np.ndarray, alpha: float = ALPHA) -> float:
    """The probability that a contrast's joint interval excludes zero, if all variants vary alike.

    Args:
        effect_in_sd: The true difference, divided by the standard deviation of a seed difference.
        seeds: The number of seeds.
        variants: The number of variants that vary, A/A included.
        weights: The weights of all contrasts (m, k).
        alpha: The probability of any error.
    """
    if seeds < 2 or variants < 2 or (seeds == 2 and variants == 2):
        return 0.0  # there is no verdict
    f = seeds - 1
    g = (variants - 1) * f - f
    weight = min(PRIOR_DF, g)
    own = _variances(f, OWN_QUANTILES)[:, None]
    rest = _variances(g, OTHER_QUANTILES)[None, :] if g else np.zeros((1, 1))
    quantile = max_t(weights).quantile(alpha, weight + f) if weight else t_quantile(alpha / len(weights), f)
    moderated = quantile * np.sqrt((weight * rest + f * own) / (weight + f))
    half = np.maximum(moderated, t_quantile(alpha, f) * np.sqrt(own))
    shift = effect_in_sd * math.sqrt(seeds)
    return float((special.ndtr(shift - half) + special.ndtr(-shift - half)).mean())


def smallest_effect(seeds: int, variants: int, weights: np.ndarray, alpha: float = ALPHA) -> float | None:
    """The smallest true difference that is found with 80 % power, in standard deviations of a seed difference.

    None where seeds and variants give no verdict; arguments as `power`.

    >>> star = np.column_stack([-np.ones(4), np.eye(4)])  # four variants against the fifth, the baseline
    >>> [round(smallest_effect(n, 5, star), 1) for n in (3, 5, 10)]
    [3.3, 1.8, 1.2]
    """
    if not len(weights) or power(1.0, seeds, variants, weights, alpha) == 0:
        return None
    low, high = 0.0, 1.0
    while power(high, seeds, variants, weights, alpha) < POWER:
        high *= 2
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        enough = power(middle, seeds, variants, weights, alpha) >= POWER
        low, high = (low, middle) if enough else (middle, high)
    return high


def seeds_for(effect_in_sd: float, variants: int, weights: np.ndarray, alpha: float = ALPHA) -> int | None:
    """The number of seeds that finds a difference with 80 % power; None if it is more than a thousand.

    Arguments as `power`.
    """
    candidates = range(2, MOST_SEEDS + 1)
    index = bisect_left(candidates, POWER, key=lambda seeds: power(effect_in_sd, seeds, variants, weights, alpha))
    return candidates[index] if index < len(candidates) else None


def findable_effects(
    sd: float, seeds: Iterable[int], variants: int, weights: np.ndarray, alpha: float = ALPHA
) -> dict[int, float]:
    """The smallest difference that is found with 80 % power by number of seeds, in the unit of the metric.

    Args:
        sd: The pooled standard deviation of a seed difference.
        seeds: The numbers of seeds; those that find nothing are omitted.
        variants: The number of variants that vary, A/A included.
        weights: The weights of all contrasts (m, k).
        alpha: The probability of any error.
    """
    found = {n: smallest_effect(n, variants, weights, alpha) for n in sorted(set(seeds))}
    return {n: effect * sd for n, effect in found.items() if effect is not None}


def relative_sds(weights: np.ndarray) -> list[float]:
    """The standard deviation of each contrast's seeds, in that of a difference of two variants, if all vary alike.

    A difference is found with so many seeds; a contrast of this relative standard deviation, if it is as many times
    larger. Its seeds grow with the square.

    Args:
        weights: The weights of all contrasts (m, k).

    >>> relative_sds(np.array([[1, -1, 0, 0], [0.5, 0.5, -0.5, -0.5], [1, -1, -1, 1]])).__repr__()
    '[1.0, 0.7071067811865476, 1.4142135623730951]'
    """
    return np.sqrt((np.asarray(weights, float) ** 2).sum(axis=1) / 2).tolist()


def alike(names: Iterable[str], weights: np.ndarray) -> dict[float, list[str]]:
    """The names of the contrasts whose seeds vary alike, by their relative standard deviation, in ascending order.

    Args:
        names: The names of all contrasts.
        weights: Their weights (m, k).

    >>> alike(["a - b", "a + b - c - d"], np.array([[1, -1, 0, 0], [1, 1, -1, -1]]))
    {1.0: ['a - b'], 1.414214: ['a + b - c - d']}
    """
    found: dict[float, list[str]] = {}
    for name, relative in sorted(zip(names, relative_sds(weights), strict=True), key=lambda pair: round(pair[1], 6)):
        found.setdefault(round(relative, 6), []).append(name)
    return found


def seeds_of_interactions(contrasts: Sequence[Contrast], weights: np.ndarray) -> str:
    """The sentence that says how many times the seeds of a main effect an interaction needs; empty without factors.

    Args:
        contrasts: All contrasts.
        weights: Their weights (m, k).
    """
    squares = {str(c): relative**2 for c, relative in zip(contrasts, relative_sds(weights), strict=True)}
    mains = [c for c in contrasts if c.effect and not c.effect.is_interaction]
    ratios = {
        round(squares[str(c)] / squares[str(main)], 2)
        for c in contrasts if c.effect and c.effect.is_interaction
        for main in mains if main.effect and main.effect.compared.items() <= c.effect.compared.items()
    }  # fmt: skip
    if not ratios:
        return ""
    fewest_and_most = sorted({min(ratios), max(ratios)})
    in_words = all(ratio.is_integer() and ratio < len(NUMERALS) for ratio in fewest_and_most)
    times = " to ".join(NUMERALS[int(ratio)] if in_words else f"{ratio:g}" for ratio in fewest_and_most)
    return f"An interaction needs {times} times the seeds of a main effect of the same size."


def _variances(df: int, count: int) -> np.ndarray:
    """Equally likely values (count,) of a variance estimate with so many degrees of freedom, whose mean is about 1."""
    return special.chdtri(df, (np.arange(count) + 0.5) / count) / df
