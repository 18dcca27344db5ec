"""The content of an export: a study and its finished runs, with parameters, curves, results and files."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from emotune.analysis.seeds import Summary
from emotune.config.run import RunConfig
from emotune.core.text import listed
from emotune.execution.monitor.tensorboard import run_folder_name
from emotune.execution.plan.resolved_study import ResolvedStudy
from emotune.exporters.files import ExportedFile, run_files
from emotune.exporters.parameters import Value, parameters
from emotune.report.contrast_table import contrast_table
from emotune.report.results import StudyResults
from emotune.report.transfer_report import transfer_runs
from emotune.runs.directory import State
from emotune.runs.record import RunRecord

__all__ = ["LeftOut", "RunContent", "StudyContent", "curve_metrics", "gather"]

FORMAT = 1
"""A part of every fingerprint: what is exported is exported anew if it is raised."""
CURVES = {
    "lr": "train/lr",
    "train_loss": "train/loss",
    "train_accuracy": "train/accuracy",
    "val_loss": "val/loss",
    "val_accuracy": "val/accuracy",
    "val_ccc": "val/ccc",
    "val_score": "val/score",
    "test_accuracy": "test_by_epoch/accuracy",
    "attention_entropy": "val/attention_entropy",
}
"""The names of curves by the fields of ``metrics.jsonl``; those that ``--tensorboard`` writes have the same names."""
COSTS = ("parameters", "forward_flops", "train_s", "images_per_s")


@dataclass(frozen=True)
class RunContent:
    """A finished run.

    Attributes:
        config: The run.
        name: Its name in a list of runs: its id, with the variant in the place of the model.
        parameters: The options of model and training by their keys in a study, as ``train.lr``, and what else tells the
            run from others.
        metrics: The results by name: ``test/accuracy``, ``transfer/<data set>/accuracy``, ``cost/train_s``.
        curves: The values of each finished epoch: ``epoch``, and ``train/loss`` and so on.
        selected_epoch: The number of the tested epoch, from 1.
        train_images: The number of training images.
        train_s: The seconds of training.
        ended: The time at which it ended, in seconds since 1970; 0 if it is not known.
        files: Its files, in their order.
        record: The sha256 of its record.
    """

    config: RunConfig
    name: str
    parameters: Mapping[str, Value]
    metrics: Mapping[str, float]
    curves: Sequence[Mapping[str, float]]
    selected_epoch: int
    train_images: int
    train_s: float
    ended: float
    files: Sequence[ExportedFile]
    record: str

    @property
    def id(self) -> str:
        """The run's id."""
        return self.config.id

    @property
    def fingerprint(self) -> str:
        """A digest of all that is exported of it, but for the time at which it ended, which a copy does not keep."""
        shown = [self.name, self.parameters, self.metrics, self.curves, self.record, [f.identity for f in self.files]]
        return _digest([FORMAT, *shown])


@dataclass(frozen=True)
class LeftOut:
    """A run that is not exported: its id, its state, and the reason in a line."""

    run_id: str
    state: State
    reason: str


@dataclass(frozen=True)
class StudyContent:
    """A study, as of now.

    Attributes:
        name: The study's name.
        question: Its question.
        tags: Its declarations and verdicts, by name.
        metrics: ``variant/<data set>/<variant>/<metric>/mean``, ``low`` and ``high``, and the same of every contrast.
        files: Its files: the study, and those of its report.
        runs: Its finished runs, in the study's order.
        left_out: Its other runs.
        results: The results from which a card is written.
    """

    name: str
    question: str
    tags: Mapping[str, str]
    metrics: Mapping[str, float]
    files: Sequence[ExportedFile]
    runs: Sequence[RunContent]
    left_out: Sequence[LeftOut]
    results: StudyResults = field(repr=False, compare=False)

    @property
    def fingerprint(self) -> str:
        """A digest of all that is exported of the study itself."""
        return _digest([FORMAT, self.name, self.tags, self.metrics, [f.identity for f in self.files]])

    def left_out_lines(self) -> list[str]:
        """A line for each state of runs that are not exported: ``left out: 2 failed: alexnet-scenes-s0-…, …``."""
        lines = []
        for state in dict.fromkeys(one.state for one in self.left_out):
            ones = [one for one in self.left_out if one.state == state]
            shown = listed([one.run_id for one in ones[:5]]) + (f" and {len(ones) - 5} more" if len(ones) > 5 else "")
            reason = f" ({ones[0].reason})" if ones[0].reason and state is not State.MISSING else ""
            lines.append(f"left out: {len(ones)} {state}: {shown}{reason}")
        return lines


