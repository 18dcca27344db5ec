"""Loads the runs of a study as tidy tables: a row for each run, each epoch, each predicted image and attention map."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from emotune.analysis.alignment import align_test_sets
from emotune.analysis.metrics import predicted_classes_digest, scalar_metrics
from emotune.analysis.prediction_arrays import keep_arrays
from emotune.analysis.rating_arrays import has_ratings
from emotune.analysis.run_files import curve_table, read_attention, read_curve, read_predictions
from emotune.config.metric import Metric
from emotune.config.metric_scales import TASK_METRICS
from emotune.config.run import RunConfig
from emotune.config.target import Dimension, Target
from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.runs.directory import METRICS, PREDICTIONS, RECORD, State
from emotune.runs.metric_values import read_value
from emotune.runs.record import OVER_FRAMES, RunRecord
from emotune.runs.store import RunStates, RunStore

__all__ = ["Records", "load_records"]

RUN_COLUMNS = ["run", "variant", "dataset", "seed"]
RESULT_COLUMNS = ["accuracy", "test_images", "parameters", "train_s", "images_per_s", "workers", "interruptions",
                  "commit", "dirty"]  # fmt: skip
COST_COLUMNS = ["forward_flops"]
SELECTION_COLUMNS = ["selected_epoch", "best_test_accuracy"]


def _columns(task: Target) -> list[str]:
    """The columns of the table of runs, in the order that scripts rely on; new ones come last."""
    metrics = TASK_METRICS[task]
    results = RESULT_COLUMNS if task != "dimensions" else [metrics[0], *RESULT_COLUMNS[1:]]
    return [*RUN_COLUMNS, "state", "detail", *dict.fromkeys([*results, *metrics, *COST_COLUMNS, *SELECTION_COLUMNS]),
            "predicted_classes_digest"]  # fmt: skip


@dataclass(frozen=True)
class Records:
    """The tables of a study's runs.

    Attributes:
        store: The store of the runs.
        runs: A row for each run of the study, finished or not: ``run, variant, dataset, seed, state, detail``. Finished
            runs also have ``accuracy`` (per cent of the test images), ``test_images``, ``parameters``, ``train_s``,
            ``images_per_s``, ``workers``, ``interruptions``, ``commit``, ``dirty``, the other metrics of
            `emotune.config.metric.SCALES`, ``forward_flops`` per image, ``selected_epoch`` (the epoch whose network was
            tested), ``best_test_accuracy`` (per cent, the highest of all epochs; NaN if the epochs were not tested) and
            ``predicted_classes_digest`` (equal for runs that predict the same class for every test image). The last
            column is that of the user's own metric if the study has one; NaN where it has not been computed.
        curves: A row for each run and epoch: ``run, variant, dataset, seed`` and the fields of ``metrics.jsonl``;
            ``test_accuracy`` and ``attention_entropy`` (nats) are NaN if they were not recorded.
        predictions: The predictions of each finished run by run id: ``sample_id, target, group, logit_<class>…``. All
            runs of a data set have the same images in the same order. Near-duplicates share a group; if no run of the
            data set recorded groups, each image is its own.
        records: The content of ``record.json`` of each finished run, by run id.
        attention: The attention weights of each finished run that recorded them, by run id: ``sample_id, layer,
            weights``; the weights are an array (P,) that sums to one.
        over_frames: The same of attention over the frames of clips, whose weights are an array (T,).
        dimensions: The dimensions that are predicted, by data set; a data set of classes is absent. Its runs have the
            metrics of dimensions and no ``accuracy``, and their predictions are those of
            `emotune.analysis.rating_arrays.with_unit_ratings`.
        task: What is predicted. For *distributions*, runs have their metrics, too, and predictions ``share_<class>``.
    """

    store: RunStore
    runs: pd.DataFrame
    curves: pd.DataFrame
    predictions: dict[str, pd.DataFrame]
    records: dict[str, RunRecord]
    attention: dict[str, pd.DataFrame]
    over_frames: dict[str, pd.DataFrame] = field(default_factory=dict)
    dimensions: Mapping[str, tuple[Dimension, ...]] = field(default_factory=dict)
    task: Target = "classes"

    def done(self) -> pd.DataFrame:
        """The rows of the finished runs."""
        return self.runs[self.runs["state"] == State.DONE]

    def predictions_of(self, variant: str, dataset: str) -> dict[int, pd.DataFrame]:
        """The predictions of a variant's finished runs on a data set, by seed in ascending order."""
        done = self.done()
        rows = done[(done["variant"] == variant) & (done["dataset"] == dataset)].sort_values("seed")
        return {int(seed): self.predictions[run] for seed, run in zip(rows["seed"], rows["run"], strict=True)}


@dataclass(frozen=True)
class _FinishedRun:
    """The results of a finished run."""

    record: RunRecord
    predictions: pd.DataFrame
    attention: pd.DataFrame | None

    def attention_over(self, *, frames: bool) -> pd.DataFrame | None:
        """The attention weights over frames, or those over positions; None if it recorded none."""
        if self.attention is None:
            return None
        chosen = self.attention[(self.attention["layer"] == OVER_FRAMES) == frames]
        return None if chosen.empty else chosen


@dataclass(frozen=True)
class _LoadedRun:
    """A run's row in the table of runs, its learning curve by epoch, and its results if it has finished."""

    row: dict[str, Any]
    curve: list[dict[str, float]]
    finished: _FinishedRun | None = None

    def as_damaged(self, problem: str) -> "_LoadedRun":
        """The same run, which does not count because of a problem."""
        row = {name: self.row[name] for name in RUN_COLUMNS} | {"state": str(State.DAMAGED), "detail": problem}
        return _LoadedRun(row, self.curve)


