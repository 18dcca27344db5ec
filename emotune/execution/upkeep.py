"""Runs that are taken up once more, and runs that no study refers to."""

import json
import re
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from emotune.errors import InputError, refuse
from emotune.execution.ledger import Plan
from emotune.run import RunConfig
from emotune.run_directory import RECORD, RunDirectory, State
from emotune.storage import Folder
from emotune.study import Study

__all__ = ["Leftover", "again", "anew", "confirmed", "leftovers", "remember", "remembered", "remove", "summary"]

STUDIES, RUNS = "studies", "runs.json"
RUN_NAME = re.compile(r".+-s\d+-[0-9a-f]{8}")


def again(plan: Plan, *, failed: bool, diverged: bool, names: Sequence[str]) -> tuple[RunConfig, ...]:
    """The runs that a rerun takes up, in their order.

    Args:
        plan: The study's.
        failed: Those that failed.
        diverged: Those that diverged.
        names: Ids of others.

    Raises:
        InputError: nothing is asked for, a name is none of the study's, or a run is in the hands of another process.
    """
    if not (failed or diverged or names):
        raise InputError("rerun: say which runs: --failed, --diverged, or their names (status lists them)")
    known = [run.id for run in plan.runs]
    refuse([f"{name}: no run of this study (runs: {', '.join(known[:3])}, …)" for name in names if name not in known])
    states = {State.FAILED: failed, State.DIVERGED: diverged}
    chosen = [run for run in plan.runs if run.id in names or states.get(plan.statuses[run.id].state)]
    refuse(
        [
            f"{run.id}: is being trained ({plan.statuses[run.id].detail}); stop that first"
            for run in chosen
            if plan.statuses[run.id].state is State.RUNNING
        ]
    )
    return tuple(chosen)


def anew(plan: Plan, runs: Iterable[RunConfig]) -> list[str]:
    """Ids of those runs that have come to an end: to train them once more is to begin anew."""
    return [run.id for run in runs if plan.statuses[run.id].state in (State.DIVERGED, State.DONE)]


def confirmed(question: str, *, yes: bool) -> bool:
    """Whether what cannot be undone is wanted.

    Raises:
        InputError: nobody is there to be asked.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        raise InputError(f"{question} Nobody is at the terminal to be asked: say --yes")
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")


def remove(pool: str, ids: Iterable[str]) -> list[str]:
    """Removes run directories, but those that a process works on; returns the ids of what it removed."""
    removed = []
    for run_id in ids:
        if is_running(pool, run_id):  # somebody may have begun it while the question was considered
            continue
        folder = Folder(pool) / run_id
        folder.delete(RECORD)  # first: what is half removed must neither count as done nor go on
        (folder / "checkpoint").remove()
        folder.remove()
        removed.append(run_id)
    return removed


@dataclass(frozen=True)
class _Named:
    """A run of which nothing but the name of its directory matters."""

    id: str


def is_running(pool: str, run_id: str) -> bool:
    """Whether a process works on a run of which only the name is known."""
    return RunDirectory(pool, _Named(run_id)).status().state is State.RUNNING  # type: ignore[arg-type]


@dataclass(frozen=True)
class Leftover:
    """A run directory that no study refers to: its bytes, and when it last changed (seconds since 1970)."""

    id: str
    size: int
    changed: float


def leftovers(pool: str, studies: Sequence[tuple[Study, Sequence[RunConfig]]]) -> list[Leftover]:
    """Runs that no study refers to and nobody works on, the largest first.

    Args:
        pool: Where run directories are.
        studies: Whose present state counts for more than what the pool remembers of them.

    Raises:
        InputError: the pool remembers no study, and none is given.
    """
    kept: set[str] = set()
    named = {study.name for study, _ in studies}
    memories = Folder(pool) / STUDIES
    known = [name for name in memories.names() if remembered(pool, name) is not None]
    if not known and not studies:
        raise InputError(f"{pool}: remembers no study, so any run may be of use; name the study files that count")
    for name in known:
        if name not in named:
            memory = remembered(pool, name)
            kept |= {run["id"] for run in memory["runs"]} | set(memory["begin_with"])
    for _, runs in studies:
        kept |= {run.id for run in runs} | set(_begin_with(runs, pool))
    found = []
    for name in Folder(pool).names():
        if RUN_NAME.fullmatch(name) and name not in kept and not is_running(pool, name):
            files = (Folder(pool) / name).files().values()
            found.append(Leftover(name, sum(size for size, _ in files), max((when for _, when in files), default=0.0)))
    return sorted(found, key=lambda leftover: (-leftover.size, leftover.id))


def summary(found: Sequence[Leftover], now: float | None = None) -> list[str]:
    """A line per run that would be removed: its size and age; and a line on them all."""
    now = time.time() if now is None else now
    lines = [
        f"  {one.id}  {_bytes(one.size)}" + (f"  {(now - one.changed) / 86400:.0f} days old" if one.changed else "")
        for one in found
    ]
    total = _bytes(sum(one.size for one in found))
    return [*lines, f"{len(found)} {'run' if len(found) == 1 else 'runs'} that no study refers to: {total}."]


def _bytes(size: int) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def remember(study: Study, runs: Sequence[RunConfig], pool: str) -> None:
    """Writes down in the pool which runs a study refers to, if that is not what stands there."""
    now = {
        "source": study.source,
        "runs": [{"id": r.id, "variant": r.variant, "dataset": r.dataset.name, "seed": r.seed} for r in runs],
        "begin_with": _begin_with(runs, pool),
    }
    before = remembered(pool, study.name)
    if before is None or {key: before.get(key) for key in now} != now:
        when = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
        (Folder(pool) / STUDIES / study.name).write_json(RUNS, {"when": when} | json.loads(json.dumps(now)))


def remembered(pool: str, study: str) -> dict[str, Any] | None:
    """What `remember` wrote of the study of this name; None if nothing.

    Raises:
        InputError: the file is damaged.
    """
    return (Folder(pool) / STUDIES / study).read_json(RUNS)


def _begin_with(runs: Iterable[RunConfig], pool: str) -> list[str]:
    """Runs of the pool whose weights others begin with."""
    head = pool.rstrip("/") + "/"
    places = {run.weights.location for run in runs if run.weights}
    return sorted({place.removeprefix(head).partition("/")[0] for place in places if place.startswith(head)})
