"""Run directories as tidy tables: one row per run, per epoch, and per picture and run."""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from emotune.analysis.metrics import classes_of, scalar_metrics
from emotune.errors import InputError
from emotune.metric_config import SCALES
from emotune.run import RunConfig
from emotune.run_directory import METRICS, PREDICTIONS, RECORD, RunDirectory, State

__all__ = ["Records", "load_records"]

RESULTS = ["accuracy", "test_pictures", "parameters", "train_s", "images_per_s", "workers", "interruptions", "commit",
           "dirty"]  # fmt: skip
COST = ["forward_flops"]
EPOCH = ["epoch", "lr", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "train_s_so_far"]
CURVES = ["run", "variant", "dataset", "seed", *EPOCH]
COLUMNS = ["run", "variant", "dataset", "seed", "state", "detail", *dict.fromkeys([*RESULTS, *SCALES, *COST])]


@dataclass(frozen=True)
class Records:
    """What a study's runs left behind.

    Attributes:
        runs: One row per run of the study, finished or not: ``run, variant, dataset, seed, state, detail``; finished
            ones have ``accuracy`` (per cent of the test pictures), ``test_pictures``, ``parameters``, ``train_s``,
            ``images_per_s``, ``workers``, ``interruptions``, ``commit``, ``dirty``, the other metrics of
            `emotune.metric_config.SCALES` and ``forward_flops`` of a picture; the others NaN.
        curves: One row per run and epoch: ``run, variant, dataset, seed`` and what ``metrics.jsonl`` has.
        predictions: Per finished run: ``sample_id, target, logit_<class>…``.
        records: ``record.json`` of every finished run.
    """

    runs: pd.DataFrame
    curves: pd.DataFrame
    predictions: dict[str, pd.DataFrame]
    records: dict[str, dict[str, Any]]

    def done(self) -> pd.DataFrame:
        """The rows of the finished runs."""
        return self.runs[self.runs["state"] == State.DONE]


def load_records(runs: Sequence[RunConfig], pool: str) -> Records:
    """Reads the directories of a study's runs.

    Raises:
        InputError: a file of a finished run is missing or damaged.
    """
    rows, curves, predictions, records = [], [], {}, {}
    for run in runs:
        directory = RunDirectory(pool, run)
        status = directory.status()
        row = {"run": run.id, "variant": run.variant, "dataset": run.dataset.name, "seed": run.seed}
        curves += [row | entry for entry in _metrics(directory)]
        row |= {"state": str(status.state), "detail": status.detail}
        if status.state is State.DONE:
            records[run.id] = directory.record()
            predictions[run.id] = _predictions(directory)
            try:
                row |= _flat(records[run.id], predictions[run.id])
            except (KeyError, TypeError) as error:
                raise InputError(
                    f"{directory.folder / RECORD}: lacks {error}; delete the folder to train again"
                ) from None
        rows.append(row)
    return Records(pd.DataFrame(rows, columns=COLUMNS), pd.DataFrame(curves, columns=CURVES), predictions, records)


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


def _predictions(directory: RunDirectory) -> pd.DataFrame:
    data = directory.folder.read(PREDICTIONS)
    where = directory.folder / PREDICTIONS
    if data is None:
        raise InputError(f"{where}: missing; delete the folder {directory.folder} to train this run again")
    try:
        frame = pd.read_parquet(io.BytesIO(data))
    except (ValueError, OSError) as error:
        raise InputError(f"{where}: not readable ({error}); delete {directory.folder} to train it again") from None
    if not np.isfinite(frame.filter(like="logit_").to_numpy()).all():
        raise InputError(f"{where}: holds numbers that are not finite; delete {directory.folder} to train it again")
    if frame["sample_id"].duplicated().any():
        raise InputError(f"{where}: a picture is counted twice; delete {directory.folder} to train it again")
    if frame.empty or not frame["target"].isin(classes_of(frame)).all():
        raise InputError(f"{where}: no pictures, or of no known class; delete {directory.folder} to train it again")
    return frame
