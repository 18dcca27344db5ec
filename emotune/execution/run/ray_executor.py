"""Trains runs on Ray Tune: one run is one trial, and its placement group holds the run's whole DDP job."""

import json
import logging
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ray
from ray import cloudpickle, tune
from ray.exceptions import RayTaskError
from ray.tune.execution import class_cache

from emotune.config.other_data import TransferTest
from emotune.config.resources import Resources
from emotune.config.run import RunConfig
from emotune.execution.monitor.observer import RunObserver
from emotune.execution.run.job import RunJob, as_text, run_of
from emotune.execution.run.lost_cluster import LostClusterError
from emotune.execution.run.ray_session import lost_head_explained
from emotune.execution.run.supervisor import RunTrial
from emotune.runs.directory import State, Status
from emotune.runs.store import RunStore

__all__ = ["run_on_ray"]

ATTEMPTS = 4
"""A run has failed once it was lost so many times in a row without progress."""
LOOK_EVERY_S = 3.0
"""Seconds between two checks whether Ray still has a machine."""


class _TuneCallback(tune.Callback, tune.Stopper):
    """Follows Tune's trials: tells the observer, counts lost attempts, and ends the study when it is interrupted."""

    def __init__(self, store: RunStore, observer: RunObserver, stopping: Callable[[], bool]) -> None:
        self._store, self._observer, self._stopping = store, observer, stopping
        self._furthest: dict[str, float] = {}
        self._interrupted: dict[str, Any] | None = None
        self._looked_at = time.monotonic()

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune saves its callbacks; a terminal cannot be saved, and our studies are never restored by Tune

    def on_step_begin(self, iteration: int, trials: list[Any], **_: Any) -> None:
        """Interrupts the trials once the user has asked to stop."""
        if time.monotonic() - self._looked_at > LOOK_EVERY_S:
            self._looked_at = time.monotonic()
            if not any(node["Alive"] for node in ray.nodes()):  # Tune would wait for ever
                raise LostClusterError("Ray has no machine any more: its raylet was killed or its node is gone")
        if self._stopping() and self._interrupted is None:
            self._interrupted = {trial.trial_id: trial for trial in trials if trial.status == "RUNNING"}
            for trial in self._interrupted.values():
                trial.temporary_state.ray_actor.interrupt.remote()

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
        """Interrupts a trial that took the place of one that ended."""
        if self._interrupted is not None:
            trial.temporary_state.ray_actor.interrupt.remote()

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **_: Any) -> None:
        """Tells the observer, and allows the run more lost attempts if it has made progress."""
        if result.get("status"):
            self._observer.on_end(_run_id(trial), result["status"])
        elif progress := result.get("progress"):
            if progress.fraction > self._furthest.get(progress.run_id, 0.0):
                self._furthest[progress.run_id] = progress.fraction
                trial.max_failures = trial.run_metadata.num_failures + ATTEMPTS - 1
            self._observer.on_progress(progress)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
        """Records a run as failed after its last attempt."""
        directory, trains = self._store.directory(run_of(trial.config["job"])), trial.config["job"]["tests"] is None
        if trains and directory.status().state is State.DONE:  # it was lost during its last steps
            self._observer.on_end(_run_id(trial), Status(State.DONE))
            return
        message = f"lost {ATTEMPTS} times without progress; the last time: {_cause(trial)}"
        status = directory.fail(message) if trains else Status(State.FAILED, message)
        self._observer.on_end(_run_id(trial), status)

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Stops no single trial."""
        return False

    def stop_all(self) -> bool:
        """Whether the study is interrupted and all trials that were running have ended; the others need not begin."""
        return self._interrupted is not None and all(trial.status != "RUNNING" for trial in self._interrupted.values())


def run_on_ray(
    runs: Sequence[RunConfig],
    store: RunStore,
    observer: RunObserver,
    resources: Resources,
    *,
    stall_s: float = 900.0,
    stopping: Callable[[], bool] = lambda: False,
    steps: int | None = None,
    tests: Mapping[str, Sequence[TransferTest]] | None = None,
) -> None:
    """Trains runs on the Ray that this process is connected to (`ray_connection`), as many at a time as fit.

    Args:
        runs: The runs to train, begun in this order.
        store: The folder of all run directories; every node of a cluster must reach it.
        observer: The observer that is told how far runs are and how they end.
        resources: The resources of each run.
        stall_s: The seconds without progress after which a run's workers are killed, and it continues in new ones.
        stopping: Called all the time; once it returns True, runs end after their step with a checkpoint.
        steps: The number of steps after which each run is abandoned, to time them; None: runs are completed.
        tests: The tests on other data sets that are made with each of the runs, by its id, in place of training it; a
            test that fails changes nothing. None: runs are trained.

    Raises:
        LostClusterError: Ray is gone.
    """
    jobs = _jobs(runs, store, resources, stall_s, steps, tests)
    callback = _TuneCallback(store, observer, stopping)
    with (
        tempfile.TemporaryDirectory(prefix="emotune-tune-") as scratch,
        _silent_tune(),
        _aws_variables_kept_back(),
        lost_head_explained(),
    ):
        tune.Tuner(
            tune.with_resources(RunTrial, _placement(resources)),
            param_space={"job": tune.grid_search(jobs)},
            tune_config=tune.TuneConfig(
                reuse_actors=True, trial_dirname_creator=_run_id, trial_name_creator=_run_id, num_samples=1
            ),
            run_config=tune.RunConfig(
                name="study",
                storage_path=scratch,
                verbose=0,
                callbacks=[callback],
                stop=callback,
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),  # `train` writes its own
                failure_config=tune.FailureConfig(max_failures=ATTEMPTS - 1),
            ),
        ).fit()


def _jobs(
    runs: Sequence[RunConfig],
    store: RunStore,
    resources: Resources,
    stall_s: float,
    steps: int | None,
    tests: Mapping[str, Sequence[TransferTest]] | None,
) -> list[RunJob]:
    """A job for each run; all have the token of this call."""
    owner, values = secrets.token_hex(8), asdict(resources)
    return [
        RunJob(
            id=run.id,
            run=json.dumps(run.to_json()),
            store=store.url,
            resources=values,
            stall_s=stall_s,
            owner=owner,
            steps=steps,
            tests=None if tests is None else as_text(tests[run.id]),
        )
        for run in runs
    ]


def _placement(resources: Resources) -> tune.PlacementGroupFactory:
    """The resources of a trial: a bundle for each worker, after an empty one for the supervisor.

    The supervisor costs no CPU, so that trials never wait for each other's workers.
    """
    bundle: dict[str, float] = {"CPU": resources.cpus_per_worker}
    if resources.gpus_per_worker:
        bundle["GPU"] = resources.gpus_per_worker
    return tune.PlacementGroupFactory([{}] + [bundle] * resources.workers, strategy="PACK")


@contextmanager
def _silent_tune() -> Iterator[None]:
    """A block in which Tune logs nothing: lost attempts and incomplete trials are reported by our own display."""
    logger = logging.getLogger("ray.tune")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


@contextmanager
def _aws_variables_kept_back() -> Iterator[None]:
    """A block in which Tune does not pass on this process's AWS credentials.

    Ray would write them, readable, into the nodes' logs. A local Ray inherits them anyway; a node of a cluster has its
    own, or a role.
    """
    before = class_cache.ENV_VARS_TO_PROPAGATE
    class_cache.ENV_VARS_TO_PROPAGATE = {name for name in before if not name.startswith("AWS_")}
    try:
        yield
    finally:
        class_cache.ENV_VARS_TO_PROPAGATE = before


def _cause(trial: Any) -> str:
    """The reason why the trial's last attempt was lost, in one line."""
    if not trial.pickled_error_file:
        return Path(trial.error_file).read_text().strip().splitlines()[-1]
    error = cloudpickle.loads(Path(trial.pickled_error_file).read_bytes())
    if isinstance(error, RayTaskError):
        error = error.cause
    return " ".join(str(error).split())[:400]


def _run_id(trial: Any) -> str:
    return trial.config["job"]["id"]
