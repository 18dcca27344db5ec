"""Selecting runs for a rerun, asking for confirmation, and removing run directories."""

import sys
from collections.abc import Callable, Iterable, Sequence

from emotune.config.run import RunConfig
from emotune.core.errors import InputError, raise_if_any
from emotune.execution.plan.plan import Plan
from emotune.runs.directory import CHECKPOINTS, RECORD, State
from emotune.runs.store import RunStore

__all__ = ["confirm", "needs_restart", "remove_runs", "select_reruns"]


def select_reruns(plan: Plan, *, failed: bool, diverged: bool, names: Sequence[str]) -> tuple[RunConfig, ...]:
    """The runs that are to be trained again, in their order.

    Args:
        plan: The plan of the study.
        failed: Whether to include all runs that failed.
        diverged: Whether to include all runs that diverged.
        names: The ids of further runs.

    Raises:
        InputError: Nothing is selected, a name is not a run of the study, or another process trains a selected run.
    """
    if not (failed or diverged or names):
        raise InputError("rerun: name the runs, or give --failed or --diverged (`status` lists them)")
    ids = [run.id for run in plan.runs]
    raise_if_any(
        [f"{name}: is not a run of this study (runs: {', '.join(ids[:3])}, …)" for name in names if name not in ids]
    )
    states = {State.FAILED: failed, State.DIVERGED: diverged}
    selected = [run for run in plan.runs if run.id in names or states.get(plan.statuses[run.id].state)]
    raise_if_any(
        [
            f"{run.id}: is being trained ({plan.statuses[run.id].detail}); stop that process first"
            for run in selected
            if plan.statuses[run.id].state is State.RUNNING
        ]
    )
    return tuple(selected)


def needs_restart(plan: Plan, runs: Iterable[RunConfig]) -> list[str]:
    """The ids of those runs that have ended, so that they can only be trained again from their beginning."""
    return [run.id for run in runs if plan.statuses[run.id].state in (State.DIVERGED, State.DONE)]


def confirm(question: str, *, yes: bool) -> bool:
    """Asks the user to confirm what cannot be undone.

    Args:
        question: The question to print.
        yes: Whether the command line has confirmed it already.

    Raises:
        InputError: stdin is not a terminal.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        raise InputError(f"{question} stdin is not a terminal; pass --yes")
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")


def remove_runs(
    store: RunStore, ids: Iterable[str], is_removable: Callable[[str], bool] = lambda run_id: True
) -> list[str]:
    """Removes run directories, except those of runs that are being trained.

    Args:
        store: The folder of all run directories.
        ids: The ids of the runs.
        is_removable: Called just before each run is removed; False keeps the run.

    Returns:
        The ids of the runs that were removed.
    """
    removed = []
    for run_id in ids:
        # A process may have begun a run while the user considered the question.
        if not is_removable(run_id) or store.status(run_id).state is State.RUNNING:
            continue
        folder = store.folder / run_id
        folder.delete(RECORD)  # first, so that a run that is half removed neither counts as done nor is continued
        (folder / CHECKPOINTS).remove()
        folder.remove()
        removed.append(run_id)
    return removed