def gather(
    resolved: ResolvedStudy, results: StudyResults, files: Sequence[ExportedFile], *, weights: bool
) -> StudyContent:
    """Everything that is exported of a study.

    Args:
        resolved: The study.
        results: Its results.
        files: The files of the study itself.
        weights: Whether the runs' weights are exported.

    Raises:
        InputError: the store cannot be reached.
    """
    records, configs = results.records, {run.id: run for run in resolved.runs}
    rows = cast("list[dict[str, Any]]", records.runs.to_dict("records"))
    done = [row for row in rows if row["state"] == State.DONE]
    transfer, curves = _transfer_metrics(results), _curves(results)
    of_runs = resolved.store.map(
        lambda row: run_files(resolved.store.folder / row["run"], configs[row["run"]], weights=weights), done
    )
    runs = [
        _run_content(
            configs[row["run"]], row, records.records[row["run"]], results, transfer.get(row["run"], {}),
            curves.get(row["run"], []), *found,
        )
        for row, found in zip(done, of_runs, strict=True)
    ]  # fmt: skip
    left_out = [
        LeftOut(row["run"], State(row["state"]), next(iter(str(row["detail"]).splitlines()), ""))
        for row in rows if row["state"] != State.DONE
    ]  # fmt: skip
    study = resolved.study
    return StudyContent(
        study.name, study.question, _tags(results, runs), _study_metrics(results), files, runs, left_out, results
    )


def curve_metrics(epoch: Mapping[str, float]) -> dict[str, float]:
    """The values of an epoch that are known, without its number."""
    return {name: value for name, value in epoch.items() if name != "epoch"}


def _run_content(
    run: RunConfig, row: Mapping[str, Any], record: RunRecord, results: StudyResults, transfer: Mapping[str, float],
    curves: Sequence[Mapping[str, float]], files: Sequence[ExportedFile], ended: float,
) -> RunContent:  # fmt: skip
    tested = {f"test/{name}": row.get(name) for name in results.study.metric.scales}
    costs = {f"cost/{name}": row.get(name) for name in COSTS}
    return RunContent(
        config=run,
        name=run_folder_name(run),
        parameters=parameters(run),
        metrics=_finite({**tested, **transfer, **costs}),
        curves=curves,
        selected_epoch=record["selected_epoch"],
        train_images=record["train_images"],
        train_s=record["durations_s"]["train"],
        ended=ended,
        files=files,
        record=_digest(record),
    )


def _curves(results: StudyResults) -> dict[str, list[dict[str, float]]]:
    """The epochs of each run by its id."""
    curves: dict[str, list[dict[str, float]]] = {}
    for row in results.records.curves.to_dict("records"):
        epoch: dict[str, float] = {"epoch": int(row["epoch"])}
        curves.setdefault(row["run"], []).append(epoch | _finite({new: row[old] for old, new in CURVES.items()}))
    return curves


def _transfer_metrics(results: StudyResults) -> dict[str, dict[str, float]]:
    """The metrics of each run on other data sets, by its id."""
    found: dict[str, dict[str, float]] = {}
    if results.transfer is None:
        return found
    names = results.transfer.metric.scales
    for row in transfer_runs(results.transfer).to_dict("records"):
        values = {f"transfer/{row['tested_on']}/{name}": row.get(name) for name in names}
        found.setdefault(row["run"], {}).update(_finite(values))
    return found


def _study_metrics(results: StudyResults) -> dict[str, float]:
    values: dict[str, Any] = {}
    column = results.study.metric.column
    for one in results.repeats:
        for row in results.repeated_summaries(one):
            key = f"variant/{one.dataset}/{row.variant}/{column}"
            values |= {f"{key}/{name}": value for name, value in _ends(row.summary).items()}
    for contrast in contrast_table(results.other_analyses).to_dict("records"):
        key = f"contrast/{contrast['dataset']}/{contrast['contrast']}/{column}"
        values |= {f"{key}/{name}": contrast[name] for name in ("mean", "low", "high", "p")}
    return _finite(values) | {"runs": float(len(results.records.done()))}


def _ends(summary: Summary) -> dict[str, float | None]:
    return {"mean": summary.mean, "low": summary.low, "high": summary.high}


def _tags(results: StudyResults, runs: Sequence[RunContent]) -> dict[str, str]:
    study = results.study
    verdicts = {
        f"verdict/{row['dataset']}/{row['contrast']}": str(row["verdict"])
        for row in contrast_table(results.other_analyses).to_dict("records")
    }
    return {
        "question": study.question,
        "baseline": study.baseline,
        "metric": study.metric.column,
        "min_effect": f"{study.metric.min_effect:g}",
        "seeds": str(study.seeds),
        "finished_runs": f"{len(runs)} of {len(results.records.runs)}",
        **verdicts,
    }


def _finite(values: Mapping[str, Any]) -> dict[str, float]:
    """The values that are known and finite, as numbers of Python."""
    return {
        name: float(value) for name, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }  # fmt: skip


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
