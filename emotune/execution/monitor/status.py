"""The status of a study, read from the files of its runs: which are being trained, failed, diverged or done."""

import json
import math
import time
from collections import Counter
from collections.abc import Sequence
from typing import NotRequired, TypedDict

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from emotune.core.sample_noun import speed_unit
from emotune.core.storage import Folder
from emotune.core.terminal import print_table
from emotune.execution.plan.adaptive import LooksEntry
from emotune.execution.plan.transfer_plan import TransferEntry
from emotune.execution.plan.tuning_summary import TuningEntry
from emotune.runs.directory import METRICS, State, Status
from emotune.runs.progress import RunProgress
from emotune.runs.registered_study import NamedRun
from emotune.runs.store import RunStore

__all__ = ["RunEntry", "StudyStatus", "print_status", "study_status"]


class RunEntry(TypedDict):
    """The status of one run.

    Attributes:
        run: The run's id.
        variant: The variant's name.
        dataset: The data set's name.
        seed: The run's seed.
        reason: The reason why the run failed or diverged.
        epoch: The current epoch of a run that is being trained, or the last epoch of an interrupted one.
        epochs: The number of epochs.
        loss: The latest training loss; None while it is not known.
        val_accuracy: The latest validation accuracy in per cent; None while it is not known.
        val_ccc: The latest validation CCC, if dimensions are predicted.
        images_per_s: The speed of training in images per second.
        step: The number of steps that are done.
        steps: The number of steps.
        phase: What the run does, *training* for example.
        images_read: In the phase *reading*, the number of images that have been read, or whose features are there.
        images_to_read: In the phase *reading*, the number of images that are to be read.
        host: The host that trains the run.
        heartbeat_age_s: The seconds since the last heartbeat.
    """

    run: str
    variant: str
    dataset: str
    seed: int
    reason: NotRequired[str]
    epoch: NotRequired[int]
    epochs: NotRequired[int]
    loss: NotRequired[float | None]
    val_accuracy: NotRequired[float | None]
    val_ccc: NotRequired[float]
    images_per_s: NotRequired[float]
    step: NotRequired[int]
    steps: NotRequired[int]
    phase: NotRequired[str]
    images_read: NotRequired[int]
    images_to_read: NotRequired[int]
    host: NotRequired[str]
    heartbeat_age_s: NotRequired[float]


class StudyStatus(TypedDict):
    """The status of a study.

    Attributes:
        runs: The number of runs.
        states: The number of runs in each state that occurs.
        running: The runs that are being trained.
        failed: The runs that failed.
        diverged: The runs that diverged.
        interrupted: The runs that were interrupted.
        looks: The looks that adaptive seeds have reached on each data set; the study's runs are those needed as of now.
        tuning: The stage of a study that tunes, whose runs are those of this stage.
        tests: The tests of finished runs on other data sets, if the study asks for some.
    """

    runs: int
    states: dict[str, int]
    running: list[RunEntry]
    failed: list[RunEntry]
    diverged: list[RunEntry]
    interrupted: list[RunEntry]
    looks: NotRequired[list[LooksEntry]]
    tuning: NotRequired[TuningEntry]
    tests: NotRequired[list[TransferEntry]]


def study_status(runs: Sequence[NamedRun], store: RunStore) -> StudyStatus:
    """The status of a study as plain values, which JSON can hold.

    Args:
        runs: The runs of the study.
        store: The folder of all run directories.

    Raises:
        InputError: A file is damaged, or the folder cannot be reached.
    """
    statuses = store.statuses(run.id for run in runs)
    by_state: dict[State, list[RunEntry]] = {state: [] for state in State}
    for run in runs:
        by_state[statuses[run.id].state].append(_entry(run, store.folder / run.id, statuses[run.id]))
    return {
        "runs": len(runs),
        "states": dict(Counter(status.state.value for status in statuses.values())),
        "running": by_state[State.RUNNING],
        "failed": by_state[State.FAILED],
        "diverged": by_state[State.DIVERGED],
        "interrupted": by_state[State.INTERRUPTED],
    }


