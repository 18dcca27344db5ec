"""The course of a study that is under way, as its driver sees it: what has ended, what goes on, what is left."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from emotune.config.run import RunConfig
from emotune.runs.directory import State, Status
from emotune.runs.progress import RunProgress

__all__ = ["RunTracker", "TrackedRun"]

SURE_AFTER_S = 2.0
"""Seconds that a run must have been watched before they say how long the rest takes."""


@dataclass
class TrackedRun:
    """A run that goes on: its latest progress, and since when (seconds of the clock) and from where it is watched.

    A lost attempt does not count: ``attempt_since`` and ``attempt_from`` (fraction) are the current one's.
    """

    latest: RunProgress
    since: float
    attempt_since: float
    attempt_from: float

    def whole_s(self, now: float, fraction: float | None = None) -> float | None:
        """Seconds that all of the run takes at this pace; None while that is not known."""
        gained = (self.latest.fraction if fraction is None else fraction) - self.attempt_from
        worked_s = now - self.attempt_since
        return worked_s / gained if gained > 0 and worked_s >= SURE_AFTER_S else None

    def left_s(self, now: float) -> float | None:
        """Seconds until its last step; None while that is not known."""
        whole_s = self.whole_s(now)
        return None if whole_s is None else whole_s * (1 - self.latest.fraction)


class RunTracker:
    """The courses of the runs that are to do.

    Args:
        runs: To do.
        clock: Gives seconds.
    """

    def __init__(self, runs: Sequence[RunConfig], clock: Callable[[], float] = time.monotonic) -> None:
        self._variants, self._clock, self._began = {run.id: run.variant for run in runs}, clock, clock()
        self._first: float | None = None
        self._ended: dict[str, State] = {}
        self._worked_s = 0.0
        self._whole_s: dict[str, list[float]] = {}
        self.active: dict[str, TrackedRun] = {}

    @property
    def now(self) -> float:
        """What the clock says."""
        return self._clock()

    @property
    def elapsed_s(self) -> float:
        """Since the beginning."""
        return self.now - self._began

    @property
    def total(self) -> int:
        """How many runs there are."""
        return len(self._variants)

    def update(self, progress: RunProgress) -> str | None:
        """Takes note of a run's progress; gives a remark where it is that of another attempt than the one before."""
        now, run_id = self.now, progress.run_id
        if run_id in self._ended:
            return None
        self._first = now if self._first is None else self._first
        course = self.active.get(run_id)
        if course is None or course.latest.phase == "reading":
            self.active[run_id] = TrackedRun(progress, now, now, progress.fraction)
            return f"continued from epoch {progress.epoch}" if progress.interruptions else None
        if progress.phase == "reading":  # another attempt, or the test images: it says no step
            return None
        before, course.latest = course.latest, progress
        if progress.interruptions == before.interruptions and progress.step >= before.step:
            return None
        course.attempt_since, course.attempt_from = now, progress.fraction
        again = f"continued from epoch {progress.epoch}" if progress.interruptions else "begun again"
        return f"its worker was lost, {again}"

    def finish(self, run_id: str, status: Status) -> float | None:
        """Takes note of a run's end; gives the seconds that it was watched."""
        self._ended[run_id] = status.state
        if (course := self.active.pop(run_id, None)) is None:
            return None
        now = self.now
        self._worked_s += now - course.since
        whole_s = course.whole_s(now, fraction=1.0)
        if status.state is State.DONE and whole_s is not None:
            self._whole_s.setdefault(self._variant(run_id), []).append(whole_s)
        return now - course.since

    def counts(self) -> Counter[State]:
        """How many runs ended in each state; RUNNING are those in other hands."""
        return Counter(self._ended.values())

    @property
    def waiting(self) -> int:
        """How many runs have not begun."""
        return max(0, self.total - len(self._ended) - len(self.active))

    def _paces(self) -> tuple[dict[str, float], float | None]:
        """Mean seconds of each variant's runs, and of all; None while none is known."""
        now, known = self.now, {variant: list(seconds) for variant, seconds in self._whole_s.items()}
        for run_id, course in list(self.active.items()):
            if (whole_s := course.whole_s(now)) is not None:
                known.setdefault(self._variant(run_id), []).append(whole_s)
        every = [second for seconds in known.values() for second in seconds]
        return {variant: fmean(seconds) for variant, seconds in known.items()}, fmean(every) if every else None

    def left_s(self) -> float | None:
        """Seconds until all runs have ended, side by side as they went so far; None while that is not known."""
        now, active = self.now, dict(self.active)
        to_do_s = longest_s = 0.0
        paces, usual = self._paces()
        for run_id, variant in self._variants.items():
            if run_id in self._ended:
                continue
            if (pace := paces.get(variant, usual)) is None:
                return None
            left_s = pace * (1 - active[run_id].latest.fraction if run_id in active else 1)
            to_do_s, longest_s = to_do_s + left_s, max(longest_s, left_s)
        worked_s = self._worked_s + sum(now - course.since for course in active.values())
        if self._first is None or worked_s <= 0:
            return 0.0 if not to_do_s else None
        return max(longest_s, to_do_s * (now - self._first) / worked_s)

    def _variant(self, run_id: str) -> str:
        return self._variants.get(run_id, run_id)
