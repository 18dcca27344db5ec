"""The plan of a study: the state of each run, the runs that are to be trained, and how long that takes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from types import MappingProxyType
from typing import TYPE_CHECKING

from emotune.config.run import RunConfig
from emotune.runs.directory import RECORD, RESULTS, State
from emotune.runs.store import RunStates, RunStore

if TYPE_CHECKING:
    from emotune.analysis.looks import DatasetLooks

__all__ = ["Durations", "Estimate", "Plan", "estimate", "make_plan", "reopen_damaged"]

TO_DO = (State.MISSING, State.INTERRUPTED, State.FAILED, State.DAMAGED)
"""The states in which a run is to be trained.

A failed run is tried again, since the cause may be gone; a damaged run lacks files, so it is not done. A diverged run
would diverge again, and a running one is trained by another process.
"""

Durations = Mapping[tuple[str, str], float]
"""The seconds that one run takes, by variant and data set, of which all divisions take the same time."""


@dataclass(frozen=True)
class Plan(RunStates):
    """The states of a study's runs, and what follows from them.

    Attributes:
        looks: The looks that adaptive seeds have reached on each data set; the plan's ``runs`` are then those needed
            as of now. Empty for a fixed number of seeds.
        later: The further runs that it may need, if open contrasts are not resolved earlier.
    """

    looks: "tuple[DatasetLooks, ...]" = ()
    later: tuple[RunConfig, ...] = ()

    @property
    def to_do(self) -> tuple[RunConfig, ...]:
        """The runs that are to be trained, in their order."""
        return tuple(run for run in self.runs if self.statuses[run.id].state in TO_DO)

    @property
    def may_train(self) -> tuple[RunConfig, ...]:
        """The runs that are to be trained, and those that may follow."""
        return self.to_do + self.later

    @property
    def looks_reached(self) -> int:
        """The number of looks on all data sets whose runs have ended."""
        return sum(len(one.reached) for one in self.looks)

    def count(self, *states: State) -> int:
        """The number of runs in one of these states."""
        return sum(status.state in states for status in self.statuses.values())

    def measured_durations(self) -> dict[tuple[str, str], float]:
        """The mean seconds of the finished runs, by variant and data set.

        The A/A variant takes as long as the baseline.
        """
        workloads = {run.id: (run.dataset.whole, run.model, run.train) for run in self.runs}
        seconds: dict[object, list[float]] = {}
        for record in self.records.values():
            durations_s = record["durations_s"]
            seconds.setdefault(workloads[record["run"]], []).append(durations_s["train"] + durations_s["test"])
        of_variant: dict[tuple[str, str], dict[object, None]] = {}  # tuned runs have several workloads
        for run in self.runs:
            if workloads[run.id] in seconds:
                of_variant.setdefault((run.variant, run.dataset.whole), {})[workloads[run.id]] = None
        return {key: fmean([one for work in works for one in seconds[work]]) for key, works in of_variant.items()}


@dataclass(frozen=True)
class Estimate:
    """How long the runs to do will take.

    Attributes:
        seconds: The seconds of each run to do, by its id.
        assumed: The variants that have not been timed, and are assumed to be as slow as the slowest one.
        later_hours: The hours of all runs that may follow, one after another.
    """

    seconds: Mapping[str, float]
    assumed: tuple[str, ...]
    later_hours: float = 0.0

    @property
    def hours(self) -> float:
        """The hours of all runs to do, one after another."""
        return sum(self.seconds.values()) / 3600


def estimate(plan: Plan, from_steps: Durations = MappingProxyType({})) -> Estimate | None:
    """How long the runs to do will take; None if none has been timed.

    Args:
        plan: The plan of the study.
        from_steps: The durations that were estimated from a few steps; those of finished runs are preferred.
    """
    timed = {**from_steps, **plan.measured_durations()}
    if not timed:
        return None
    slowest_s = max(timed.values())
    keys = {run.id: (run.variant, run.dataset.whole) for run in plan.to_do}
    assumed = dict.fromkeys(variant for variant, dataset in keys.values() if (variant, dataset) not in timed)
    later_s = sum(timed.get((run.variant, run.dataset.whole), slowest_s) for run in plan.later)
    seconds = {run_id: timed.get(key, slowest_s) for run_id, key in keys.items()}
    return Estimate(seconds, tuple(assumed), later_s / 3600)


def make_plan(runs: Sequence[RunConfig], store: RunStore) -> Plan:
    """The plan that follows from the files in the run directories; changes nothing.

    Args:
        runs: The runs of the study.
        store: The folder of all run directories.

    Raises:
        InputError: A file of an unfinished run is damaged, or the folder cannot be reached.
    """
    states = store.states(runs)
    return Plan(states.store, states.runs, states.statuses, states.records)


def reopen_damaged(plan: Plan, runs: Iterable[RunConfig]) -> None:
    """Removes the results of those of the runs that are damaged, so that they can be trained again.

    A run that another process has completed meanwhile is kept.

    Args:
        plan: The plan of the study.
        runs: The runs that are going to be trained.
    """
    damaged = [run.id for run in runs if plan.statuses[run.id].state is State.DAMAGED]
    for run_id in plan.store.check_records(damaged)[1]:
        for name in (RECORD, *RESULTS):  # the record first, so that a run that is half removed does not count as done
            (plan.store.folder / run_id).delete(name)