def _entry(run: NamedRun, folder: Folder, status: Status) -> RunEntry:
    entry: RunEntry = {"run": run.id, "variant": run.variant, "dataset": run.dataset, "seed": run.seed}
    if status.state in (State.FAILED, State.DIVERGED):
        entry["reason"] = status.reason
    if status.state not in (State.RUNNING, State.INTERRUPTED):
        return entry
    lines = (folder.read(METRICS) or b"").splitlines()
    last = json.loads(lines[-1]) if lines else {}
    entry["epoch"] = last.get("epoch", 0)
    entry["loss"], entry["val_accuracy"] = last.get("train_loss"), last.get("val_accuracy")
    if "val_ccc" in last:
        entry["val_ccc"] = last["val_ccc"]
    if owner := status.owner:
        if owner.progress:
            _add_progress(entry, owner.progress)
        entry["host"], entry["heartbeat_age_s"] = owner.host, round(time.time() - owner.time, 1)
    return entry


def _add_progress(entry: RunEntry, progress: RunProgress) -> None:
    """Adds what the owner of the run has reported last; numbers that it does not know yet are from the run's files."""
    entry["phase"], entry["epochs"] = progress.phase, progress.epochs
    if progress.phase == "reading":  # the process does not say what earlier ones have done
        entry["images_read"], entry["images_to_read"] = progress.evaluated, progress.to_read
        return
    entry["epoch"], entry["step"], entry["steps"] = progress.epoch, progress.step, progress.steps
    if not math.isnan(progress.loss):
        entry["loss"] = progress.loss
    if not math.isnan(progress.val_accuracy):
        entry["val_accuracy"] = progress.val_accuracy
    if not math.isnan(progress.val_ccc):
        entry["val_ccc"] = progress.val_ccc
    if not math.isnan(progress.images_per_s):
        entry["images_per_s"] = progress.images_per_s


def print_status(console: Console, study: str, status: StudyStatus) -> None:
    """Prints a line for each run that is being trained, why runs failed or diverged, and the totals.

    Args:
        console: The console to print to.
        study: The name of the study.
        status: The status of the study.
    """
    if status["running"]:
        table = Table("variant", "data set", "seed", "epoch", "loss", "val", speed_unit(), "host", "heartbeat",
                      box=None, pad_edge=False)  # fmt: skip
        for run in status["running"]:
            table.add_row(*_cells(run))
        print_table(console, table)
    for run in [*status["failed"], *status["diverged"]]:
        state = "failed" if run in status["failed"] else "diverged"
        name = f"{run['variant']} s{run['seed']} ({run['run']})"
        console.print(f"{state}  {name}: {escape(run.get('reason', ''))}", highlight=False, soft_wrap=True)
    counts = ", ".join(
        f"{status['states'][state.value]} {state.value}" for state in State if state.value in status["states"]
    )
    console.print(f"[bold]{study}[/]: {status['runs']} runs: {counts}", highlight=False)


def _cells(run: RunEntry) -> list[str]:
    epoch = f"{run.get('epoch', 0)}" + (f"/{run['epochs']}" if "epochs" in run else "")
    if "images_to_read" in run:
        epoch = f"reading {run.get('images_read', 0):,}/{run['images_to_read']:,}"
    return [
        run["variant"],
        run["dataset"],
        str(run["seed"]),
        epoch,
        _number(run.get("loss"), ".2f"),
        f"CCC {run['val_ccc']:.3f}" if "val_ccc" in run else _number(run.get("val_accuracy"), ".1f", " %"),
        _number(run.get("images_per_s"), ".0f"),
        escape(run.get("host", "")),
        _number(run.get("heartbeat_age_s"), ".0f", " s ago"),
    ]


def _number(value: float | None, form: str, unit: str = "") -> str:
    return "–" if value is None else f"{value:{form}}{unit}"
