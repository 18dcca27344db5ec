"""Runs on Ray Tune: one trial is one run is one placement group that holds the run's whole DDP job."""

import logging
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.execution import class_cache

from emotune.config.resources import Resources
from emotune.config.run import RunConfig
from emotune.execution.monitor.observer import RunObserver
from emotune.execution.run.lost_cluster import LostClusterError, answers
from emotune.execution.run.supervisor import RunTrial
from emotune.runs.directory import RunDirectory, State, Status

__all__ = ["run_on_ray"]

ATTEMPTS = 4
"""Times that a run may be lost without having come further, before that counts as its failure."""
LOOK_EVERY_S = 3.0
"""Seconds between two looks at whether there still is a machine."""


class _Driver(tune.Callback, tune.Stopper):
    """What this process does while Tune runs the trials: shows them, counts lost attempts, ends in good order."""

    def __init__(self, pool: str, observer: RunObserver, stopping: Callable[[], bool]) -> None:
        self._pool, self._observer, self._stopping = pool, observer, stopping
        self._furthest: dict[str, float] = {}
        self._told: dict[str, Any] | None = None
        self._looked = time.monotonic()

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune saves its callbacks; a terminal cannot be saved, and Tune never restores our studies

    def on_step_begin(self, iteration: int, trials: list[Any], **_: Any) -> None:
        if time.monotonic() - self._looked > LOOK_EVERY_S:
            self._looked = time.monotonic()
            if not any(node["Alive"] for node in ray.nodes()):  # Tune would wait for ever
                raise LostClusterError("Ray has no machine any more: its raylet was killed or its node is gone")
        if not self._stopping():
            return
        at_work = {trial.trial_id: trial for trial in trials if trial.status == "RUNNING"}
        if self._told is None:
            self._told = at_work
            for trial in at_work.values():
                trial.temporary_state.ray_actor.interrupt.remote()

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
        if self._told is not None:  # it took the place of one that ended
            trial.temporary_state.ray_actor.interrupt.remote()

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **_: Any) -> None:
        if result.get("status"):
            self._observer.on_end(_name(trial), result["status"])
        elif progress := result.get("progress"):
            if progress.fraction > self._furthest.get(progress.run_id, 0.0):
                self._furthest[progress.run_id] = progress.fraction
                trial.max_failures = trial.run_metadata.num_failures + ATTEMPTS - 1
            self._observer.on_progress(progress)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
        directory = RunDirectory(self._pool, RunConfig.from_json(trial.config["job"]["run"]))
        if directory.status().state is State.DONE:  # it was lost on its last steps
            self._observer.on_end(_name(trial), Status(State.DONE))
            return
        why = f"lost {ATTEMPTS} times without coming further; the last time: {_cause(trial)}"
        self._observer.on_end(_name(trial), directory.fail(why))

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        """Once all runs that were at work have ended; the others need not begin."""
        return self._told is not None and all(trial.status != "RUNNING" for trial in self._told.values())


def run_on_ray(
    runs: Sequence[RunConfig],
    pool: str,
    observer: RunObserver,
    resources: Resources,
    *,
    stall_s: float = 900.0,
    stopping: Callable[[], bool] = lambda: False,
    steps: int | None = None,
) -> None:
    """Trains the runs on the Ray that this process is connected to (`ray_connection`), as many at a time as fit.

    Args:
        runs: What to train, begun in this order.
        pool: Where run directories are; on a cluster, every node must reach it.
        observer: Shows progress.
        resources: What each run gets.
        stall_s: Seconds without progress after which a run's workers are killed, and it goes on in others.
        stopping: Asked all the time; when it says so, runs end after their step with a checkpoint.
        steps: After how many each run is left, to see how long they take; None: when it is done.
    """
    shared = {"pool": pool, "resources": asdict(resources), "stall_s": stall_s, "owner": secrets.token_hex(8),
              "steps": steps}  # fmt: skip
    jobs = [{"id": run.id, "run": run.to_json(), **shared} for run in runs]
    bundle = {"CPU": resources.cpus_per_worker}
    if resources.gpus_per_worker:
        bundle["GPU"] = resources.gpus_per_worker
    # The empty first bundle is the supervisor's: it costs no CPU, so that trials never wait for each other's workers.
    group = tune.PlacementGroupFactory([{}] + [bundle] * resources.workers, strategy="PACK")
    driver = _Driver(pool, observer, stopping)
    with tempfile.TemporaryDirectory(prefix="emotune-tune-") as scratch, _quiet(), _discreet(), _explained():
        tune.Tuner(
            tune.with_resources(RunTrial, group),
            param_space={"job": tune.grid_search(jobs)},
            tune_config=tune.TuneConfig(
                reuse_actors=True, trial_dirname_creator=_name, trial_name_creator=_name, num_samples=1
            ),
            run_config=tune.RunConfig(
                name="study",
                storage_path=scratch,
                verbose=0,
                callbacks=[driver],
                stop=driver,
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),  # `train` keeps its own
                failure_config=tune.FailureConfig(max_failures=ATTEMPTS - 1),
            ),
        ).fit()


@contextmanager
def _explained() -> Iterator[None]:
    """Whatever Ray raises when its head is gone is one thing."""
    head = ray.get_runtime_context().gcs_address
    try:
        yield
    except Exception as error:
        if answers(head):
            raise
        said = (" ".join(str(error).split()) or type(error).__name__)[:200]
        raise LostClusterError(f"Ray's head at {head} does not answer any more ({said})") from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Lost attempts and trials that did not complete are told by us, once."""
    logger = logging.getLogger("ray.tune")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


@contextmanager
def _discreet() -> Iterator[None]:
    """Tune hands AWS credentials of this process on in a way that has Ray write them, readable, into nodes' logs.

    A local Ray inherits them; a node of a cluster has its own, or a role.
    """
    before = class_cache.ENV_VARS_TO_PROPAGATE
    class_cache.ENV_VARS_TO_PROPAGATE = {name for name in before if not name.startswith("AWS_")}
    try:
        yield
    finally:
        class_cache.ENV_VARS_TO_PROPAGATE = before


def _cause(trial: Any) -> str:
    """Why the trial's last attempt was lost, in a line."""
    if not trial.pickled_error_file:
        return Path(trial.error_file).read_text().strip().splitlines()[-1]
    error = ray.cloudpickle.loads(Path(trial.pickled_error_file).read_bytes())
    if isinstance(error, ray.exceptions.RayTaskError):
        error = error.cause
    return " ".join(str(error).split())[:400]


def _name(trial: Any) -> str:
    return trial.config["job"]["id"]
