"""How long runs will take, from a few steps of each variant that has not been timed yet."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Protocol
from uuid import uuid4

from emotune.config.model import NetworkConfig
from emotune.config.run import RunConfig
from emotune.core.storage import Folder
from emotune.data.datasets.location import manifest_of
from emotune.execution.plan.plan import Plan, make_plan
from emotune.runs.directory import RunDirectory

__all__ = ["STEPS", "StepTimer", "time_steps", "untimed"]

STEPS = 20
STEP_TIMES = "probe.json"
BATCH = 50
"""Images between two questions whether to stop, of a model that is fitted at once."""
FORWARD_SHARE = 1 / 3
"""Of a training step: the way back costs about twice the way there."""


class StepTimer:
    """``stop`` of `emotune.training.loop.train`: says so after a number of steps, and keeps how long each took.

    Args:
        directory: The run's.
        steps: After how many.
        main: Whether this rank writes.
        stopped: What else may ask to stop.
    """

    def __init__(self, directory: RunDirectory, steps: int, main: bool, stopped: Callable[[], bool]) -> None:
        self._folder, self._steps, self._main, self._stopped = directory.folder, steps, main, stopped
        self._ends: list[float] = []

    def __call__(self) -> bool:
        self._ends.append(time.perf_counter())
        if len(self._ends) < self._steps:
            return self._stopped()
        if self._main:
            seconds = [after - before for before, after in zip(self._ends, self._ends[1:], strict=False)]
            self._folder.write_json(STEP_TIMES, {"step_s": seconds})
        return True


class Executor(Protocol):
    """Trains a number of steps of each run into a pool."""

    def __call__(self, runs: Sequence[RunConfig], pool: str, steps: int) -> None: ...


def untimed(plan: Plan) -> list[RunConfig]:
    """The first run to do of each variant and data set of which none has been timed."""
    timed = plan.timed_s()
    found = {(run.variant, run.dataset.name): run for run in reversed(plan.to_do)}
    return [run for place, run in reversed(found.items()) if place not in timed]


def time_steps(
    runs: Sequence[RunConfig], pool: str, execute: Executor, *, shared: bool
) -> tuple[dict[tuple[str, str], float], list[str]]:
    """Trains a few steps of each run, of which nothing stays.

    Args:
        runs: One per variant and data set.
        pool: Where runs are kept; these few steps are beneath it while they last, if ``shared``.
        execute: Trains them.
        shared: Whether other machines train, which must reach the place; else it is a temporary folder.

    Returns:
        Seconds that a run will take, by variant and data set; and a line for each that could not be tried.
    """
    with _scratch(pool, shared) as scratch:
        execute(runs, scratch, STEPS)
        plan = make_plan(runs, scratch)
        seconds, notes = plan.timed_s(), []  # so few steps that the run is done
        for run in runs:
            place = (run.variant, run.dataset.name)
            times = RunDirectory(scratch, run).folder.read_json(STEP_TIMES)
            if times is not None and place not in seconds:
                seconds[place] = _run_s(run, times)
            elif place not in seconds:
                status = plan.statuses[run.id]
                notes.append(f"{run.variant}: a few steps could not be tried: {status.state.value} {status.reason}")
    return seconds, notes


def _run_s(run: RunConfig, times: Mapping[str, Any]) -> float:
    """Of the whole run. The median leaves out the first steps, which are slow, and pauses between epochs."""
    manifest, train = manifest_of(run.dataset), run.train
    images = {split: _count(manifest, split, run) for split in ("train", "val", "test")}
    if not isinstance(run.model, NetworkConfig):  # looks at each image once; how long it then thinks is not known
        return median(times["step_s"]) / BATCH * sum(images.values())
    image_s = median(times["step_s"]) / min(train.batch_size, images["train"])
    tests = 1 + (train.epochs if run.test_curve else 0)
    evaluated = train.epochs * images["val"] + tests * train.test_crops * images["test"]
    return image_s * (train.epochs * images["train"] + FORWARD_SHARE * evaluated)


def _count(manifest: Any, split: str, run: RunConfig) -> int:
    return sum(manifest.count(split, label, run.dataset.part) for label in manifest.classes)


@contextmanager
def _scratch(pool: str, shared: bool) -> Iterator[str]:
    if not shared:
        with TemporaryDirectory(prefix="emotune-probe-") as folder:
            yield folder
        return
    folder = Folder(pool) / f".probe-{uuid4().hex[:8]}"
    try:
        yield str(folder)
    finally:
        folder.remove()
