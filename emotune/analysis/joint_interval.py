"""The interval from which a verdict is read: one per contrast, right for all contrasts of a data set together.

The spread is that of the contrast's own seeds and, with the weight of four more, of all variants; and no interval is
narrower than the contrast's own seeds alone allow. With three seeds the former is what makes verdicts repeat, the
latter keeps a variant whose spread is larger than the others' from false ones.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from emotune.analysis.max_t import MaxT, max_t, t_quantile, t_tail
from emotune.analysis.residuals import Residuals, fit_variant, fit_variant_and_seed, is_constant, without_constant
from emotune.analysis.verdict import ALPHA
from emotune.config.scale import ROUNDING

__all__ = ["PRIOR_DF", "JointInterval", "contrast_by_seed", "joint_intervals", "mean_intervals"]

PRIOR_DF = 4
"""The degrees of freedom that the spread of all other differences has beside the contrast's own."""


@dataclass(frozen=True)
class JointInterval:
    """A contrast's mean over seeds and its joint interval, in the unit of the metric.

    Without an interval, for fewer than two seeds, for infinite values, or if nothing varies, the attributes from
    ``low`` on are None.

    Attributes:
        n: The number of seeds in which all of the contrast's variants have a value.
        mean: The mean of the contrast over these seeds; NaN without any.
        low: The lower end of the interval.
        high: The upper end of the interval.
        p: The p value of the contrast, adjusted for all contrasts: below ``alpha`` if the interval excludes zero.
        own_sd: The standard deviation of the contrast over its own seeds.
        rest_sd: The standard deviation that such a contrast has according to all other differences.
        weight: The degrees of freedom with which ``rest_sd`` counts, 0 to `PRIOR_DF`.
        sd: The moderated standard deviation, of which the interval is made.
        df: Its degrees of freedom: ``weight`` and those of the contrast's own seeds.
        error: The standard error of ``mean``: ``sd`` / √n over seeds; 0 if nothing varies over two seeds or more.
        quantile: The number of standard errors that the interval is wide to each side, unless its own seeds ask for
            more.
    """

    n: int
    mean: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    own_sd: float | None = None
    rest_sd: float | None = None
    weight: int = 0
    sd: float | None = None
    df: int | None = None
    error: float | None = None
    quantile: float | None = None

    @property
    def ends(self) -> tuple[float, float] | None:
        """Both ends of the interval; None if there is none."""
        return None if self.low is None or self.high is None else (self.low, self.high)

    @property
    def supports_verdict(self) -> bool:
        """Whether there is an interval, which with two seeds only other variants can make trustworthy."""
        return self.ends is not None and (self.n > 2 or self.weight > 0)


def joint_intervals(
    values: np.ndarray, weights: np.ndarray, alpha: float = ALPHA, *, each_alone: bool = False, overlap: float = 0.0
) -> list[JointInterval]:
    """The joint interval of each contrast on one data set.

    All of them cover their true differences at once with probability 1 - ``alpha``, or each covers its own.

    Args:
        values: The metric by variant and seed (k, n), the baseline's A/A runs included: NaN where no run has finished,
            infinite values count as such.
        weights: The weights of each contrast over the variants (m, k), rows that sum to zero: 1 and -1 for a
            difference of two variants.
        alpha: The probability of any error: 0.05, divided by the number of data sets of the study.
        each_alone: Whether it is the probability of an error of each interval, not of any.
        overlap: The number of test images per training image where the columns of ``values`` are divisions of one data
            set in place of seeds. Their training images overlap, so that their mean varies by more than a sample of
            so many would show: by ``1 / n + overlap`` variances (Nadeau and Bengio 2003, section 3). 0 for seeds.

    Raises:
        ValueError: the weights of a contrast do not sum to zero, or are all zero.
    """
    values, weights = np.asarray(values, float), np.asarray(weights, float)
    if len(weights) and (np.abs(weights.sum(axis=1)).max() > ROUNDING or not np.any(weights, axis=1).all()):
        raise ValueError(f"the weights of a contrast sum to zero and are not all zero: {weights.tolist()}")
    constant = is_constant(values)
    pool = fit_variant_and_seed(without_constant(values))
    if each_alone:
        return [_interval(values, row, pool, constant, max_t(row[None]), alpha, overlap) for row in weights]
    together = max_t(weights) if len(weights) else None
    return [_interval(values, row, pool, constant, together, alpha, overlap) for row in weights if together is not None]


