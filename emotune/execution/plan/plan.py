"""The plan of a study: which runs are done, which are to do, and how long that takes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from types import MappingProxyType
from typing import Any

from emotune.config.run import RunConfig
from emotune.core.storage import Folder
from emotune.runs.directory import RECORD, RESULTS, State, Status
from emotune.runs.record import RunRecord
from emotune.runs.store import RunStore

__all__ = ["Estimate", "Plan", "estimate", "make_plan", "reopen_damaged"]

TO_DO = (State.MISSING, State.INTERRUPTED, State.FAILED, State.DAMAGED)
"""A failed run is tried again: its cause may be gone. A damaged one lacks files: it is not done. A diverged one would
diverge again, and another process has the running ones."""


@dataclass(frozen=True)
class Plan:
    """The runs of a study in their order, the state of each, and the records of those that are done."""

    runs: tuple[RunConfig, ...]
    statuses: Mapping[str, Status]
    records: tuple[RunRecord, ...]

    @property
    def to_do(self) -> tuple[RunConfig, ...]:
        """The runs to be trained now, in their order."""
        return tuple(run for run in self.runs if self.statuses[run.id].state in TO_DO)

    def count(self, *states: State) -> int:
        """How many runs are in one of the states."""
        return sum(status.state in states for status in self.statuses.values())

    def timed_s(self) -> dict[tuple[str, str], float]:
        """Mean seconds of the finished runs, by variant and data set. The A/A variant takes as long as the baseline."""
        work = {run.id: (run.dataset.name, run.model, run.train) for run in self.runs}
        timed: dict[Any, list[float]] = {}
        for record in self.records:
            durations_s = record["durations_s"]
            timed.setdefault(work[record["run"]], []).append(durations_s["train"] + durations_s["test"])
        return {(r.variant, r.dataset.name): fmean(timed[work[r.id]]) for r in self.runs if work[r.id] in timed}


@dataclass(frozen=True)
class Estimate:
    """Seconds that each run to do will take, by its id; and variants that are taken for the slowest one timed."""

    seconds: Mapping[str, float]
    assumed: tuple[str, ...]

    @property
    def hours(self) -> float:
        """Of all runs to do, one after another."""
        return sum(self.seconds.values()) / 3600


def estimate(plan: Plan, probed_s: Mapping[tuple[str, str], float] = MappingProxyType({})) -> Estimate | None:
    """How long the runs to do will take; None before any has been timed.

    Args:
        plan: With the runs to do, and those that were timed in earnest.
        probed_s: Seconds by variant and data set, from a few steps; finished runs count for more.
    """
    timed = {**probed_s, **plan.timed_s()}
    if not timed:
        return None
    slowest_s = max(timed.values())
    places = {run.id: (run.variant, run.dataset.name) for run in plan.to_do}
    assumed = dict.fromkeys(variant for variant, dataset in places.values() if (variant, dataset) not in timed)
    return Estimate({run: timed.get(place, slowest_s) for run, place in places.items()}, tuple(assumed))


def make_plan(runs: Sequence[RunConfig], pool: str) -> Plan:
    """Looks at the run directories in ``pool``; changes nothing.

    Raises:
        InputError: a file of an unfinished run is damaged, or the pool cannot be reached.
    """
    directories = RunStore(pool)
    statuses = directories.statuses(run.id for run in runs)
    done = [run_id for run_id, status in statuses.items() if status.state is State.DONE]
    records, damaged = directories.check_records(done)
    statuses |= {run_id: Status(State.DAMAGED, problem) for run_id, problem in damaged.items()}
    return Plan(tuple(runs), statuses, tuple(records.values()))


def reopen_damaged(plan: Plan, runs: Iterable[RunConfig], pool: str) -> None:
    """Makes those of the runs that are damaged undone, so that they can be trained again.

    What is whole by now, because another process has trained it, stays.
    """
    damaged = [run.id for run in runs if plan.statuses[run.id].state is State.DAMAGED]
    for run_id in RunStore(pool).check_records(damaged)[1]:
        for name in (RECORD, *RESULTS):  # the record first: what is half removed must not count as done
            (Folder(pool) / run_id).delete(name)
