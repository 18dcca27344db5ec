"""The predictions of finished runs for images of other data sets: ``tested-<16 hex>.parquet`` in a run's directory.

The name is a hash of the other data set's content, of the split and of what classes become
(`emotune.config.other_data.TransferTest`), so that a run is tested once per data set, whatever study asks. The file
also names the run's record: if the run was trained again since, it does not count. It appears whole or not at all, and
nothing of a finished run changes when it is written.
"""

import hashlib
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from emotune.config.model import ConstantConfig, LogisticConfig, ModelConfig, SvmConfig, ZeroShotConfig
from emotune.config.network import NetworkConfig
from emotune.config.other_data import TransferTest, made_with
from emotune.config.run import RunConfig
from emotune.core.storage import Folder
from emotune.core.text import listed
from emotune.runs.predictions import LOGIT_PREFIX
from emotune.runs.record import RunRecord
from emotune.runs.store import RunStates

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["RunTests", "TransferOutcome", "bytes_of_tests", "can_be_tested", "cannot_be_tested", "not_tested_sentence",
           "read_tested", "states_of_tests", "write_tested"]  # fmt: skip

METADATA = b"emotune"


@dataclass(frozen=True)
class TransferOutcome:
    """The outcome of one test.

    Attributes:
        predictions: A row for each tested image, ``sample_id, target, group, logit_<class>…`` in the common classes;
            logits are logarithms of probabilities.
        near_training: The number of images that were left out because networks have seen them, or nearly the same.
        other_classes: The number of images that were left out because nothing corresponds to their class.
        seconds: The seconds that the test took.
    """

    predictions: "pd.DataFrame"
    near_training: int
    other_classes: int
    seconds: float


@dataclass(frozen=True)
class RunTests:
    """The tests of a finished run.

    Attributes:
        run: The run.
        done: The tests that have been made.
        missing: The tests that are to be made.
    """

    run: RunConfig
    done: tuple[TransferTest, ...]
    missing: tuple[TransferTest, ...]


def can_be_tested(model: ModelConfig, record: RunRecord | None = None) -> bool:
    """Whether a run of the model can answer for other images: whether it keeps what it has learned.

    Multi-scale blocks do not, nor do support vector machines and logistic regressions of earlier versions.

    Args:
        model: The model.
        record: The record of a finished run; None for one that is to be trained.
    """
    if isinstance(model, SvmConfig | LogisticConfig):
        return record is None or "fitted_file" in record
    return isinstance(model, NetworkConfig | ConstantConfig | ZeroShotConfig)


def cannot_be_tested(states: RunStates) -> dict[str, str]:
    """The variants with runs that keep nothing to test, each with its model's name; and with the number of these runs,
    if others of the variant can be tested.

    Args:
        states: The runs of the study, and what their store has of them.
    """
    runs = Counter(run.variant for run in states.runs)
    lost = [run for run in states.runs if not can_be_tested(run.model, states.records.get(run.id))]
    counts = Counter(run.variant for run in lost)
    return {
        run.variant: run.model.name
        if counts[run.variant] == runs[run.variant]
        else f"{run.model.name}, {counts[run.variant]} of {runs[run.variant]} runs"
        for run in lost
    }


def not_tested_sentence(variants: Mapping[str, str]) -> str:
    """The sentence that names what cannot be tested, given what `cannot_be_tested` returns and if that is not empty.

    >>> not_tested_sentence({"colours": "svm, 1 of 3 runs"})
    'Not tested: colours (svm, 1 of 3 runs); their runs do not keep what was fitted (as in earlier versions).'
    """
    names = listed(f"{variant} ({which})" for variant, which in variants.items())
    return f"Not tested: {names}; their runs do not keep what was fitted (as in earlier versions)."


