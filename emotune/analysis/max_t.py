"""The distribution of the largest |t| of several contrasts that share one standard deviation.

Dunnett (1955) for comparisons with a control; Hothorn, Bretz and Westfall (2008), "Simultaneous inference in general
parametric models", for any contrasts. It imports neither pandas nor scipy.stats, because every plan may import it.
"""

import math
from functools import lru_cache

import numpy as np
from scipy import special

__all__ = ["MaxT", "max_t", "t_quantile", "t_tail"]

POINTS, FEWER_POINTS, MANY_NUMBERS = 2**17, 2**14, 2**27
"""The number of directions over which is averaged, and the smaller one for so many contrasts that they need too much
memory.
"""
GROUP = 256
"""The directions of similar largest |t| that are replaced by their mean: their distribution is smooth."""
BISECTIONS = 45


def t_quantile(alpha: float, df: float) -> float:
    """The value that a |t| of so many degrees of freedom exceeds with probability ``alpha``."""
    return float(special.stdtrit(df, 1 - alpha / 2))


def t_tail(t: float, df: float) -> float:
    """The probability that |t| is at least as large, which is the p value of a two-sided t-test."""
    return float(2 * special.stdtr(df, -abs(t)))


class MaxT:
    """The distribution of max |T| of contrasts, each divided by its standard error, in one multivariate t distribution.

    The contrasts are linear combinations of normal variables: a direction, uniform on a sphere, times a length. For
    each direction the largest |T| follows from an F distribution (Deák 1990; Genz and Bretz 2009, section 4.1); the
    mean over directions is taken at fixed ones, so that the same contrasts always give the same number. Quantiles of
    up to 6 contrasts are right to 0.0002, of 16 to 0.001.

    Args:
        weights: The contrasts' weights over variants (m, k), which need not be independent.
    """

    def __init__(self, weights: np.ndarray) -> None:
        used = weights[:, np.any(weights != 0, axis=0)]
        units = used / np.linalg.norm(used, axis=1, keepdims=True)
        self.contrasts = len(units)
        _, factor = np.linalg.qr(units.T)  # units @ units.T, the correlations, is factor.T @ factor
        self._dimensions = len(factor)
        self._quantiles: dict[tuple[float, float], float] = {}
        self._largest = np.ones(1)
        if self.contrasts == 1:
            return
        count = POINTS if POINTS * factor.size <= MANY_NUMBERS else FEWER_POINTS
        largest = np.sort(np.abs(_directions(count, self._dimensions) @ factor).max(axis=1))
        self._largest = largest.reshape(-1, GROUP).mean(axis=1)

    def tail(self, t: float, df: float) -> float:
        """The probability that max |T| is at least ``t``: the p value of one contrast, adjusted for all of them.

        It is never smaller than the p value of the contrast alone, and never larger than Bonferroni's.

        Args:
            t: The contrast's t value.
            df: The degrees of freedom.
        """
        alone = t_tail(t, df)
        return min(max(self._tail(abs(t), df), alone), self.contrasts * alone, 1.0)

    def quantile(self, alpha: float, df: float) -> float:
        """The value that max |T| exceeds with probability ``alpha``.

        It is never below the quantile of a single |t|, and never above Bonferroni's.

        >>> star = np.column_stack([-np.ones(4), np.eye(4)])  # four variants against one baseline, as Dunnett (1955)
        >>> [round(MaxT(star).quantile(0.05, df), 2) for df in (10, 20)]
        [2.89, 2.65]
        """
        if (alpha, df) not in self._quantiles:
            low, high = t_quantile(alpha, df), t_quantile(alpha / self.contrasts, df)
            for _ in range(BISECTIONS if self.contrasts > 1 else 0):
                middle = (low + high) / 2
                low, high = (middle, high) if self._tail(middle, df) > alpha else (low, middle)
            self._quantiles[alpha, df] = (low + high) / 2
        return self._quantiles[alpha, df]

    def _tail(self, t: float, df: float) -> float:
        if t == 0:
            return 1.0
        r = self._dimensions
        return float(special.fdtrc(r, df, (t / self._largest) ** 2 / r).mean()) if math.isfinite(t) else 0.0


def max_t(weights: np.ndarray) -> MaxT:
    """The distribution for these contrasts, computed once in a process; arguments as `MaxT`."""
    return _kept(tuple(map(tuple, weights.tolist())))


@lru_cache(maxsize=64)
def _kept(weights: tuple[tuple[float, ...], ...]) -> MaxT:
    return MaxT(np.array(weights))


def _directions(count: int, dimensions: int) -> np.ndarray:
    """Fixed directions (count, dimensions), evenly spread over the sphere: points of Sobol's sequence, scrambled.

    Without scrambling they are some five times less exact.
    """
    from scipy.stats import qmc  # all of scipy.stats, which plans do without

    normal = special.ndtri(qmc.Sobol(dimensions, rng=0).random(count))
    return normal / np.linalg.norm(normal, axis=1, keepdims=True)
