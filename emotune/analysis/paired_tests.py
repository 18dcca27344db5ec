"""Tests of paired differences over seeds, and Holm's correction for several of them."""

from collections.abc import Sequence

import numpy as np
from scipy import stats

from emotune.config.metric import ROUNDING

__all__ = ["holm", "paired_tests", "sign_flip_test"]

MOST_ENUMERATED, DRAWS = 32, 2**16
"""Up to so many seeds all ways to flip signs are counted; above, so many random ones (fixed seed)."""


def paired_tests(differences: np.ndarray, min_effect: float) -> dict[str, float]:
    """The p of the two-sided paired t test, of the sign flips, and of the two one-sided t tests at ± ``min_effect``.

    Args:
        differences: By seed (n,), finite, and not all equal.
        min_effect: The smallest difference that would matter.
    """
    above = stats.ttest_1samp(differences, -min_effect, alternative="greater").pvalue
    below = stats.ttest_1samp(differences, min_effect, alternative="less").pvalue
    return {
        "p": float(stats.ttest_1samp(differences, 0).pvalue),
        "p_sign_flip": sign_flip_test(differences),
        "p_equivalence": float(max(above, below)),
    }


def sign_flip_test(differences: np.ndarray) -> float:
    """The share of all ways to flip signs whose sum is as far from zero as the one seen, or farther.

    Differences of shares, as 100 k / N, tie but for their last bits, so sums count as equal within `ROUNDING` a seed.
    Each way is a way to flip the first half and one to flip the second: these are counted against each other.
    """
    n, least = len(differences), abs(differences.sum()) - ROUNDING * len(differences)
    if least <= 0:
        return 1.0
    if n > MOST_ENUMERATED:
        signs = np.random.default_rng(0).integers(0, 2, (DRAWS, n), dtype=np.int8) * 2 - 1
        return float((1 + (np.abs(signs @ differences) >= least).sum()) / (1 + DRAWS))
    first, second = _signed_sums(differences[: n // 2]), np.sort(_signed_sums(differences[n // 2 :]))
    above = (len(second) - np.searchsorted(second, least - first)).sum()
    return float(2 * above / 2**n)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's (1979) adjusted p; contrasts without one keep their place, as finishing them can only make others smaller.

    As statsmodels' ``multipletests``, which looks for garbage at each call: in a large process that takes seconds.
    """
    p = np.array([1.0 if value is None else value for value in p_values])
    order = np.argsort(p)
    steps = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    adjusted = steps[np.argsort(order)].tolist()
    return [None if value is None else found for value, found in zip(p_values, adjusted, strict=True)]


def _signed_sums(numbers: np.ndarray) -> np.ndarray:
    """Of all ways to flip signs (2 ** n,)."""
    sums = np.zeros(1)
    for number in numbers:
        sums = np.concatenate([sums + number, sums - number])
    return sums
