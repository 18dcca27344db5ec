"""Measures of how far a predicted distribution over classes is from the true one, for each image.

Where a class has neither a true nor a predicted share, the fractions 0/0 of `chi_squared`, `clark` and `canberra` count
as 0; public code without this guard gives NaN where classes have no votes. An empty class that is predicted with any
share at all, as by every softmax, adds 1 to the sum of `clark` and to that of `canberra`, so that these two mostly
count empty classes. No measure is ever NaN, or infinite.

`clark` and `canberra` are not divided: some authors divide by √K and K.
"""

from collections.abc import Sequence

import numpy as np

__all__ = [
    "KL_FLOOR",
    "bhattacharyya",
    "canberra",
    "chebyshev",
    "chi_squared",
    "clark",
    "cosine",
    "emd_circle",
    "emd_groups",
    "intersection",
    "kl_divergence",
]

KL_FLOOR = 1e-10
"""The smallest predicted share in `kl_divergence`; a prediction is normalised again once smaller ones are raised."""


def kl_divergence(truth: np.ndarray, predicted: np.ndarray, floor: float = KL_FLOOR) -> np.ndarray:
    """The Kullback-Leibler divergence Σ p ln(p/q) of each image in nats (N,): 0 or more; 0 · ln 0 = 0.

    Args:
        truth: The true distributions p (N, K).
        predicted: The predicted distributions q (N, K).
        floor: The smallest q, so that no divergence is infinite.
    """
    q = np.maximum(predicted, floor)
    q = q / q.sum(axis=1, keepdims=True)
    ratio = np.divide(truth, q, out=np.ones_like(q), where=truth > 0)
    return np.maximum((truth * np.log(ratio)).sum(axis=1), 0.0)  # rounding can make it negative


def chi_squared(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """The χ² distance Σ (p - q)² / (p + q) of each image (N,): 0 to 2. Some authors halve it."""
    return _over_sum((truth - predicted) ** 2, truth + predicted).sum(axis=1)


def chebyshev(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """The largest difference |p - q| of each image (N,): 0 to 1."""
    return np.abs(truth - predicted).max(axis=1)


def clark(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Clark's distance √Σ (p - q)² / (p + q)² of each image (N,): 0 to √K."""
    return np.sqrt((_over_sum(truth - predicted, truth + predicted) ** 2).sum(axis=1))


def canberra(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """The Canberra distance Σ |p - q| / (p + q) of each image (N,): 0 to K."""
    return _over_sum(np.abs(truth - predicted), truth + predicted).sum(axis=1)


def cosine(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """The cosine p·q / (‖p‖ ‖q‖) of each image (N,): 0 to 1, which is best."""
    lengths = np.linalg.norm(truth, axis=1) * np.linalg.norm(predicted, axis=1)
    return np.clip((truth * predicted).sum(axis=1) / lengths, 0.0, 1.0)


def intersection(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """The intersection Σ min(p, q) of each image (N,): 0 to 1, which is best; 1 minus the total variation.

    The total variation is the earth mover's distance if all classes are equally far from each other.
    """
    return np.minimum(truth, predicted).sum(axis=1)


def bhattacharyya(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """The Bhattacharyya coefficient Σ √(p q) of each image (N,): 0 to 1, which is best."""
    return np.minimum(np.sqrt(truth * predicted).sum(axis=1), 1.0)


def emd_circle(truth: np.ndarray, predicted: np.ndarray, order: Sequence[int]) -> np.ndarray:
    """The earth mover's distance of each image on a circle of classes (N,), in steps: 0 to K / 2.

    Neighbours on the circle are one step apart. With F the cumulative sums around the circle, it is Σ |F_p - F_q - k|
    for the k that makes it smallest, which is a median: the larger half of the differences minus the smaller half.

    Args:
        truth: The true distributions (N, K).
        predicted: The predicted distributions (N, K).
        order: The indices of the K classes around the circle.
    """
    differences = np.sort(np.cumsum((truth - predicted)[:, list(order)], axis=1), axis=1)
    half = differences.shape[1] // 2
    return np.maximum(differences[:, -half:].sum(axis=1) - differences[:, :half].sum(axis=1), 0.0)


def emd_groups(truth: np.ndarray, predicted: np.ndarray, group: np.ndarray) -> np.ndarray:
    """The earth mover's distance of each image between two groups of classes (N,): 0 to 1.

    Classes of one group have the distance 0, others the distance 1.

    Args:
        truth: The true distributions (N, K).
        predicted: The predicted distributions (N, K).
        group: Whether each class belongs to the first group (K,).
    """
    return np.abs((truth - predicted)[:, group].sum(axis=1))


def _over_sum(values: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """The values divided by sums p + q; 0 where these are 0, and the values are, too."""
    return np.divide(values, sums, out=np.zeros_like(sums), where=sums > 0)
