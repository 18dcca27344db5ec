"""The columns of ``predictions.parquet``, and the accuracy of predictions, which records and reports have in common."""

import numpy as np

__all__ = ["LOGIT_PREFIX", "accuracy"]

LOGIT_PREFIX = "logit_"
"""The prefix of the columns with logits; the rest of the name is the class."""


def accuracy(targets: np.ndarray, logits: np.ndarray) -> float:
    """The per cent of images whose class has the largest logit; of equal logits the first counts.

    Args:
        targets: The images' class indices, (N,).
        logits: The logits, (N, K).

    >>> accuracy(np.array([0, 1, 1, 1]), np.array([[2, 1], [1, 2], [2, 1], [1, 1]]))
    50.0
    """
    return 100 * float((logits.argmax(axis=1) == targets).mean())
