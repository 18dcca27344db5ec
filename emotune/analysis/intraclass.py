"""The intraclass correlation of seeds: how much of the variance of runs those of one seed share."""

import numpy as np

from emotune.analysis.residuals import fit_variant_and_seed, without_constant
from emotune.config.scale import ROUNDING

__all__ = ["FEWEST_SEEDS", "shared_by_seeds"]

FEWEST_SEEDS = 5
"""Of fewer seeds the share is too uncertain to be told."""


def shared_by_seeds(values: np.ndarray) -> float | None:
    """The share of the variance of runs that all variants of a seed have in common, which pairing by seed removes.

    It is ICC(3, 1) of Shrout and Fleiss (1979), with seeds as targets and variants as raters; 0 where that is negative.
    None if fewer than two variants vary or fewer than five seeds have a run of each of these.

    Args:
        values: The metric by variant and seed (k, n); NaN or infinite where a run does not count.

    >>> shared = shared_by_seeds(np.array([[1.0, 2, 3, 4, 5], [3.0, 4, 5, 6, 7]]))
    >>> round(shared, 3)
    1.0
    """
    varying = without_constant(values)
    varying = varying[np.isfinite(varying).any(axis=1)]
    complete = varying[:, np.isfinite(varying).all(axis=0)]
    variants, seeds = complete.shape
    if variants < 2 or seeds < FEWEST_SEEDS:
        return None
    fit = fit_variant_and_seed(complete)
    residual = fit.squares / fit.df
    between = variants * float(complete.mean(axis=0).var(ddof=1))
    whole = between + (variants - 1) * residual
    return max(0.0, (between - residual) / whole) if whole > ROUNDING**2 else None
