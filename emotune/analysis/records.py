"""Run directories as tidy tables: one row per run, per epoch, and per picture and run."""

import io
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from emotune.analysis.metrics import classes_of, scalar_metrics
from emotune.errors import InputError
from emotune.metric_config import SCALES
from emotune.run import RunConfig
from emotune.run_directory import ATTENTION, METRICS, PREDICTIONS, RECORD, RunDirectory, State
from emotune.storage import Folder

__all__ = ["Records", "load_records"]

RESULTS = ["accuracy", "test_pictures", "parameters", "train_s", "images_per_s", "workers", "interruptions", "commit",
           "dirty"]  # fmt: skip
COST = ["forward_flops"]
SELECTION = ["selected_epoch", "best_test_accuracy"]
EPOCH = ["epoch", "lr", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "train_s_so_far", "test_accuracy",
         "attention_entropy"]  # fmt: skip
CURVES = ["run", "variant", "dataset", "seed", *EPOCH]
COLUMNS = ["run", "variant", "dataset", "seed", "state", "detail",
           *dict.fromkeys([*RESULTS, *SCALES, *COST, *SELECTION])]  # fmt: skip
READERS = 4


@dataclass(frozen=True)
class Records:
    """What a study's runs left behind.

    Attributes:
        runs: One row per run of the study, finished or not: ``run, variant, dataset, seed, state, detail``; finished
            ones have ``accuracy`` (per cent of the test pictures), ``test_pictures``, ``parameters``, ``train_s``,
            ``images_per_s``, ``workers``, ``interruptions``, ``commit``, ``dirty``, the other metrics of
            `emotune.metric_config.SCALES`, ``forward_flops`` of a picture, ``selected_epoch`` and, if every epoch was
            tested, ``best_test_accuracy``; the others NaN.
        curves: One row per run and epoch: ``run, variant, dataset, seed`` and what ``metrics.jsonl`` has.
        predictions: Per finished run: ``sample_id, target, group, logit_<class>…``; a picture is its own group where
            the file is older than groups.
        records: ``record.json`` of every finished run.
        attention: Per finished run that has it: ``sample_id, layer, weights``.
    """

    runs: pd.DataFrame
    curves: pd.DataFrame
    predictions: dict[str, pd.DataFrame]
    records: dict[str, dict[str, Any]]
    attention: dict[str, pd.DataFrame]

    def done(self) -> pd.DataFrame:
        """The rows of the finished runs."""
        return self.runs[self.runs["state"] == State.DONE]

    def of(self, variant: str, dataset: str) -> dict[int, pd.DataFrame]:
        """The predictions of a variant's finished runs on a data set, by seed, in the order of the seeds."""
        done = self.done()
        mine = done[(done["variant"] == variant) & (done["dataset"] == dataset)].sort_values("seed")
        return {int(seed): self.predictions[run] for seed, run in zip(mine["seed"], mine["run"], strict=True)}


def load_records(runs: Sequence[RunConfig], pool: str) -> Records:
    """Reads the directories of a study's runs.

    Raises:
        InputError: a file of a finished run is missing or damaged, or two runs were not tested on the same pictures.
    """
    with ThreadPoolExecutor(READERS) as readers:
        found = list(readers.map(lambda run: _read(RunDirectory(pool, run)), runs))
    done = {run.id: one for run, one in zip(runs, found, strict=True) if one.record is not None}
    for dataset in dict.fromkeys(run.dataset.name for run in runs):
        _require_the_same_pictures(pool, {r.id: done[r.id] for r in runs if r.dataset.name == dataset and r.id in done})
    return Records(
        pd.DataFrame([one.row for one in found], columns=COLUMNS),
        pd.DataFrame([entry for one in found for entry in one.curve], columns=CURVES),
        {run_id: one.predictions for run_id, one in done.items()},
        {run_id: one.record for run_id, one in done.items()},
        {run_id: one.attention for run_id, one in done.items() if one.attention is not None},
    )


