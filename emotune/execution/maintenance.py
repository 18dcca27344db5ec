"""Runs that are taken up once more, and what is asked before anything is removed."""

import sys
from collections.abc import Callable, Iterable, Sequence

from emotune.config.run import RunConfig
from emotune.core.errors import InputError, raise_if_any
from emotune.core.storage import Folder
from emotune.execution.plan.plan import Plan
from emotune.runs.directory import RECORD, State
from emotune.runs.store import RunStore

__all__ = ["confirm", "is_running", "needs_restart", "remove_runs", "select_reruns"]


def select_reruns(plan: Plan, *, failed: bool, diverged: bool, names: Sequence[str]) -> tuple[RunConfig, ...]:
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
    raise_if_any(
        [f"{name}: no run of this study (runs: {', '.join(known[:3])}, …)" for name in names if name not in known]
    )
    states = {State.FAILED: failed, State.DIVERGED: diverged}
    chosen = [run for run in plan.runs if run.id in names or states.get(plan.statuses[run.id].state)]
    raise_if_any(
        [
            f"{run.id}: is being trained ({plan.statuses[run.id].detail}); stop that first"
            for run in chosen
            if plan.statuses[run.id].state is State.RUNNING
        ]
    )
    return tuple(chosen)


def needs_restart(plan: Plan, runs: Iterable[RunConfig]) -> list[str]:
    """Ids of those runs that have come to an end: to train them once more is to begin anew."""
    return [run.id for run in runs if plan.statuses[run.id].state in (State.DIVERGED, State.DONE)]


def confirm(question: str, *, yes: bool) -> bool:
    """Whether what cannot be undone is wanted.

    Raises:
        InputError: nobody is there to be asked.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        raise InputError(f"{question} Nobody is at the terminal to be asked: say --yes")
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")


def remove_runs(pool: str, ids: Iterable[str], may_go: Callable[[str], bool] = lambda run_id: True) -> list[str]:
    """Removes run directories, but those that a process works on; returns the ids of what it removed.

    Args:
        pool: Where the directories are.
        ids: Of the runs.
        may_go: Asked once more just before each is removed.
    """
    removed = []
    for run_id in ids:
        if not may_go(run_id) or is_running(pool, run_id):  # somebody may have begun while the question was considered
            continue
        folder = Folder(pool) / run_id
        folder.delete(RECORD)  # first: what is half removed must neither count as done nor go on
        (folder / "checkpoint").remove()
        folder.remove()
        removed.append(run_id)
    return removed


def is_running(pool: str, run_id: str) -> bool:
    """Whether a process works on a run of which only the name is known."""
    return RunStore(pool).status(run_id).state is State.RUNNING
