"""Predicted distributions beside the true ones, as tidy tables: means by class, and the worst images.

``predictions`` are those of `emotune.analysis.load.Records` on one data set whose task is distributions, by variant and
seed, or by seed alone. All of them have the same images.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import special

from emotune.analysis.distribution_metrics import image_measures
from emotune.analysis.prediction_arrays import classes_of, logits_of, shares_of
from emotune.config.distribution_scales import DISTRIBUTION_SCALES, DistributionMetric

__all__ = ["ALL", "TRUE", "distribution_text", "mean_distributions", "worst_images"]

TRUE = ""
"""The name of the true shares beside the names of variants, which cannot be empty."""
ALL = "all images"
"""The name of all images beside the names of classes."""


def mean_distributions(predictions: Mapping[str, Mapping[int, pd.DataFrame]]) -> pd.DataFrame:
    """The mean share of each class in per cent, by the images' leading class: ``of, images, who, label, share``.

    ``of`` is the class with the most votes, the first of several, or `ALL`; ``who`` is `TRUE` or a variant, whose
    shares are means over seeds, too. Classes that lead for no image have no rows.
    """
    first = next(frame for by_seed in predictions.values() for frame in by_seed.values())
    truth, classes = shares_of(first), classes_of(first)
    assert truth is not None, "the task is distributions"
    leading = np.array(classes)[truth.argmax(axis=1)]
    shares = {TRUE: truth} | {
        variant: np.mean([special.softmax(logits_of(frame), axis=1) for frame in by_seed.values()], axis=0)
        for variant, by_seed in predictions.items()
    }
    rows = []
    for of in (ALL, *classes):
        chosen = np.ones(len(leading), bool) if of == ALL else leading == of
        if chosen.any():
            rows += [
                (of, int(chosen.sum()), who, label, 100 * float(share))
                for who, table in shares.items()
                for label, share in zip(classes, table[chosen].mean(axis=0), strict=True)
            ]
    return pd.DataFrame(rows, columns=["of", "images", "who", "label", "share"])


def worst_images(by_seed: Mapping[int, pd.DataFrame], measure: DistributionMetric, count: int) -> pd.DataFrame:
    """The images that a variant predicts worst, worst first: ``sample_id, value, true, predicted``.

    ``value`` is the mean of the measure over seeds; ``true`` and ``predicted`` are distributions as text, the latter
    the mean over seeds.

    Args:
        by_seed: The predictions of a variant.
        measure: The measure, one of `DISTRIBUTION_SCALES`.
        count: The number of images.
    """
    first = next(iter(by_seed.values()))
    truth, classes = shares_of(first), classes_of(first)
    assert truth is not None, "the task is distributions"
    values = np.mean([image_measures(frame, measure) for frame in by_seed.values()], axis=0)
    predicted = np.mean([special.softmax(logits_of(frame), axis=1) for frame in by_seed.values()], axis=0)
    sign = 1 if DISTRIBUTION_SCALES[measure].higher_is_better else -1
    order = np.argsort(sign * values, kind="stable")[:count]
    return pd.DataFrame(
        {
            "sample_id": first["sample_id"].to_numpy()[order],
            "value": values[order],
            "true": [distribution_text(truth[i], classes) for i in order],
            "predicted": [distribution_text(predicted[i], classes) for i in order],
        }
    )


def distribution_text(shares: np.ndarray, classes: list[str], most: int = 3) -> str:
    """The largest shares of a distribution in words.

    >>> distribution_text(np.array([0.1, 0.9, 0.0]), ["awe", "fear", "joy"])
    'fear 90 %, awe 10 %'
    """
    largest = np.argsort(-shares, kind="stable")[:most]
    return ", ".join(f"{classes[i]} {100 * shares[i]:.0f} %" for i in largest if shares[i] >= 0.005)
