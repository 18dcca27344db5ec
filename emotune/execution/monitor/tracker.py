"""Tracks the runs of a study while they are trained: how many have ended, and how long the rest will take."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from emotune.config.run import RunConfig
from emotune.runs.directory import State, Status
from emotune.runs.progress import RunProgress

__all__ = ["RunTracker", "TrackedRun"]

OBSERVED_S = 2.0
"""Minimum seconds of observation before a run's duration is estimated."""


@dataclass
class TrackedRun:
    """A run that is being trained.

    A lost attempt does not count for the estimates.

    Attributes:
        latest: The run's latest progress.
        since: The clock's seconds when the run was first observed.
        attempt_since: The clock's seconds when the current attempt was first observed.
        attempt_from: The fraction of the run that was done at that moment.
    """

    latest: RunProgress
    since: float
    attempt_since: float
    attempt_from: float

    def whole_s(self, now: float, fraction: float | None = None) -> float | None:
        """The seconds that the whole run takes at its pace so far; None while that is not known.

        Args:
            now: The clock's seconds.
            fraction: The fraction of the run that is done; None: that of its latest progress.
        """
        gained = (self.latest.fraction if fraction is None else fraction) - self.attempt_from
        observed_s = now - self.attempt_since
        return observed_s / gained if gained > 0 and observed_s >= OBSERVED_S else None

    def left_s(self, now: float) -> float | None:
        """The seconds until the run's last step; None while that is not known."""
        whole_s = self.whole_s(now)
        return None if whole_s is None else whole_s * (1 - self.latest.fraction)


class RunTracker:
    """The progress of all runs that are going to be trained.

    Args:
        runs: The runs that are going to be trained.
        clock: A function that returns seconds.

    Attributes:
        active: The runs that are being trained, by their ids.
    """

    def __init__(self, runs: Sequence[RunConfig], clock: Callable[[], float] = time.monotonic) -> None:
        self._variants, self._clock, self._began = {run.id: run.variant for run in runs}, clock, clock()
        self._first_progress: float | None = None
        self._ended: dict[str, State] = {}
        self._worked_s = 0.0
        self._whole_s: dict[str, list[float]] = {}
        self.active: dict[str, TrackedRun] = {}

    @property
    def now(self) -> float:
        """The clock's seconds."""
        return self._clock()

    @property
    def elapsed_s(self) -> float:
        """The seconds since the tracker was made."""
        return self.now - self._began

    @property
    def total(self) -> int:
        """The number of runs."""
        return len(self._variants)

    def update(self, progress: RunProgress) -> str | None:
        """Records a run's progress; returns a remark if the run has been continued or begun again."""
        now, run_id = self.now, progress.run_id
        if run_id in self._ended:
            return None
        self._first_progress = now if self._first_progress is None else self._first_progress
        tracked = self.active.get(run_id)
        if tracked is None or (tracked.latest.phase == "reading" and not tracked.latest.step):
            since = now if tracked is None else tracked.since
            # What takes no steps begins at its first sign of life, however much of it seems to be done by then.
            begun_at = progress.fraction if progress.step or progress.interruptions else 0.0
            self.active[run_id] = TrackedRun(progress, since, now, begun_at)
            return f"continued from epoch {progress.epoch}" if progress.interruptions else None
        if progress.phase == "reading":  # a new attempt, or the test images: it does not know the steps
            tracked.latest = replace(
                tracked.latest, phase="reading", evaluated=progress.evaluated, to_read=progress.to_read
            )
            return None
        before, tracked.latest = tracked.latest, progress
        if progress.interruptions == before.interruptions and progress.step >= before.step:
            return None
        tracked.attempt_since, tracked.attempt_from = now, progress.fraction
        again = f"continued from epoch {progress.epoch}" if progress.interruptions else "begun again"
        return f"its worker was lost, {again}"

    def finish(self, run_id: str, status: Status) -> float | None:
        """Records a run's end; returns the seconds that it was observed, None if it was not."""
        self._ended[run_id] = status.state
        if (tracked := self.active.pop(run_id, None)) is None:
            return None
        now = self.now
        self._worked_s += now - tracked.since
        whole_s = tracked.whole_s(now, fraction=1.0)
        if status.state is State.DONE and whole_s is not None:
            self._whole_s.setdefault(self._variant(run_id), []).append(whole_s)
        return now - tracked.since

    def counts(self) -> Counter[State]:
        """The number of runs that ended in each state; RUNNING counts those that other processes train."""
        return Counter(self._ended.values())

    @property
    def waiting(self) -> int:
        """The number of runs that have not begun."""
        return max(0, self.total - len(self._ended) - len(self.active))

    def left_s(self) -> float | None:
        """The seconds until all runs have ended, if as many are trained at a time as so far; None while not known."""
        now, active = self.now, dict(self.active)
        to_do_s = longest_s = 0.0
        by_variant, overall = self._mean_durations_s()
        for run_id, variant in self._variants.items():
            if run_id in self._ended:
                continue
            if (whole_s := by_variant.get(variant, overall)) is None:
                return None
            left_s = whole_s * (1 - active[run_id].latest.fraction if run_id in active else 1)
            to_do_s, longest_s = to_do_s + left_s, max(longest_s, left_s)
        worked_s = self._worked_s + sum(now - tracked.since for tracked in active.values())
        if self._first_progress is None or worked_s <= 0:
            return 0.0 if not to_do_s else None
        return max(longest_s, to_do_s * (now - self._first_progress) / worked_s)

    def _mean_durations_s(self) -> tuple[dict[str, float], float | None]:
        """The mean seconds of each variant's runs, and of all runs; None while none is known."""
        now = self.now
        durations_s = {variant: list(seconds) for variant, seconds in self._whole_s.items()}
        for run_id, tracked in list(self.active.items()):
            if (whole_s := tracked.whole_s(now)) is not None:
                durations_s.setdefault(self._variant(run_id), []).append(whole_s)
        every = [second for seconds in durations_s.values() for second in seconds]
        return {variant: fmean(seconds) for variant, seconds in durations_s.items()}, fmean(every) if every else None

    def _variant(self, run_id: str) -> str:
        return self._variants.get(run_id, run_id)
