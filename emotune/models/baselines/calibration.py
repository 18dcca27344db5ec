"""Probabilities of fitted models: a temperature, fitted on the validation images (Guo et al. 2017, section 4.2)."""

from typing import Any

import numpy as np

__all__ = ["best_temperature", "log_probabilities"]

MIN_LOG_PROBABILITY = -30.0
"""The log-probability of a class without training images: finite, so that losses are."""


def log_probabilities(scores: np.ndarray, temperature: float, known: np.ndarray, classes: int) -> np.ndarray:
    """The log-probabilities of all classes, not less than -30, float32 (N, K).

    Args:
        scores: The scores of the classes with training images, (N, number of these).
        temperature: The divisor of the scores.
        known: The indices of these classes.
        classes: The number of all classes, K.
    """
    from scipy.special import log_softmax  # late: every worker imports this module, and few need it

    found = np.full((len(scores), classes), MIN_LOG_PROBABILITY)
    found[:, known] = np.maximum(log_softmax(scores / temperature, axis=1), MIN_LOG_PROBABILITY)
    return found.astype(np.float32)


def best_temperature(scores: np.ndarray, targets: np.ndarray) -> float:
    """The divisor of scores (N, K) between 1/100 and 100 with which the targets are most likely."""
    from scipy.optimize import minimize_scalar  # late: every worker imports this module, and few need it
    from scipy.special import log_softmax

    rows = np.arange(len(targets))

    def loss(log_temperature: float) -> float:
        return -float(log_softmax(scores / np.exp(log_temperature), axis=1)[rows, targets].mean())

    best: Any = minimize_scalar(loss, bounds=(-np.log(100), np.log(100)), method="bounded")
    return float(np.exp(best.x))