def mean_intervals(values: np.ndarray, alpha: float = ALPHA, *, overlap: float = 0.0) -> list[JointInterval]:
    """The joint interval of each variant's mean over seeds, which does not compare it with another variant.

    The spread is moderated like that of a contrast, but contains what all variants of a seed share. The quantile is
    that of independent means, which is too large rather than too small for means that share their seeds (Šidák 1967).

    Args:
        values: The metric by variant and seed (k, n): NaN where no run has finished, infinite values count as such.
        alpha: The probability that any of the intervals misses its mean.
        overlap: As in `joint_intervals`.
    """
    values = np.asarray(values, float)
    constant, pool, rows = is_constant(values), fit_variant(without_constant(values)), np.eye(len(values))
    together = max_t(rows) if len(rows) else None
    return [_interval(values, row, pool, constant, together, alpha, overlap) for row in rows if together is not None]


def _interval(
    values: np.ndarray, row: np.ndarray, pool: Residuals, constant: np.ndarray, together: MaxT, alpha: float,
    overlap: float,
) -> JointInterval:  # fmt: skip
    used = row != 0
    differences = contrast_by_seed(values, row)
    n = len(differences)
    mean = _mean(differences)
    if n < 2 or not np.isfinite(differences).all():
        return JointInterval(n, mean)
    size, f = float(row @ row), n - 1
    own = float(differences.var(ddof=1))
    own = 0.0 if own < ROUNDING**2 else own  # equal differences of metrics differ in their last bits
    weight, rest = (0, 0.0) if constant[used].any() else _rest(pool, own, size, f)
    variance, df = (weight * rest + f * own) / (weight + f), weight + f
    if variance < ROUNDING**2:
        return JointInterval(n, mean, own_sd=0.0, error=0.0)
    error, own_error = (math.sqrt(one * (1 / n + overlap)) for one in (variance, own))
    own_p = t_tail(mean / own_error, f) if own else 0.0
    if weight:
        quantile, p = together.quantile(alpha, df), together.tail(mean / error, df)
    else:  # of its own seeds alone: the others' |t| has another variance in the denominator
        quantile, p = t_quantile(alpha / together.contrasts, f), min(1.0, together.contrasts * own_p)
    half = max(quantile * error, t_quantile(alpha, f) * own_error)
    return JointInterval(
        n, mean, mean - half, mean + half, max(p, own_p), own_sd=math.sqrt(own), rest_sd=math.sqrt(rest) or None,
        weight=weight, sd=math.sqrt(variance), df=df, error=error, quantile=quantile,
    )  # fmt: skip


def contrast_by_seed(values: np.ndarray, row: Sequence[float] | np.ndarray) -> np.ndarray:
    """The contrast in each seed in which its variants have values, unless infinite ones cancel: at most (n,).

    Args:
        values: The metric by variant and seed (k, n).
        row: The contrast's weights (k,).
    """
    row = np.asarray(row, float)
    used = row != 0
    with np.errstate(invalid="ignore"):
        by_seed = row[used] @ values[used]
    return by_seed[~np.isnan(by_seed)]


def _mean(differences: np.ndarray) -> float:
    with np.errstate(invalid="ignore"):
        return float(differences.mean()) if len(differences) else math.nan


def _rest(pool: Residuals, own: float, size: float, f: int) -> tuple[int, float]:
    """The weight and the variance of a contrast of this size according to all differences that are not its own.

    The contrast's own differences are a part of the pool's residuals, a share f * own / size of their squares.
    """
    df = pool.df - f
    if df <= 0:
        return 0, 0.0
    return min(PRIOR_DF, df), size * max(0.0, pool.squares - f * own / size) / df
