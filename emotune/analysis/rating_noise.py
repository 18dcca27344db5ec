"""The bound that the raters' noise sets to any prediction of mean ratings.

Other raters would give an image another mean. With x the mean rating of an image and t what all possible raters would
give it on average, x = t + e, where the variance of e is the squared standard error of the mean, s² / n, if raters are
drawn anew for each image. So var(t) = var(x) - mean(s² / n), and the reliability of mean ratings is var(t) / var(x).
Nothing can know e. A predictor that is t itself has with x

- Pearson's correlation √reliability, which is Spearman's (1904) attenuation with a predictor without error;
- the concordance 2 var(t) / (var(t) + var(x)) = 2 reliability / (1 + reliability);
- the root mean squared error √mean(s² / n).

The last two are our own derivation. Stretching t by √(1 / reliability) around its mean brings the concordance up to the
correlation, above which no concordance can be, and costs error.
"""

import math
from dataclasses import dataclass

import numpy as np

__all__ = ["NoiseBound", "noise_bound"]


@dataclass(frozen=True)
class NoiseBound:
    """The measures on mean ratings of a predictor that knows the mean over all possible raters.

    Attributes:
        reliability: The share of the variance of mean ratings that is no noise, 0 to 1.
        ccc: The concordance correlation.
        pearson: Pearson's correlation.
        rmse: The root mean squared error, in the unit of the ratings.
    """

    reliability: float
    ccc: float
    pearson: float
    rmse: float


def noise_bound(means: np.ndarray, squared_error: float) -> NoiseBound:
    """The bound for the images with these mean ratings (N,).

    Args:
        means: The mean ratings.
        squared_error: The mean squared standard error of mean ratings, in the same unit.

    >>> noise_bound(np.array([1.0, 3.0]), 0.25)  # doctest: +ELLIPSIS
    NoiseBound(reliability=0.75, ccc=0.857..., pearson=0.866..., rmse=0.5)
    """
    variance = float(means.var())
    reliability = max(0.0, 1 - squared_error / variance) if variance else 0.0
    return NoiseBound(
        reliability, 2 * reliability / (1 + reliability), math.sqrt(reliability), math.sqrt(squared_error)
    )
