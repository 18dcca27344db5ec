"""Estimates how long runs take from a few steps of each variant that has not been timed yet (``--time-steps``)."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from statistics import fmean, median
from tempfile import TemporaryDirectory
from typing import Protocol, TypedDict
from uuid import uuid4

from emotune.config.baselines import handmade_sets
from emotune.config.network import NetworkConfig
from emotune.config.run import RunConfig
from emotune.data.datasets.counts import images_in
from emotune.data.manifest import SPLITS
from emotune.execution.plan.plan import Plan, make_plan
from emotune.runs.directory import RunDirectory
from emotune.runs.store import RunStore
from emotune.training.handmade_worker import IMAGES_A_LINE

__all__ = ["STEPS", "StepTimer", "time_steps", "untimed"]

STEPS = 20
"""Number of steps that are timed."""
STEP_TIMES = "probe.json"
STOP_EVERY_IMAGES = 50
"""Number of images after which a model that is not trained in steps asks whether to stop."""
FORWARD_SHARE = 1 / 3
"""Share of a training step that its forward pass takes; the backward pass costs about twice as much."""


class _StepTimes(TypedDict):
    """The seconds of each step of a run that was timed."""

    step_s: list[float]


class StepTimer:
    """The ``stop`` function of `emotune.training.loop.train` that stops after some steps, and records their times.

    Args:
        directory: The run's directory.
        steps: The number of steps.
        is_main: Whether this rank writes files.
        stopped: Another function that may ask to stop.
    """

    def __init__(self, directory: RunDirectory, steps: int, is_main: bool, stopped: Callable[[], bool]) -> None:
        self._folder, self._steps, self._is_main, self._stopped = directory.folder, steps, is_main, stopped
        self._ends: list[float] = []

    def __call__(self) -> bool:
        self._ends.append(time.perf_counter())
        if len(self._ends) < self._steps:
            return self._stopped()
        if self._is_main:
            seconds = [after - before for before, after in zip(self._ends, self._ends[1:], strict=False)]
            self._folder.write_json(STEP_TIMES, _StepTimes(step_s=seconds))
        return True


class TrainSteps(Protocol):
    """A function that trains a number of steps of each run, into a folder of run directories."""

    def __call__(self, runs: Sequence[RunConfig], store: RunStore, steps: int) -> object:
        """Trains the runs."""


def untimed(plan: Plan) -> list[RunConfig]:
    """The first run to do of each variant and data set of which no run has been timed."""
    timed = plan.measured_durations()
    first = {(run.variant, run.dataset.whole): run for run in reversed(plan.to_do)}
    return [run for key, run in reversed(first.items()) if key not in timed]


def time_steps(
    runs: Sequence[RunConfig], store: RunStore, train: TrainSteps, *, shared: bool
) -> tuple[dict[tuple[str, str], float], list[str]]:
    """Trains a few steps of each run in a scratch folder.

    Args:
        runs: One run for each variant and data set.
        store: The folder of all run directories; if ``shared``, the scratch folder is in it.
        train: The function that trains the steps.
        shared: Whether other machines train, which must reach the scratch folder.

    Returns:
        The seconds that one run will take, by variant and data set; and a line for each run that could not be timed.
    """
    with _scratch_folder(store, shared) as scratch:
        train(runs, scratch, STEPS)
        plan = make_plan(runs, scratch)
        seconds, notes = plan.measured_durations(), []  # a run of so few steps is done
        for run in runs:
            key = (run.variant, run.dataset.whole)
            times: _StepTimes | None = scratch.directory(run).folder.read_json(STEP_TIMES)
            if times is not None and key not in seconds:
                seconds[key] = _run_s(run, times)
            elif key not in seconds:
                status = plan.statuses[run.id]
                notes.append(f"{run.variant}: could not be timed: {status.state.value} {status.reason}")
    return seconds, notes


def _run_s(run: RunConfig, times: _StepTimes) -> float:
    """The seconds of the whole run. The median leaves out the first steps, which are slow, and pauses of epochs."""
    step_s, train = median(times["step_s"]), run.train
    images = {split: images_in(run.dataset, split) for split in SPLITS}
    if sets := len(handmade_sets(run.model)):  # it may compute them for all runs; how long fitting takes is not known
        return fmean(times["step_s"]) / IMAGES_A_LINE * sets * sum(images.values())
    if not isinstance(run.model, NetworkConfig):  # it reads each image once; how long fitting takes is not known
        return step_s / STOP_EVERY_IMAGES * sum(images.values())
    image_s = step_s / min(train.batch_size, images["train"])
    tests = 0 if run.tuning else 1 + (train.epochs if run.test_curve else 0)
    evaluated = train.epochs * images["val"] + tests * train.test_crops * images["test"]
    return image_s * (train.epochs * images["train"] + FORWARD_SHARE * evaluated)


@contextmanager
def _scratch_folder(store: RunStore, shared: bool) -> Iterator[RunStore]:
    if not shared:
        with TemporaryDirectory(prefix="emotune-probe-") as temporary:
            yield RunStore(temporary)
        return
    folder = store.folder / f".probe-{uuid4().hex[:8]}"
    try:
        yield RunStore(str(folder))
    finally:
        folder.remove()