@dataclass(frozen=True)
class _Found:
    """What one run's directory holds; record and predictions only if it is finished."""

    row: dict[str, Any]
    curve: list[dict[str, Any]]
    record: dict[str, Any] | None = None
    predictions: pd.DataFrame | None = None
    attention: pd.DataFrame | None = None


def _read(directory: RunDirectory) -> _Found:
    run, status = directory.run, directory.status()
    row = {"run": run.id, "variant": run.variant, "dataset": run.dataset.name, "seed": run.seed}
    curve = [row | entry for entry in _metrics(directory)]
    row = row | {"state": str(status.state), "detail": status.detail}
    if status.state is not State.DONE:
        return _Found(row, curve)
    record, predictions = directory.record(), _predictions(directory)
    try:
        row |= _flat(record, predictions) | _selection(record, curve)
    except (KeyError, TypeError) as error:
        raise InputError(f"{directory.folder / RECORD}: lacks {error}; delete the folder to train again") from None
    return _Found(row, curve, record, predictions, _table(directory, ATTENTION))


def _require_the_same_pictures(pool: str, found: Mapping[str, _Found]) -> None:
    """Paired statistics go by position. Files older than groups get those of the others, or none."""
    first = next((run_id for run_id, one in found.items() if "group" in one.predictions), next(iter(found), None))
    for run_id, one in found.items():
        known = found[first].predictions
        common = ["sample_id", "target", *(["group"] if "group" in one.predictions else [])]
        if not one.predictions[common].equals(known.reindex(columns=common)):
            where = Folder(pool) / run_id / PREDICTIONS
            raise InputError(
                f"{where}: not the same test pictures, labels and order as {first}; delete the folder of the one "
                "that is wrong to train it again"
            )
        if "group" not in one.predictions:
            one.predictions.insert(2, "group", known["group" if "group" in known else "sample_id"])


def _selection(record: dict[str, Any], curve: Sequence[dict[str, Any]]) -> dict[str, Any]:
    tested = [entry["test_accuracy"] for entry in curve if "test_accuracy" in entry]
    epoch = record.get("selected_epoch", record["last_epoch"]["epoch"])
    return {"selected_epoch": epoch, "best_test_accuracy": max(tested, default=None)}


def _flat(record: dict[str, Any], predictions: pd.DataFrame) -> dict[str, Any]:
    gits = [origin["git"] or {"commit": None, "dirty": None} for origin in record["origins"]]
    git = {"commit": " ".join(str(g["commit"]) for g in gits if g["commit"]), "dirty": any(g["dirty"] for g in gits)}
    known = record | git | {"train_s": record["durations_s"]["train"], "test_pictures": len(predictions)}
    return {name: known.get(name) for name in (*RESULTS, *COST)} | scalar_metrics(predictions)


def _metrics(directory: RunDirectory) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in (directory.folder.read(METRICS) or b"").decode().splitlines()]
    except ValueError as error:
        where = directory.folder / METRICS
        raise InputError(f"{where}: not readable ({error}); delete the folder to train this run again") from None


def _table(directory: RunDirectory, name: str) -> pd.DataFrame | None:
    data = directory.folder.read(name)
    if data is None:
        return None
    try:
        return pd.read_parquet(io.BytesIO(data))
    except (ValueError, OSError) as error:
        where = directory.folder / name
        raise InputError(f"{where}: not readable ({error}); delete {directory.folder} to train it again") from None


def _predictions(directory: RunDirectory) -> pd.DataFrame:
    frame = _table(directory, PREDICTIONS)
    where = directory.folder / PREDICTIONS
    if frame is None:
        raise InputError(f"{where}: missing; delete the folder {directory.folder} to train this run again")
    if not np.isfinite(frame.filter(like="logit_").to_numpy()).all():
        raise InputError(f"{where}: holds numbers that are not finite; delete {directory.folder} to train it again")
    if frame["sample_id"].duplicated().any():
        raise InputError(f"{where}: a picture is counted twice; delete {directory.folder} to train it again")
    if frame.empty or not frame["target"].isin(classes_of(frame)).all():
        raise InputError(f"{where}: no pictures, or of no known class; delete {directory.folder} to train it again")
    return frame
