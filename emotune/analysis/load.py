"""Run directories as tidy tables: a row per run, per epoch, per image of a run, and per attention layer of that."""

import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from emotune.analysis.metrics import classes_of, predicted_classes_digest, scalar_metrics
from emotune.config.metric import SCALES
from emotune.config.run import RunConfig
from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.runs.directory import ATTENTION, METRICS, PREDICTIONS, RECORD, State, Status
from emotune.runs.predictions import LOGIT_PREFIX
from emotune.runs.record import read_record
from emotune.runs.store import RunStore

__all__ = ["Records", "load_records"]

RESULT_COLUMNS = ["accuracy", "test_images", "parameters", "train_s", "images_per_s", "workers", "interruptions",
                  "commit", "dirty"]  # fmt: skip
COST_COLUMNS = ["forward_flops"]
SELECTION_COLUMNS = ["selected_epoch", "best_test_accuracy"]
EPOCH_COLUMNS = ["epoch", "lr", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "train_s_so_far",
                 "test_accuracy", "attention_entropy"]  # fmt: skip
RUN_COLUMNS = ["run", "variant", "dataset", "seed"]
COLUMNS = [
    *RUN_COLUMNS,
    "state",
    "detail",
    *dict.fromkeys([*RESULT_COLUMNS, *SCALES, *COST_COLUMNS, *SELECTION_COLUMNS]),
    "predicted_classes_digest",
]


@dataclass(frozen=True)
class Records:
    """What a study's runs left behind.

    Attributes:
        runs: One row per run of the study, finished or not: ``run, variant, dataset, seed, state, detail``; finished
            ones have ``accuracy`` (per cent of the test images), ``test_images``, ``parameters``, ``train_s``,
            ``images_per_s``, ``workers``, ``interruptions``, ``commit``, ``dirty``, the other metrics of
            `emotune.config.metric.SCALES``, ``forward_flops`` of an image, ``selected_epoch`` (whose network was
            tested), ``best_test_accuracy`` (per cent, the highest of all epochs; NaN where no epoch was tested) and
            ``predicted_classes_digest`` (equal for runs that gave the same class to every test image); the others NaN.
        curves: One row per run and epoch: ``run, variant, dataset, seed`` and what ``metrics.jsonl`` has;
            ``test_accuracy`` and ``attention_entropy`` (nats) are NaN where they were not noted.
        predictions: Per finished run: ``sample_id, target, group, logit_<class>…``. All runs of a data set have the
            same images in the same order. Near-duplicates have a group in common; where no run of the data set says
            which they are, each image is its own.
        records: ``record.json`` of every finished run.
        attention: Per finished run of a network with attention, if it noted that: ``sample_id, layer, weights``, the
            last an array (P,) that sums to one.
    """

    runs: pd.DataFrame
    curves: pd.DataFrame
    predictions: dict[str, pd.DataFrame]
    records: dict[str, dict[str, Any]]
    attention: dict[str, pd.DataFrame]

    def done(self) -> pd.DataFrame:
        """The rows of the finished runs."""
        return self.runs[self.runs["state"] == State.DONE]

    def predictions_of(self, variant: str, dataset: str) -> dict[int, pd.DataFrame]:
        """The predictions of a variant's finished runs on a data set, by seed, in the seeds' order."""
        done = self.done()
        mine = done[(done["variant"] == variant) & (done["dataset"] == dataset)].sort_values("seed")
        return {int(seed): self.predictions[run] for seed, run in zip(mine["seed"], mine["run"], strict=True)}


@dataclass(frozen=True)
class _Run:
    """What one run left behind; the last three None unless it is finished."""

    row: dict[str, Any]
    curve: pd.DataFrame
    record: dict[str, Any] | None = None
    predictions: pd.DataFrame | None = None
    attention: pd.DataFrame | None = None


