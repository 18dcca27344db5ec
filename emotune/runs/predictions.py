"""The columns of ``predictions.parquet``; accuracy, class prior, and predictions in other classes, which training and
reports have in common.
"""

from collections.abc import Sequence

import numpy as np

from emotune.config.label_map import LabelMap

__all__ = ["LOGIT_PREFIX", "PREDICTED_PREFIX", "SD_PREFIX", "SHARE_PREFIX", "TRUE_PREFIX", "accuracy", "class_prior",
           "common_log_probabilities", "concordance", "mean_concordance", "mean_distribution"]  # fmt: skip

LOGIT_PREFIX = "logit_"
"""The prefix of the columns with logits; the rest of the name is the class."""
SHARE_PREFIX = "share_"
"""The prefix of the columns with the true shares of the votes, which only the task *distributions* has."""
TRUE_PREFIX, PREDICTED_PREFIX, SD_PREFIX = "true_", "predicted_", "sd_"
"""The prefixes of the columns with the mean rating of a dimension, its prediction, and the standard deviation of its
ratings, all on the dimension's own scale; the rest of the name is the dimension.
"""


def accuracy(targets: np.ndarray, logits: np.ndarray) -> float:
    """The per cent of images whose class has the largest logit; of equal logits the first counts.

    Args:
        targets: The images' class indices, (N,).
        logits: The logits, (N, K).

    >>> accuracy(np.array([0, 1, 1, 1]), np.array([[2, 1], [1, 2], [2, 1], [1, 1]]))
    50.0
    """
    return 100 * float((logits.argmax(axis=1) == targets).mean())


def class_prior(counts: np.ndarray) -> np.ndarray:
    """The logarithms of the classes' frequencies, float32 (K,): what is predicted for every image without looking.

    Each class counts one image more than there are, so that none has the probability 0.

    Args:
        counts: The number of training images of each class (K,).

    >>> np.exp(class_prior(np.array([7, 1]))).astype(float).round(3).tolist()
    [0.8, 0.2]
    """
    smoothed = counts + 1
    return np.log(smoothed / smoothed.sum()).astype(np.float32)


def mean_distribution(shares: np.ndarray) -> np.ndarray:
    """The mean of distributions over classes, float64 (K,): what is predicted for every image without looking.

    Args:
        shares: The training images' shares of the votes (N, K).

    >>> mean_distribution(np.array([[0.5, 0.5], [1, 0]])).tolist()
    [0.75, 0.25]
    """
    mean = shares.mean(axis=0, dtype=np.float64)
    return mean / mean.sum()


def common_log_probabilities(logits: np.ndarray, classes: Sequence[str], labels: LabelMap) -> np.ndarray:
    """The logarithms of the probabilities of the common classes, float32 (N, C).

    The probabilities of classes that become one are summed; those of classes that are left out do not count. If all
    others are 0, as predicted shares can be, the common classes have equal probabilities.

    Args:
        logits: The logits (N, K).
        classes: Their K classes.
        labels: What the classes become.
    """
    logits = logits.astype(np.float64)
    columns = [[i for i, name in enumerate(classes) if labels.answers.get(name) == one] for one in labels.classes]
    joined = np.stack([np.logaddexp.reduce(logits[:, of_class], axis=1) for of_class in columns], axis=1)
    joined[np.isneginf(joined).all(axis=1)] = 0.0
    return (joined - np.logaddexp.reduce(joined, axis=1, keepdims=True)).astype(np.float32)


def concordance(true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """The concordance correlation coefficient of each column (D,), Lin (1989): 2 cov / (var + var + (mean - mean)²).

    Variances and covariances are those of the population. Constant predictions have 0, also right ones.

    Args:
        true: The mean ratings, (N, D).
        predicted: Their predictions, (N, D).

    >>> concordance(np.array([[1.0, 1], [2, 2]]), np.array([[1.0, 3], [2, 3]])).tolist()
    [1.0, 0.0]
    """
    x, y = true.astype(np.float64), predicted.astype(np.float64)
    apart = x.var(0) + y.var(0) + (x.mean(0) - y.mean(0)) ** 2
    covariance = ((x - x.mean(0)) * (y - y.mean(0))).mean(0)
    return np.divide(2 * covariance, apart, out=np.zeros_like(apart), where=apart > 0)


def mean_concordance(true: np.ndarray, predicted: np.ndarray) -> float:
    """The mean of `concordance` over the dimensions."""
    return float(concordance(true, predicted).mean())