def load_records(states: RunStates, metric: Metric | None = None) -> Records:
    """Reads the directories of a study's runs.

    A finished run gets the state *damaged* if one of its files is missing or damaged, or if its test images are not
    those of most runs of its data set. Its ``detail`` states the problem and the remedy; other runs are not affected.

    Args:
        states: The study's runs, and what their store has of them.
        metric: The study's metric, whose values are read if it is the user's own.

    Raises:
        InputError: the store cannot be reached.
    """
    folder, own = states.store.folder, metric if metric and metric.user_code else None
    loaded = states.store.map(lambda run: _load_run(folder / run.id, run, states, own), states.runs)
    predictions, problems = _aligned_predictions(loaded, folder)
    loaded = [run.as_damaged(problems[run.row["run"]]) if run.row["run"] in problems else run for run in loaded]
    finished = {run.row["run"]: run.finished for run in loaded if run.finished}
    tasks: list[Target] = [run.dataset.task for run in states.runs]
    task = tasks[0] if tasks else "classes"
    columns = _columns(task)
    return Records(
        store=states.store,
        runs=pd.DataFrame([run.row for run in loaded], columns=[*columns, *([own.column] if own else [])]),
        curves=curve_table(
            [{name: run.row[name] for name in RUN_COLUMNS} | epoch for run in loaded for epoch in run.curve],
            RUN_COLUMNS,
        ),
        predictions={run_id: predictions[run_id] for run_id in finished},
        records={run_id: run.record for run_id, run in finished.items()},
        attention=_attention(finished, frames=False),
        over_frames=_attention(finished, frames=True),
        dimensions={run.dataset.name: run.dataset.dimensions for run in states.runs if run.dataset.dimensions},
        task=task,
    )


def _attention(runs: Mapping[str, _FinishedRun], *, frames: bool) -> dict[str, pd.DataFrame]:
    """The attention weights over frames, or over positions, of the runs that recorded them."""
    found = {run_id: run.attention_over(frames=frames) for run_id, run in runs.items()}
    return {run_id: table for run_id, table in found.items() if table is not None}


def _aligned_predictions(runs: Sequence[_LoadedRun], store: Folder) -> tuple[dict[str, pd.DataFrame], dict[str, str]]:
    """The aligned predictions of all data sets, and the problems of runs with other test images, by run id."""
    by_dataset: dict[str, dict[str, pd.DataFrame]] = {}
    for run in runs:
        if run.finished:
            by_dataset.setdefault(run.row["dataset"], {})[run.row["run"]] = run.finished.predictions
    predictions: dict[str, pd.DataFrame] = {}
    problems: dict[str, str] = {}
    for frames in by_dataset.values():
        aligned, others = align_test_sets(frames, store)
        for frame in aligned.values():
            if not has_ratings(frame):
                keep_arrays(frame)
        predictions |= aligned
        problems |= others
    return predictions, problems


def _load_run(folder: Folder, run: RunConfig, states: RunStates, own: Metric | None) -> _LoadedRun:
    status = states.statuses[run.id]
    key: dict[str, Any] = {"run": run.id, "variant": run.variant, "dataset": run.dataset.name, "seed": run.seed}
    row = key | {"state": str(status.state), "detail": status.detail}
    loaded = _LoadedRun(row, [])
    try:
        loaded = replace(loaded, curve=read_curve(folder))
        if status.state is not State.DONE:
            return loaded
        return _with_results(loaded, folder, states.records[run.id], own, run.dataset.dimensions)
    except InputError as error:
        return loaded.as_damaged(str(error)) if status.state is State.DONE else loaded


def _with_results(
    run: _LoadedRun, folder: Folder, record: RunRecord, own: Metric | None, dimensions: Sequence[Dimension]
) -> _LoadedRun:
    """A finished run with its results.

    Raises:
        InputError: a file is missing or damaged.
    """
    if not run.curve:
        raise InputError(f"{folder / METRICS}: missing or empty; delete the folder {folder} to train this run again")
    data = folder.read(PREDICTIONS)
    predictions = read_predictions(folder, data, dimensions)
    try:
        results = _result_columns(record, predictions)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise InputError(
            f"{folder / RECORD}: {error} is missing; delete the folder {folder} to train this run again"
        ) from None
    tested = [epoch["test_accuracy"] for epoch in run.curve if not math.isnan(epoch["test_accuracy"])]
    best = {"best_test_accuracy": max(tested, default=math.nan)}
    if own:
        value = read_value(folder, own, data)
        best[own.column] = math.nan if value is None else value
    finished = _FinishedRun(record, predictions, read_attention(folder, predictions))
    return replace(run, row=run.row | results | best, finished=finished)


def _result_columns(record: RunRecord, predictions: pd.DataFrame) -> dict[str, Any]:
    """The columns of a finished run, apart from ``best_test_accuracy``."""
    checkouts = [origin["git"] or {"commit": None, "dirty": None} for origin in record["origins"]]
    is_dirty = any(git["dirty"] for git in checkouts) or (None if any("unknown" in git for git in checkouts) else False)
    columns: Mapping[str, Any] = {
        **record,
        "commit": " ".join(str(git["commit"]) for git in checkouts if git["commit"]),
        "dirty": is_dirty,
        "train_s": record["durations_s"]["train"],
        "test_images": len(predictions),
    }
    return {
        **{name: columns.get(name) for name in (*RESULT_COLUMNS, *COST_COLUMNS)},
        **scalar_metrics(predictions),
        "selected_epoch": record["selected_epoch"],
        "predicted_classes_digest": predicted_classes_digest(predictions),
    }
