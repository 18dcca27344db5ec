"""Where a study stands, from the files of its runs alone: who is at work on what, what failed, what is done."""

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from emotune.core.storage import Folder
from emotune.runs.directory import METRICS, State, Status
from emotune.runs.store import RunStore

__all__ = ["NamedRun", "named_runs", "print_status", "study_status"]


@dataclass(frozen=True)
class NamedRun:
    """What a study's run is called: enough to read its files."""

    id: str
    variant: str
    dataset: str
    seed: int


class Run(Protocol):
    """A `emotune.config.run.RunConfig`, of which only this matters."""

    id: str
    variant: str
    seed: int
    dataset: Any


def named_runs(runs: Sequence[Run]) -> list[NamedRun]:
    """What the runs are called."""
    return [NamedRun(run.id, run.variant, run.dataset.name, run.seed) for run in runs]


def study_status(runs: Sequence[NamedRun], pool: str) -> dict[str, Any]:
    """States of the runs, as plain values.

    Returns:
        ``runs`` (how many), ``states`` (how many in each), and lists: ``running``, with epoch, loss, accuracy on val,
        images per second, host, and seconds since it was last heard of; ``failed`` and ``diverged``, with the reason;
        ``interrupted``. What is not known is None.
    """
    statuses = RunStore(pool).statuses(run.id for run in runs)
    by_state: dict[State, list[dict[str, Any]]] = {state: [] for state in State}
    for run in runs:
        by_state[statuses[run.id].state].append(_entry(run, Folder(pool) / run.id, statuses[run.id]))
    shown = (State.RUNNING, State.FAILED, State.DIVERGED, State.INTERRUPTED)
    states = Counter(status.state.value for status in statuses.values())
    return {"runs": len(runs), "states": dict(states)} | {state.value: by_state[state] for state in shown}


def _entry(run: NamedRun, folder: Folder, status: Status) -> dict[str, Any]:
    entry = {"run": run.id, "variant": run.variant, "dataset": run.dataset, "seed": run.seed}
    if status.state in (State.FAILED, State.DIVERGED):
        return entry | {"reason": status.reason}
    if status.state not in (State.RUNNING, State.INTERRUPTED):
        return entry
    lines = (folder.read(METRICS) or b"").splitlines()
    last = json.loads(lines[-1]) if lines else {}
    known = {"epoch": last.get("epoch", 0), "loss": last.get("train_loss"), "val_accuracy": last.get("val_accuracy")}
    if status.state is State.INTERRUPTED:
        return entry | known
    holder = status.owner
    if holder.progress:
        names = ("epoch", "epochs", "loss", "val_accuracy", "images_per_s", "step", "steps", "phase")
        said = {name: getattr(holder.progress, name) for name in names}
        known |= {name: value for name, value in said.items() if value == value}  # noqa: PLR0124  what is known
    return entry | known | {"host": holder.host, "heartbeat_age_s": round(time.time() - holder.time, 1)}


def print_status(console: Console, study: str, found: dict[str, Any]) -> None:
    """Prints a line per active run, totals, and why runs failed or diverged."""
    if found["running"]:
        table = Table("variant", "data set", "seed", "epoch", "loss", "val", "img/s", "host", "heard of",
                      box=None, pad_edge=False)  # fmt: skip
        for run in found["running"]:
            epochs = f"/{run['epochs']}" if run.get("epochs") else ""
            table.add_row(
                run["variant"], run["dataset"], str(run["seed"]), f"{run['epoch']}{epochs}",
                _number(run["loss"], ".2f"), _number(run["val_accuracy"], ".1f", " %"),
                _number(run.get("images_per_s"), ".0f"),
                escape(run["host"]), f"{run['heartbeat_age_s']:.0f} s ago",
            )  # fmt: skip
        console.print(table)
    for state in ("failed", "diverged"):
        for run in found[state]:
            name = f"{run['variant']} s{run['seed']} ({run['run']})"
            console.print(f"{state}  {name}: {escape(run['reason'])}", highlight=False, soft_wrap=True)
    counts = ", ".join(
        f"{found['states'][state.value]} {state.value}" for state in State if state.value in found["states"]
    )
    console.print(f"[bold]{study}[/]: {found['runs']} runs: {counts}", highlight=False)


def _number(value: float | None, form: str, unit: str = "") -> str:
    return "–" if value is None else f"{value:{form}}{unit}"
