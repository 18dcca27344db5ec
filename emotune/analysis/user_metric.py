"""A metric of the user's own: the table that its function gets, and its value for the predictions of a run."""

from collections.abc import Sequence
from numbers import Real

import numpy as np
import pandas as pd
from scipy import special

from emotune.analysis.prediction_arrays import classes_of, shares_of
from emotune.config.metric import Metric, MetricCode
from emotune.core.errors import InputError
from emotune.core.user_module import load_function, user_errors
from emotune.runs.predictions import LOGIT_PREFIX, SHARE_PREFIX

__all__ = ["check_metric", "metric_frame", "metric_value"]

PROBABILITY_PREFIX = "probability_"
TRIED_PER_CLASS = 8
"""The number of made-up images of each class."""


def metric_frame(predictions: pd.DataFrame) -> pd.DataFrame:
    """The table that the user's function gets, see `emotune.config.metric.MetricCode`.

    Args:
        predictions: The predictions of a run, see `emotune.analysis.run_files.read_predictions`.
    """
    classes = classes_of(predictions)
    ordered = predictions.sort_values("sample_id", ignore_index=True)
    logits = ordered[[LOGIT_PREFIX + label for label in classes]].to_numpy(np.float64)
    names = {"key": ordered["sample_id"], "label": ordered["target"], "predicted": np.array(classes)[logits.argmax(1)]}
    probabilities = pd.DataFrame(special.softmax(logits, axis=1), columns=[PROBABILITY_PREFIX + c for c in classes])
    frame = pd.DataFrame(names).astype("str").join(probabilities)
    shares = shares_of(ordered)
    return frame if shares is None else frame.join(pd.DataFrame(shares, columns=[SHARE_PREFIX + c for c in classes]))


def metric_value(metric: Metric, predictions: pd.DataFrame) -> float:
    """The value of the user's own metric for the predictions of a run; this executes the user's code.

    Args:
        metric: The metric.
        predictions: The predictions, see `emotune.analysis.run_files.read_predictions`.

    Raises:
        InputError: the function fails, or gives something else than a finite number within the metric's bounds.
    """
    code = metric.user_code
    assert code is not None, "emotune's own metrics are computed in emotune.analysis.metrics"
    frame = metric_frame(predictions)
    return _value(metric, code, frame, f"a table of {len(frame):,} images")


def check_metric(metric: Metric, classes: Sequence[str], *, with_shares: bool = False) -> None:
    """Tries a metric of the user's own on the made-up predictions of a run, before anything is spent.

    Args:
        metric: The metric; nothing is tried if it is emotune's.
        classes: The names of the classes.
        with_shares: Whether distributions are predicted, so that the table has the true shares.

    Raises:
        InputError: as for `metric_value`, or the function gives another number each time.
    """
    if (code := metric.user_code) is None:
        return
    targets = np.repeat(np.array(classes), TRIED_PER_CLASS)
    logits = np.random.default_rng(0).normal(size=(len(targets), len(classes)))
    logits[np.arange(len(targets)), np.repeat(np.arange(len(classes)), TRIED_PER_CLASS)] += 1  # some are right
    table = pd.DataFrame(logits.astype(np.float32), columns=[LOGIT_PREFIX + label for label in classes])
    table.insert(0, "sample_id", [f"made-up-{number:04}" for number in range(len(targets))])
    table.insert(1, "target", targets)
    if with_shares:
        shares = np.random.default_rng(1).dirichlet(np.ones(len(classes)), size=len(targets))
        table[[SHARE_PREFIX + label for label in classes]] = shares
    what = f"made-up predictions of {len(targets)} images"
    first, second = (_value(metric, code, metric_frame(table), what) for _ in range(2))
    if first != second:
        raise InputError(
            f"metric.code: {code.code} gives {first:g} and then {second:g} for the same predictions; seed its random "
            "numbers"
        )


def _value(metric: Metric, code: MetricCode, frame: pd.DataFrame, what: str) -> float:
    """The number that the function gives for a table."""
    try:
        function = load_function(code.source, code.file, code.entry, code.options)
    except InputError as error:
        raise InputError(f"metric.code: {error}") from error
    with user_errors(f"metric.code: {code.code} fails on {what}", code.file):
        value = function(frame)
        number = float(value) if isinstance(value, Real) and not isinstance(value, bool) else None
    if number is None:
        raise InputError(f"metric.code: {code.code} gives {type(value).__name__} for {what}; it must give a number")
    low, high = metric.scale.bounds
    if not np.isfinite(number):
        raise InputError(f"metric.code: {code.code} gives {number} for {what}; it must give a finite number")
    if not low <= number <= high:
        raise InputError(
            f"metric.code: {code.code} gives {number:g} for {what}, which metric.bounds exclude ({low:g} to {high:g}); "
            "correct the bounds or the unit"
        )
    return number