def write_tested(
    folder: Folder, test: TransferTest, record: RunRecord, columns: Mapping[str, Sequence[str]], logits: np.ndarray,
    left_out: Mapping[str, int], seconds: float,
) -> None:  # fmt: skip
    """Writes the predictions of a finished run, atomically; `read_tested` reads them back.

    Args:
        folder: The run's directory.
        test: The test.
        record: The run's record.
        columns: The texts by column: ``sample_id``, ``target`` and ``group``, each (N,).
        logits: The logarithms of the probabilities of the common classes, float32 (N, K).
        left_out: The numbers of images that were left out, ``near_training`` and ``other_classes``.
        seconds: The seconds that the test took.
    """
    import pyarrow as pa  # late: plans of studies that test nothing do not need it
    from pyarrow import parquet

    by_class = {f"{LOGIT_PREFIX}{label}": logits[:, index] for index, label in enumerate(test.labels.classes)}
    about = {
        "run": record["run"], "record": _digest(record), "data": test.dataset.identity, "name": test.name,
        "split": test.split, "labels": test.labels.identity, **left_out, "seconds": round(seconds, 3),
    }  # fmt: skip
    table = pa.table({**columns, **by_class}).replace_schema_metadata({METADATA: json.dumps(about).encode()})
    buffer = io.BytesIO()
    parquet.write_table(table, buffer)
    folder.write(test.file, buffer.getvalue())


def read_tested(folder: Folder, test: TransferTest, record: RunRecord) -> TransferOutcome | None:
    """The outcome of a test; None if it has not been made with this run, or its file is damaged.

    Args:
        folder: The run's directory.
        test: The test.
        record: The run's record.

    Raises:
        InputError: the folder cannot be reached.
    """
    data = folder.read(test.file)
    found = None if data is None else _parse(data)
    if found is None or found[0].get("record") != _digest(record):
        return None
    about, table = found
    columns = ["sample_id", "target", "group", *(f"{LOGIT_PREFIX}{label}" for label in test.labels.classes)]
    if list(table.columns) != columns or table.empty or not set(table["target"]) <= set(test.labels.classes):
        return None
    logits = table[columns[3:]].to_numpy()
    if not (np.isfinite(logits) | np.isneginf(logits)).all():  # a predicted share can be 0
        return None
    try:
        near, others, seconds = int(about["near_training"]), int(about["other_classes"]), float(about["seconds"])
    except (KeyError, TypeError, ValueError):
        return None
    return TransferOutcome(table, near, others, seconds)


def states_of_tests(states: RunStates, tests: Sequence[TransferTest]) -> list[RunTests]:
    """The tests of all finished runs that can be tested, in the order of the runs.

    Args:
        states: The runs of the study, and what their store has of them.
        tests: The tests of the study.

    Raises:
        InputError: the store cannot be reached.
    """
    finished = [run for run in states.runs if run.id in states.records] if tests else []
    runs = [run for run in finished if can_be_tested(run.model, states.records[run.id])]
    folder = states.store.folder

    def look(run: RunConfig) -> RunTests:
        own, record = made_with(run, tests), states.records[run.id]
        done = [test for test in own if read_tested(folder / run.id, test, record) is not None]
        return RunTests(run, tuple(done), tuple(test for test in own if test not in done))

    return states.store.map(look, runs)


def bytes_of_tests(states: RunStates, tests: Sequence[TransferTest]) -> list[bytes]:
    """The files of all tests that have been made, of finished runs."""
    asked = [(run, test) for run in states.runs if run.id in states.records for test in made_with(run, tests)]
    read = states.store.map(lambda one: (states.store.folder / one[0].id).read(one[1].file), asked)
    return [data for data in read if data]


def _parse(data: bytes) -> "tuple[dict[str, Any], pd.DataFrame] | None":
    """The description in a file, and its table; None if it is damaged."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.read_table(io.BytesIO(data))
        about = json.loads((table.schema.metadata or {})[METADATA])
        return (about, table.to_pandas()) if isinstance(about, dict) else None
    except (pa.ArrowException, OSError, LookupError, ValueError):
        return None


def _digest(record: RunRecord) -> str:
    """A digest of a record, other than that of the same run trained again: it has the times that training took."""
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()[:16]
