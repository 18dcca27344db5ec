"""Measures of how far predicted ratings are from mean ratings, for each dimension.

Ratings are on scales from -1 to 1, so the centre of each scale is 0. Moments are those of the population.
"""

import numpy as np

__all__ = ["correlation", "pearson", "root_mean_squared_error", "sign_agreement"]

SMALLEST = 1e-12
"""The variance below which predictions are constant: their differences are rounding errors."""


def pearson(true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Pearson's correlation of each column (D,); NaN where ratings or predictions are constant.

    >>> pearson(np.array([[1.0, 1], [2, 2]]), np.array([[3.0, 3], [5, 3]])).tolist()
    [1.0, nan]
    """
    sums = np.stack([true, predicted, true**2, predicted**2, true * predicted]).sum(1)
    return correlation(sums / len(true), concordant=False)


def root_mean_squared_error(true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """The root mean squared error of each column (D,), in the unit of the ratings."""
    return np.sqrt(np.square(predicted - true).mean(0))


def sign_agreement(true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """The share of images whose prediction is on the same side of the scale's centre as the rating, per cent (D,).

    A rating at the centre agrees only with a prediction at the centre, which networks hardly ever give.

    >>> sign_agreement(np.array([[-0.5], [0.2], [0.0], [0.0]]), np.array([[-0.1], [-0.1], [0.1], [0.0]])).tolist()
    [50.0]
    """
    return 100 * (np.sign(true) == np.sign(predicted)).mean(0)


def correlation(moments: np.ndarray, *, concordant: bool) -> np.ndarray:
    """The concordance, or Pearson's correlation, from the means of x, y, x², y² and xy (5, …)."""
    x, y, xx, yy, xy = moments
    var_x, var_y, covariance = np.maximum(xx - x**2, 0), np.maximum(yy - y**2, 0), xy - x * y
    if concordant:
        apart = var_x + var_y + (x - y) ** 2
        return np.divide(2 * covariance, apart, out=np.zeros_like(apart), where=apart > SMALLEST)
    is_defined = (var_x > SMALLEST) & (var_y > SMALLEST)
    spread = np.sqrt(var_x * var_y)
    return np.clip(np.divide(covariance, spread, out=np.full_like(spread, np.nan), where=is_defined), -1, 1)
