"""A run's table of predictions as arrays: its classes, targets, logits and predicted classes.

A report asks for them several times for each of up to a thousand runs, so they are read off the table without copies
of its other columns.
"""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from emotune.runs.predictions import LOGIT_PREFIX

__all__ = ["classes_of", "guesses_of", "logits_of", "targets_of"]


def classes_of(predictions: pd.DataFrame) -> list[str]:
    """The class names, in the order of the logits."""
    return [name.removeprefix(LOGIT_PREFIX) for name in predictions.columns.tolist() if name.startswith(LOGIT_PREFIX)]


def targets_of(predictions: pd.DataFrame) -> np.ndarray:
    """The index of each image's class (N,); -1 for a target that is none of the classes."""
    targets, classes = (pa.array(texts, pa.string()) for texts in (predictions["target"], classes_of(predictions)))
    found = pc.index_in(targets, classes)  # pyright: ignore[reportAttributeAccessIssue]  # set at run time
    return found.fill_null(-1).to_numpy().astype(np.intp)


def logits_of(predictions: pd.DataFrame) -> np.ndarray:
    """The logits (N, K) in double precision."""
    is_logit = [name.startswith(LOGIT_PREFIX) for name in predictions.columns.tolist()]
    first = is_logit.index(True) if True in is_logit else len(is_logit)
    last = first + sum(is_logit)
    if all(is_logit[first:last]):  # side by side: a view
        return predictions.iloc[:, first:last].to_numpy(np.float64)
    return predictions.loc[:, is_logit].to_numpy(np.float64)


def guesses_of(predictions: pd.DataFrame) -> np.ndarray:
    """The index of each image's predicted class (N,): the one with the largest logit, the first of equal ones."""
    return logits_of(predictions).argmax(axis=1)