def load_records(runs: Sequence[RunConfig], pool: str) -> Records:
    """Reads the directories of a study's runs.

    A finished run of which a file is missing or damaged, or whose test images are not those of most runs of its data
    set, has the state *damaged*, and ``detail`` says what is wrong and what to do: the others do not suffer from it.

    Raises:
        InputError: the pool cannot be reached.
    """
    directories = RunStore(pool)
    statuses = directories.statuses(run.id for run in runs)
    found = directories.map(lambda run: _load(directories.folder / run.id, run, statuses[run.id]), runs)
    done = {run.row["run"]: run for run in found if run.record is not None}
    predictions: dict[str, pd.DataFrame] = {}
    for dataset in dict.fromkeys(run.row["dataset"] for run in done.values()):
        mine = {run_id: run.predictions for run_id, run in done.items() if run.row["dataset"] == dataset}
        agreed, others = _align_runs(mine, directories.folder)
        predictions |= agreed
        for run_id, problem in others.items():
            row = done.pop(run_id).row
            known = _damaged(row, problem)
            row.clear()
            row.update(known)
    return Records(
        runs=pd.DataFrame([run.row for run in found], columns=COLUMNS),
        curves=pd.concat([run.curve for run in found], ignore_index=True),
        predictions={run_id: predictions[run_id] for run_id in done},
        records={run_id: run.record for run_id, run in done.items()},
        attention={run_id: run.attention for run_id, run in done.items() if run.attention is not None},
    )


def _load(folder: Folder, run: RunConfig, status: Status) -> _Run:
    which = dict(zip(RUN_COLUMNS, (run.id, run.variant, run.dataset.name, run.seed), strict=True))
    row = which | {"state": str(status.state), "detail": status.detail}
    try:
        curve = _curve(folder)
    except InputError as error:
        nothing = _as_curve([]).assign(**which)[[*RUN_COLUMNS, *EPOCH_COLUMNS]]
        return _Run(_damaged(row, str(error)) if status.state is State.DONE else row, nothing)
    best = float(curve["test_accuracy"].max())
    curve = curve.assign(**which)[[*RUN_COLUMNS, *EPOCH_COLUMNS]]
    if status.state is not State.DONE:
        return _Run(row, curve)
    try:
        return _finished(folder, run, row, curve, best)
    except InputError as error:
        return _Run(_damaged(row, str(error)), curve)


def _damaged(row: Mapping[str, Any], problem: str) -> dict[str, Any]:
    """The row of a finished run that cannot be counted."""
    return {name: row[name] for name in RUN_COLUMNS} | {"state": str(State.DAMAGED), "detail": problem}


def _finished(folder: Folder, run: RunConfig, row: dict[str, Any], curve: pd.DataFrame, best: float) -> _Run:
    """A finished run with all that it left behind.

    Raises:
        InputError: a file of it is missing or damaged.
    """
    if curve.empty:
        raise InputError(f"{folder / METRICS}: missing or empty; delete the folder {folder} to train this run again")
    record, predictions = read_record(folder, run.id), _predictions(folder)
    try:
        row |= _result_columns(record, predictions) | {"best_test_accuracy": best}
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise InputError(f"{folder / RECORD}: lacks {error}; delete the folder to train again") from None
    return _Run(row, curve, record, predictions, _attention(folder, predictions))


def _result_columns(record: dict[str, Any], predictions: pd.DataFrame) -> dict[str, Any]:
    gits = [origin["git"] or {"commit": None, "dirty": None} for origin in record["origins"]]
    dirty = any(g["dirty"] for g in gits) or (None if any("unknown" in g for g in gits) else False)
    git = {"commit": " ".join(str(g["commit"]) for g in gits if g["commit"]), "dirty": dirty}
    known = record | git | {"train_s": record["durations_s"]["train"], "test_images": len(predictions)}
    selected = record["selected_epoch"] if "selected_epoch" in record else record["last_epoch"]["epoch"]
    plain = {name: known.get(name) for name in (*RESULT_COLUMNS, *COST_COLUMNS)}
    return (
        plain
        | scalar_metrics(predictions)
        | {"selected_epoch": selected, "predicted_classes_digest": predicted_classes_digest(predictions)}
    )


def _curve(folder: Folder) -> pd.DataFrame:
    """A row per epoch that is over, with `EPOCH_COLUMNS`."""
    try:
        return _as_curve([json.loads(line) for line in (folder.read(METRICS) or b"").decode().splitlines()])
    except (ValueError, TypeError) as error:
        where = folder / METRICS
        raise InputError(f"{where}: not readable ({error}); delete the folder to train this run again") from None


