"""Paired t-test, sign-flip test, equivalence test (TOST) and Holm's correction."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from emotune.config.scale import ROUNDING

__all__ = ["PairedPValues", "holm", "paired_tests", "sign_flip_test"]

MOST_ENUMERATED, DRAWS = 32, 2**16
"""The number of seeds up to which all sign flips are counted, and the number of random ones above it (fixed seed)."""


@dataclass(frozen=True)
class PairedPValues:
    """The p values of three tests of paired differences.

    Attributes:
        difference: The p value of the two-sided paired t-test.
        sign_flip: The p value of the two-sided sign-flip test; None for differences that are not independent.
        equivalence: The p value of the two one-sided t-tests (TOST).
    """

    difference: float
    sign_flip: float | None
    equivalence: float


def paired_tests(differences: np.ndarray, min_effect: float, *, independent: bool = True) -> PairedPValues:
    """The p values of the paired t-test, the sign-flip test, and the two one-sided t-tests at ± ``min_effect``.

    Args:
        differences: The differences by seed (n,), finite and not all equal.
        min_effect: The smallest difference that matters.
        independent: Whether the differences are independent, as sign flips assume.
    """
    above = _t_test(differences, -min_effect, "greater")
    below = _t_test(differences, min_effect, "less")
    return PairedPValues(
        difference=_t_test(differences, 0.0, "two-sided"),
        sign_flip=sign_flip_test(differences) if independent else None,
        equivalence=max(above, below),
    )


def _t_test(differences: np.ndarray, mean: float, alternative: Literal["two-sided", "less", "greater"]) -> float:
    """The p value of a one-sample t-test."""
    result = stats.ttest_1samp(differences, mean, alternative=alternative)
    return float(result.pvalue)  # pyright: ignore[reportAttributeAccessIssue]  # scipy adds the field at run time


def sign_flip_test(differences: np.ndarray) -> float:
    """The p value of the two-sided sign-flip test: the share of sign flips whose sum is at least as far from zero.

    Differences of percentages, 100 k / N, tie except for their last bits, so sums count as equal within `ROUNDING` per
    seed. A sign flip of all differences is one of the first half and one of the second; pairs of them are counted.

    Args:
        differences: The differences by seed (n,).
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
    """Holm's (1979) adjusted p values; None where there is no p value, which then counts as 1.

    Contrasts without a p value count, so that an adjusted p value cannot grow when they are finished. The result is
    that of statsmodels' ``multipletests``, which collects garbage at each call: in a large process that takes seconds.

    Args:
        p_values: The p values, None for a contrast without one.
    """
    p = np.array([1.0 if value is None else value for value in p_values])
    order = np.argsort(p)
    steps = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    adjusted = steps[np.argsort(order)].tolist()
    return [None if value is None else corrected for value, corrected in zip(p_values, adjusted, strict=True)]


def _signed_sums(numbers: np.ndarray) -> np.ndarray:
    """The sums of the numbers under all sign flips (2 ** n,)."""
    sums = np.zeros(1)
    for number in numbers:
        sums = np.concatenate([sums + number, sums - number])
    return sums
