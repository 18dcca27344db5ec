"""A run's table of predictions as arrays: its classes, targets, logits and predicted classes.

A report asks for them ten times for each of up to a thousand runs. What is read off a table that will not change can
be kept, see `keep_arrays`.
"""

import weakref
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from emotune.runs.predictions import LOGIT_PREFIX, SHARE_PREFIX

__all__ = ["classes_of", "guesses_of", "keep_arrays", "logits_of", "shares_of", "targets_of"]


@dataclass(frozen=True)
class _Arrays:
    """The values of this module's functions, but the logits as the table has them: mostly in single precision."""

    classes: list[str]
    targets: np.ndarray
    logits: np.ndarray
    guesses: np.ndarray


_KEPT: dict[int, _Arrays] = {}
"""The arrays of tables by the tables' `id`, as long as the tables exist."""


def keep_arrays(predictions: pd.DataFrame) -> None:
    """Keeps the arrays of a table until it is deleted; it must not be changed from now on.

    Args:
        predictions: The predictions of a run, whose targets are text and whose logits are numbers.
    """
    if id(predictions) not in _KEPT:
        targets, logits = targets_of(predictions), _logits_of(predictions)
        guesses = logits.argmax(axis=1)
        for array in (targets, logits, guesses):
            array.flags.writeable = False  # all callers share them
        _KEPT[id(predictions)] = _Arrays(classes_of(predictions), targets, logits, guesses)
        weakref.finalize(predictions, _KEPT.pop, id(predictions), None)


def classes_of(predictions: pd.DataFrame) -> list[str]:
    """The class names, in the order of the logits."""
    if kept := _KEPT.get(id(predictions)):
        return list(kept.classes)
    return [name.removeprefix(LOGIT_PREFIX) for name in predictions.columns.tolist() if name.startswith(LOGIT_PREFIX)]


def targets_of(predictions: pd.DataFrame) -> np.ndarray:
    """The index of each image's class (N,); -1 for a target that is none of the classes."""
    if kept := _KEPT.get(id(predictions)):
        return kept.targets
    targets, classes = (pa.array(texts, pa.string()) for texts in (predictions["target"], classes_of(predictions)))
    found = pc.index_in(targets, classes)  # pyright: ignore[reportAttributeAccessIssue]  # set at run time
    return found.fill_null(-1).to_numpy().astype(np.intp)


def logits_of(predictions: pd.DataFrame) -> np.ndarray:
    """The logits (N, K) in double precision."""
    kept = _KEPT.get(id(predictions))
    return (kept.logits if kept else _logits_of(predictions)).astype(np.float64)


def shares_of(predictions: pd.DataFrame) -> np.ndarray | None:
    """The true shares of the votes (N, K) in double precision, which sum to one; None if the table has none."""
    names = [SHARE_PREFIX + label for label in classes_of(predictions)]
    if not names or names[0] not in predictions:
        return None
    shares = predictions[names].to_numpy(np.float64)
    return shares / shares.sum(axis=1, keepdims=True)


def guesses_of(predictions: pd.DataFrame) -> np.ndarray:
    """The index of each image's predicted class (N,): the one with the largest logit, the first of equal ones."""
    kept = _KEPT.get(id(predictions))
    return kept.guesses if kept else logits_of(predictions).argmax(axis=1)


def _logits_of(predictions: pd.DataFrame) -> np.ndarray:
    """The logits (N, K) in the precision of the table."""
    is_logit = [name.startswith(LOGIT_PREFIX) for name in predictions.columns.tolist()]
    first = is_logit.index(True) if True in is_logit else len(is_logit)
    last = first + sum(is_logit)
    if all(is_logit[first:last]):  # side by side: a view
        return predictions.iloc[:, first:last].to_numpy()
    return predictions.loc[:, is_logit].to_numpy()
