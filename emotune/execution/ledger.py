"""The plan of a study: which runs are done, which are to do, and how long that takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from emotune.pool import Pool
from emotune.run import RunConfig
from emotune.run_directory import State, Status

__all__ = ["Plan", "make_plan"]

TO_DO = (State.MISSING, State.INTERRUPTED, State.FAILED)
"""A failed run is tried again: its cause may be gone. A diverged one would diverge again, and another process has the
running ones."""


@dataclass(frozen=True)
class Plan:
    """The runs of a study in their order, the state of each, and the records of those that are done."""

    runs: tuple[RunConfig, ...]
    statuses: Mapping[str, Status]
    records: tuple[Mapping[str, Any], ...]

    @property
    def to_do(self) -> tuple[RunConfig, ...]:
        """The runs to be trained now, in their order."""
        return tuple(run for run in self.runs if self.statuses[run.id].state in TO_DO)

    def count(self, *states: State) -> int:
        """How many runs are in one of the states."""
        return sum(status.state in states for status in self.statuses.values())

    def estimate_s(self, at_a_time: int) -> float | None:
        """Seconds that the runs to do will take; None before any run has been timed.

        A variant that has not been timed is taken to last as long as the slowest one that has.
        """
        if not self.records:
            return None
        timed: dict[str, list[float]] = {}
        for record in self.records:
            durations_s = record["durations_s"]
            timed.setdefault(record["variant"], []).append(durations_s["train"] + durations_s["test"])
        longest_s = max(fmean(seconds) for seconds in timed.values())
        return sum(fmean(timed.get(run.variant, [longest_s])) for run in self.to_do) / at_a_time


def make_plan(runs: Sequence[RunConfig], pool: str) -> Plan:
    """Looks at the run directories in ``pool``; changes nothing.

    Raises:
        InputError: a file there is damaged, or the pool cannot be reached.
    """
    statuses = Pool(pool).statuses(runs)
    done = [run_id for run_id, status in statuses.items() if status.state is State.DONE]
    return Plan(tuple(runs), statuses, tuple(Pool(pool).records(done).values()))
