"""Checks that the runs of a data set were tested on the same images, and brings their predictions into one order."""

from collections import Counter
from collections.abc import Hashable, Mapping

import pandas as pd

from emotune.analysis.prediction_arrays import classes_of
from emotune.core.sample_noun import worded
from emotune.core.storage import Folder
from emotune.runs.directory import PREDICTIONS

__all__ = ["align_test_sets", "in_order"]


def align_test_sets(
    predictions: Mapping[str, pd.DataFrame], store: Folder
) -> tuple[dict[str, pd.DataFrame], dict[str, str]]:
    """The predictions of one data set's runs, with the images in one order and with their near-duplicate groups.

    Groups belong to the images: those of one run hold for runs that recorded none.

    Args:
        predictions: The predictions of each run, by run id.
        store: The folder with the runs' directories, for messages.

    Returns:
        The aligned predictions of the runs whose test images, labels and classes are those of most runs (of the first
        run's, if several are equally frequent), and what is wrong with each of the others, both by run id.
    """
    keys = _test_set_keys(predictions)
    (usual, _), *_ = Counter(keys.values()).most_common(1)
    same = {run_id: frame for run_id, frame in predictions.items() if keys[run_id] == usual}
    first = next(iter(same))
    images = same[first]["sample_id"]
    recorded = next((frame for frame in same.values() if "group" in frame), None)
    groups = images if recorded is None else in_order(recorded, images)["group"]
    aligned = {run_id: _with_groups(in_order(frame, images), groups) for run_id, frame in same.items()}
    others = {
        run_id: f"{store / run_id / PREDICTIONS}: its test {worded('images')}, labels or classes differ from those of "
        f"{store / first}; delete the folder of the run that was trained on other data, to train it again"
        for run_id in predictions
        if run_id not in aligned
    }
    return aligned, others


def in_order(predictions: pd.DataFrame, images: pd.Series) -> pd.DataFrame:
    """The predictions with the images in another order; rows of NaN for images that they lack.

    Args:
        predictions: The predictions of a run.
        images: The ids of the images, in the order that is wanted.
    """
    if predictions["sample_id"].equals(images):
        return predictions
    return predictions.set_index("sample_id").reindex(images).reset_index()


def _with_groups(predictions: pd.DataFrame, groups: pd.Series) -> pd.DataFrame:
    """The predictions with these groups in the third column."""
    if predictions.columns.tolist()[2] == "group" and predictions["group"].equals(groups):
        return predictions
    others = predictions.drop(columns="group", errors="ignore")
    others.insert(2, "group", groups)
    return others


def _test_set_keys(predictions: Mapping[str, pd.DataFrame]) -> dict[str, Hashable]:
    """A key for each run, equal for runs with the same images, labels and classes, whatever the order of the images."""
    known = next(iter(predictions.values()))
    known_key, keys = _test_set_key(known), dict[str, Hashable]()
    for run_id, frame in predictions.items():  # as a rule all runs have the images in one order
        alike = all(frame[name].equals(known[name]) for name in ("sample_id", "target"))
        keys[run_id] = known_key if alike and classes_of(frame) == classes_of(known) else _test_set_key(frame)
    return keys


def _test_set_key(predictions: pd.DataFrame) -> Hashable:
    hashes = pd.util.hash_pandas_object(predictions[["sample_id", "target"]], index=False)
    return len(predictions), int(hashes.sum()), tuple(classes_of(predictions))
