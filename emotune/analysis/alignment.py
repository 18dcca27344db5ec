"""Checks that the runs of a data set were tested on the same images, and brings their predictions into one order."""

from collections import Counter
from collections.abc import Mapping

import pandas as pd

from emotune.analysis.metrics import classes_of
from emotune.core.storage import Folder
from emotune.runs.directory import PREDICTIONS

__all__ = ["align_test_sets"]


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
    keys = {run_id: _test_set_key(frame) for run_id, frame in predictions.items()}
    (usual, _), *_ = Counter(keys.values()).most_common(1)
    first = next(run_id for run_id, key in keys.items() if key == usual)
    same = {run_id: frame.set_index("sample_id") for run_id, frame in predictions.items() if keys[run_id] == usual}
    order = same[first].index
    recorded = next((frame["group"] for frame in same.values() if "group" in frame), None)
    groups = order if recorded is None else recorded.reindex(order)
    aligned = {}
    for run_id, original in same.items():
        frame = original.drop(columns="group", errors="ignore").reindex(order)
        frame.insert(1, "group", groups)
        aligned[run_id] = frame.reset_index()
    others = {
        run_id: f"{store / run_id / PREDICTIONS}: its test images, labels or classes differ from those of "
        f"{store / first}; delete the folder of the run that was trained on other data, to train it again"
        for run_id in predictions
        if run_id not in aligned
    }
    return aligned, others


def _test_set_key(predictions: pd.DataFrame) -> tuple[int, int, tuple[str, ...]]:
    """A key that is equal for runs with the same images, labels and classes, whatever the order of the images."""
    hashes = pd.util.hash_pandas_object(predictions[["sample_id", "target"]], index=False)
    return len(predictions), int(hashes.sum()), tuple(classes_of(predictions))
