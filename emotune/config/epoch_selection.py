"""Selecting the epoch whose network is tested: the rules, the metric by which an epoch is best, and both in words."""

from types import MappingProxyType
from typing import Literal

from emotune.config.distribution_scales import DISTRIBUTION_SCALES
from emotune.config.metric_scales import ALL_SCALES, DIMENSION_METRICS, MetricName
from emotune.config.target import Target

__all__ = ["SELECTIONS", "Select", "score_in_words", "select_by", "selection_text"]

Select = Literal["last", "best_val"]
SELECTIONS = MappingProxyType({"last": "last epoch", "best_val": "best validation {}"})
"""The rules that choose the epoch whose network is tested, in words; the score stands in the place of the braces."""


def select_by(select: Select, metric: MetricName | None, task: Target) -> MetricName | None:
    """The metric by which the best epoch is told, if it is another than the task's score: the accuracy, or the CCC.

    Distributions and dimensions are selected by the study's metric; classes always by their accuracy, and so is what a
    metric of classes or the user's own compares.

    >>> select_by("best_val", "kl", "distributions"), select_by("best_val", "macro_f1", "classes")
    ('kl', None)
    >>> select_by("best_val", "rmse", "dimensions"), select_by("best_val", "ccc", "dimensions")
    ('rmse', None)
    """
    if select == "last" or metric is None or metric == "ccc":
        return None
    own = {"classes": (), "distributions": DISTRIBUTION_SCALES, "dimensions": DIMENSION_METRICS}[task]
    return metric if metric in own else None


def score_in_words(by: MetricName | None, task: Target) -> str:
    """The score by which the best epoch is told: of `select_by`, or the task's own."""
    return ALL_SCALES[by].title if by else "CCC" if task == "dimensions" else "accuracy"


def selection_text(select: Select, patience: int | None = None, score: str = "accuracy") -> str:
    """The rule that chose the tested epoch, in words.

    Args:
        select: The rule.
        patience: The number of epochs without a better one after which training ended; None: it did not end early.
        score: The score of the best epoch, see `score_in_words`.

    >>> selection_text("best_val", 3)
    'best validation accuracy, until 3 epochs bring no better one'
    """
    early = f", until {patience} epochs bring no better one" if patience else ""
    return f"{SELECTIONS[select].format(score)}{early}"