def _as_curve(epochs: Sequence[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(epochs, columns=EPOCH_COLUMNS).astype(float).astype({"epoch": int})


def _predictions(folder: Folder) -> pd.DataFrame:
    frame = _table(folder, PREDICTIONS, ["sample_id", "target"])
    where = folder / PREDICTIONS
    if frame is None:
        raise InputError(f"{where}: missing; delete the folder {folder} to train this run again")
    logits = frame.filter(like=LOGIT_PREFIX)
    numbers = logits.to_numpy() if all(kind.kind == "f" for kind in logits.dtypes) else np.full((1, 1), np.nan)
    if not (np.isfinite(numbers) | np.isneginf(numbers)).all() or np.isneginf(numbers).all(axis=1).any():
        raise InputError(f"{where}: holds logits that are no numbers; delete {folder} to train it again")
    if frame["sample_id"].duplicated().any():
        raise InputError(f"{where}: an image is counted twice; delete {folder} to train it again")
    if frame.empty or frame.isna().any(axis=None) or not frame["target"].isin(classes_of(frame)).all():
        raise InputError(f"{where}: no images, or of no known class; delete {folder} to train it again")
    return frame


def _attention(folder: Folder, predictions: pd.DataFrame) -> pd.DataFrame | None:
    """None where the run noted none."""
    frame = _table(folder, ATTENTION, ["sample_id", "layer", "weights"])
    if frame is None:
        return None
    try:
        images = set(predictions["sample_id"])
        layers = [layer for _, layer in frame.groupby("layer", sort=False, dropna=False)]
        whole = bool(layers) and all(len(f) == len(images) and set(f["sample_id"]) == images for f in layers)
        sums = np.concatenate([np.stack(layer["weights"]).sum(axis=1) for layer in layers]) if whole else np.zeros(1)
        if np.allclose(sums, 1, atol=1e-3):
            return frame
        problem = "weights that do not sum to one" if whole else "not the weights of every test image once"
    except (ValueError, TypeError) as error:
        problem = str(error)
    raise InputError(f"{folder / ATTENTION}: damaged ({problem}); delete {folder} to train it again")


def _table(folder: Folder, name: str, columns: Sequence[str]) -> pd.DataFrame | None:
    """A parquet file with at least these columns; None where there is none."""
    data = folder.read(name)
    if data is None:
        return None
    try:
        frame = pd.read_parquet(io.BytesIO(data))
        if missing := [column for column in columns if column not in frame]:
            raise ValueError(f"lacks the column {missing[0]}")
        return frame
    except (ValueError, OSError, pa.ArrowException) as error:
        said = " ".join(str(error).split())  # some go over several lines
        raise InputError(f"{folder / name}: not readable ({said}); delete {folder} to train it again") from None


def _align_runs(
    predictions: Mapping[str, pd.DataFrame], pool: Folder
) -> tuple[dict[str, pd.DataFrame], dict[str, str]]:
    """The predictions of one data set's runs, with its images in one order, and their groups.

    Groups are of the images: what one run says of them holds for those that were made before runs noted them.

    Returns:
        Those of the runs that have the test images, labels and classes of most of them, of equally many those of the
        first run; and by id, what is wrong with the others.
    """
    kinds = {run_id: _test_set_key(frame) for run_id, frame in predictions.items()}
    usual, _ = Counter(kinds.values()).most_common(1)[0]
    first = next(run_id for run_id, kind in kinds.items() if kind == usual)
    reference = predictions[first].set_index("sample_id")
    mine = {run_id: frame for run_id, frame in predictions.items() if kinds[run_id] == usual}
    noted = next((frame.set_index("sample_id")["group"] for frame in mine.values() if "group" in frame), None)
    groups = reference.index if noted is None else noted.reindex(reference.index)
    agreed = {}
    for run_id, original in mine.items():
        frame = original.set_index("sample_id").drop(columns="group", errors="ignore").reindex(reference.index)
        frame.insert(1, "group", groups)
        agreed[run_id] = frame.reset_index()
    others = {
        run_id: f"{pool / run_id / PREDICTIONS}: not the test images, labels and classes of {pool / first}; delete "
        "the folder of whichever was trained on other data, to train it again"
        for run_id in predictions
        if run_id not in agreed
    }
    return agreed, others


def _test_set_key(predictions: pd.DataFrame) -> tuple[int, int, tuple[str, ...]]:
    """Equal for two runs that have the same images, labels and classes, whatever the order of the images."""
    hashes = pd.util.hash_pandas_object(predictions[["sample_id", "target"]], index=False)
    return len(predictions), int(hashes.sum()), tuple(classes_of(predictions))
