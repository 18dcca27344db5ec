"""Reporting a run's progress and speed to a function."""

import math
import time
from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from emotune.config.run import RunConfig
from emotune.data.read.split_rows import shards_of
from emotune.runs.progress import Phase, RunProgress
from emotune.training.progress import Progress

__all__ = ["ProgressReporter", "RecentRate", "reading_reporter"]

RECENT_S = 20.0
"""The time constant of the rate, in seconds of training: older steps have little weight."""
READING_REPORTED_AFTER_S = 5.0
"""The seconds after which reading is reported; images that are already decoded are opened sooner."""


class RecentRate:
    """The images per second of the latest steps: an average with weights that decay with the time spent in steps."""

    def __init__(self) -> None:
        self._images = self._seconds = 0.0

    def add(self, images: int, seconds: float) -> None:
        """Adds a step on ``images`` images."""
        kept = math.exp(-seconds / RECENT_S)
        self._images, self._seconds = kept * self._images + images, kept * self._seconds + seconds

    @property
    def per_s(self) -> float:
        """The rate in images per second; NaN before the first step."""
        return self._images / self._seconds if self._seconds else math.nan


class ProgressReporter:
    """Calls ``on_progress`` with a run's progress.

    Args:
        run: The run.
        progress: The run's progress, which the training loop updates.
        steps: The number of steps in an epoch.
        on_progress: The function.
    """

    def __init__(
        self, run: RunConfig, progress: Progress, steps: int, on_progress: Callable[[RunProgress], None]
    ) -> None:
        self._run_id, self._epochs = run.id, run.train.epochs  # an id is a digest, which takes longer than a step
        self._progress, self._steps, self._on_progress = progress, steps, on_progress
        self._rate, self._loss, self._lr = RecentRate(), math.nan, math.nan

    def report_step(self, loss: float, lr: float, images: int, seconds: float) -> None:
        """Reports the progress after a step on ``images`` images."""
        self._rate.add(images, seconds)
        self._loss, self._lr = loss, lr
        self.report()

    def report(self, phase: Phase = "training", evaluated: int = 0) -> None:
        """Reports the progress of the run, and how many images were evaluated in this phase."""
        progress, epochs = self._progress, self._epochs
        done, planned = progress.epoch * self._steps + progress.step, epochs * self._steps
        last: Mapping[str, Any] = progress.history[-1] if progress.history else {}
        val_accuracy, val_ccc = last.get("val_accuracy", math.nan), last.get("val_ccc", math.nan)
        self._on_progress(
            RunProgress(
                self._run_id, progress.epoch + bool(progress.step), epochs, done / planned, self._loss, val_accuracy,
                self._rate.per_s, done, planned, phase, evaluated, self._lr, progress.interruptions,
                val_ccc=val_ccc,
            )
        )  # fmt: skip


def reading_reporter(
    run: RunConfig, on_progress: Callable[[RunProgress], None], views: Mapping[str, int] = MappingProxyType({})
) -> Callable[[int], None]:
    """A function that counts images as they are read, and reports their number if reading takes long.

    It does when a machine decodes a data set, or computes features, for its first run.

    Args:
        run: The run.
        on_progress: The function to which the number is reported.
        views: The number of views in which the images of a split are read, by the split's name, unless it is one.
    """
    began, read = time.perf_counter(), 0

    @cache
    def to_read() -> int:
        """The number of images that are read, those of the test after the last step."""
        shards = ((split, shard) for split in run.splits for shard in shards_of(run.dataset, [split]))
        return sum(shard.samples * views.get(split, 1) for split, shard in shards)

    def advance(images: int) -> None:
        nonlocal read
        read += images
        if time.perf_counter() - began > READING_REPORTED_AFTER_S:
            on_progress(
                RunProgress(
                    run.id, 0, run.train.epochs, 0.0, phase="reading", evaluated=read, to_read=max(read, to_read())
                )
            )

    return advance
