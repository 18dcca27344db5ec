"""How far and how fast a run is, told to those who watch it."""

import math
import time
from collections.abc import Callable
from functools import partial

from emotune.config.run import RunConfig
from emotune.runs.progress import Phase, RunProgress
from emotune.training.checkpoint import Progress

__all__ = ["ProgressReporter", "RecentRate", "reading_reporter"]

RECENT_S = 20.0
"""Seconds of work after which a step has lost most of its say in the rate."""
READING_TOLD_AFTER_S = 5.0
"""Seconds; images that are decoded already are opened sooner."""


class RecentRate:
    """Images per second of the latest steps: an average whose weights fade with the time worked since."""

    def __init__(self) -> None:
        self._images = self._seconds = 0.0

    def add(self, images: int, seconds: float) -> None:
        """Counts a step."""
        kept = math.exp(-seconds / RECENT_S)
        self._images, self._seconds = kept * self._images + images, kept * self._seconds + seconds

    @property
    def per_s(self) -> float:
        """NaN before the first step."""
        return self._images / self._seconds if self._seconds else math.nan


class ProgressReporter:
    """Calls ``on_progress`` with a run's progress.

    Args:
        run: That goes on.
        progress: Kept by the loop.
        steps: Of an epoch.
        on_progress: Called with the run's progress.
    """

    def __init__(
        self, run: RunConfig, progress: Progress, steps: int, on_progress: Callable[[RunProgress], None]
    ) -> None:
        self._run, self._progress, self._steps, self._on_progress = run, progress, steps, on_progress
        self._rate, self._loss, self._lr = RecentRate(), math.nan, math.nan

    def stepped(self, loss: float, lr: float, images: int, seconds: float) -> None:
        """Tells of a step."""
        self._rate.add(images, seconds)
        self._loss, self._lr = loss, lr
        self.tell()

    def evaluating(self, phase: Phase) -> Callable[[int], None]:
        """What tells how many images are evaluated."""
        return partial(self.tell, phase)

    def tell(self, phase: Phase = "training", evaluated: int = 0) -> None:
        """Tells how far the run is now."""
        progress, epochs = self._progress, self._run.train.epochs
        done, planned = progress.epoch * self._steps + progress.step, epochs * self._steps
        val_accuracy = progress.history[-1]["val_accuracy"] if progress.history else math.nan
        self._on_progress(
            RunProgress(
                self._run.id, progress.epoch + bool(progress.step), epochs, done / planned, self._loss, val_accuracy,
                self._rate.per_s, done, planned, phase, evaluated, self._lr, progress.interruptions,
            )
        )  # fmt: skip


def reading_reporter(run: RunConfig, on_progress: Callable[[RunProgress], None]) -> Callable[[int], None]:
    """Tells how many images are read, if that takes long: a machine decodes a data set for its first run."""
    began, read = time.perf_counter(), 0

    def advance(images: int) -> None:
        nonlocal read
        read += images
        if time.perf_counter() - began > READING_TOLD_AFTER_S:
            on_progress(RunProgress(run.id, 0, run.train.epochs, 0.0, phase="reading", evaluated=read))

    return advance
