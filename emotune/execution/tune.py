"""Runs on Ray Tune: one trial is one run is one placement group that holds the run's whole DDP job.

The supervisor of a trial (`RunTrial`) holds no CPU and imports no torch. It starts one worker actor per rank, watches
them, and keeps them warm for the next run of the same shape. A lost worker or node is a lost attempt: Tune starts the
trial again and `train` continues from the run directory's checkpoint. An error of the training code is a failed run.
"""

import tempfile
import threading
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import ray
from ray import tune
from ray.tune import Callback
from ray.util import get_current_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from emotune.execution.local import error_text
from emotune.execution.probe import StopAfter
from emotune.execution.progress import RunLines
from emotune.machine import KEEP_FREED_MEMORY
from emotune.run import RunConfig, RunProgress
from emotune.run_directory import RunDirectory, State, Status
from emotune.study import Resources

__all__ = ["run_on_ray"]

POLL_S = 0.5
STOP_S = 20.0
"""Seconds that workers get to finish a step and write a checkpoint when the study is interrupted."""
ATTEMPTS = 4
"""Times a run is begun before a machine that keeps dying counts as its failure."""


class Worker:
    """One rank. An actor; kept for the next run.

    All runs are trained by the same one of its threads: torch's thread count and caches belong to a thread.
    """

    def __init__(self, threads: int) -> None:
        import emotune.training.loop  # noqa: F401  torch, imported once per worker

        self._threads, self._stop, self._progress, self._store = threads, threading.Event(), None, None

    @ray.method(concurrency_group="training")
    def open_store(self) -> tuple[str, int]:
        """Rank 0: opens the place where the ranks meet."""
        from emotune.training.distributed import open_store

        self._store = open_store(ray.util.get_node_ip_address())
        return self._store.host, self._store.port

    @ray.method(concurrency_group="training")
    def run(self, job: dict[str, Any], rank: int, meeting: tuple[str, int] | None) -> Status:
        """Trains the run as one of its ranks; says how it ended."""
        import torch

        from emotune.training.distributed import connect, open_store
        from emotune.training.loop import DivergedError, InterruptedRunError, train

        self._stop.clear()
        self._progress = None
        torch.set_num_threads(self._threads)
        run, resources = RunConfig.from_json(job["run"]), Resources(**job["resources"])
        if meeting and rank:
            self._store = open_store(*meeting)
        try:
            with connect(rank, resources.workers, gpu=resources.gpus_per_worker > 0, store=self._store) as world:
                directory = RunDirectory(job["pool"], run)
                steps, stop = job["steps"], self._stop.is_set
                ask = StopAfter(directory, steps, world.main, stop) if steps else stop
                train(run, directory, world, resources=resources, watch=self._watch, stop=ask)
        except InterruptedRunError as error:
            return Status(State.INTERRUPTED, str(error))
        except DivergedError as error:
            return Status(State.DIVERGED, str(error))
        except Exception as error:  # recorded by the supervisor, whatever it is
            return Status(State.FAILED, error_text(error))
        finally:
            self._store = None
        return Status(State.DONE)

    @ray.method(concurrency_group="watching")
    def progress(self) -> RunProgress | None:
        """How far the current run is."""
        return self._progress

    @ray.method(concurrency_group="watching")
    def interrupt(self) -> None:
        """Asks the current run to stop after its step."""
        self._stop.set()

    def _watch(self, progress: RunProgress) -> None:
        self._progress = progress


class RunTrial(tune.Trainable):
    """Supervises one run; Tune calls `step` until it says ``done``."""

    def setup(self, config: dict[str, Any]) -> None:
        self._workers: list[Any] = []
        self._ranks: list[Any] = []
        self._job = config["job"]

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._ranks, self._job = [], new_config["job"]
        return True

    def step(self) -> dict[str, Any]:
        try:
            if not self._ranks:
                if self._directory().status().state is State.DONE:  # a lost machine finished it before it was lost
                    return self._end(Status(State.DONE))
                self._start()
            ended, running = ray.wait(self._ranks, num_returns=len(self._ranks), timeout=POLL_S)
            statuses = [ray.get(rank) for rank in ended]
            bad = next((status for status in statuses if status.state is not State.DONE), None)
            if bad or not running:
                return self._end(bad or statuses[0])
            return {"done": False, "progress": ray.get(self._workers[0].progress.remote(), timeout=STOP_S)}
        except ray.exceptions.OutOfMemoryError as error:
            return self._end(Status(State.FAILED, f"out of memory: {error}"))
        except (ray.exceptions.RayActorError, ray.exceptions.GetTimeoutError):
            self._kill()
            raise  # a lost machine: Tune begins again, the checkpoint is there

    def cleanup(self) -> None:
        """Called when Tune has no more use for this actor: at the end, or because the study is interrupted."""
        if self._ranks:
            for worker in self._workers:
                worker.interrupt.remote()
            ray.wait(self._ranks, num_returns=len(self._ranks), timeout=STOP_S)
        self._kill()

    def _start(self) -> None:
        count = self._job["resources"]["workers"]
        if not self._workers:
            group = get_current_placement_group()
            threads, gpus = (self._job["resources"][of] for of in ("cpus_per_worker", "gpus_per_worker"))
            # Progress and interrupt are answered while a run goes on.
            actor = ray.remote(concurrency_groups={"training": 1, "watching": 1})(Worker)
            self._workers = [
                actor.options(
                    num_cpus=threads,
                    num_gpus=gpus,
                    runtime_env={"env_vars": KEEP_FREED_MEMORY | {"OMP_NUM_THREADS": str(threads)}},
                    scheduling_strategy=PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=index),
                ).remote(threads)
                for index in range(count)
            ]
        meeting = ray.get(self._workers[0].open_store.remote()) if count > 1 else None
        self._ranks = [worker.run.remote(self._job, rank, meeting) for rank, worker in enumerate(self._workers)]

    def _end(self, status: Status) -> dict[str, Any]:
        self._ranks = []
        if status.state is not State.DONE:
            self._kill()  # the other ranks wait for the one that failed
        if status.state in (State.FAILED, State.DIVERGED):
            self._directory().fail(status.detail, diverged=status.state is State.DIVERGED)
        return {"done": True, "progress": None, "status": status}

    def _directory(self) -> RunDirectory:
        return RunDirectory(self._job["pool"], RunConfig.from_json(self._job["run"]))

    def _kill(self) -> None:
        for worker in self._workers:
            ray.kill(worker)
        self._workers, self._ranks = [], []


class _Show(Callback):
    def __init__(self, lines: RunLines) -> None:
        self._lines = lines

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune saves its callbacks; a terminal cannot be saved, and Tune never restores our studies

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **_: Any) -> None:
        if result.get("status"):
            self._lines.finish(trial.config["job"]["id"], result["status"])
        elif result.get("progress"):
            self._lines.update(result["progress"])


def run_on_ray(
    runs: Sequence[RunConfig], pool: str, lines: RunLines, resources: Resources, *, steps: int | None = None
) -> None:
    """Trains the runs on the Ray that this process is connected to (`ray_connection`), as many at a time as fit.

    Args:
        runs: What to train, begun in this order.
        pool: Where run directories are; on a cluster, every node must reach it.
        lines: Shows progress.
        resources: What each run gets.
        steps: After how many each run is left, to see how long they take; None: when it is done.
    """
    jobs = [_job(run, pool, resources, steps) for run in runs]
    bundle = {"CPU": resources.cpus_per_worker}
    if resources.gpus_per_worker:
        bundle["GPU"] = resources.gpus_per_worker
    # The empty first bundle is the supervisor's: it costs no CPU, so that trials never wait for each other's workers.
    group = tune.PlacementGroupFactory([{}] + [bundle] * resources.workers, strategy="PACK")
    with tempfile.TemporaryDirectory(prefix="emotune-tune-") as scratch:
        tuner = tune.Tuner(
            tune.with_resources(RunTrial, group),
            param_space={"job": tune.grid_search(jobs)},
            tune_config=tune.TuneConfig(
                reuse_actors=True, trial_dirname_creator=_name, trial_name_creator=_name, num_samples=1
            ),
            run_config=tune.RunConfig(
                name="study",
                storage_path=scratch,
                verbose=0,
                callbacks=[_Show(lines)],
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),  # `train` keeps its own
                failure_config=tune.FailureConfig(max_failures=ATTEMPTS - 1),
            ),
        )
        results = tuner.fit()
        for result in results:
            if result.error and result.config:
                run = RunConfig.from_json(result.config["job"]["run"])
                directory = RunDirectory(pool, run)
                if directory.status().state is not State.DONE:
                    directory.fail(f"its workers were lost {ATTEMPTS} times: {result.error}")
                    lines.finish(run.id, directory.status())


def _job(run: RunConfig, pool: str, resources: Resources, steps: int | None) -> dict[str, Any]:
    return {"id": run.id, "run": run.to_json(), "pool": pool, "resources": asdict(resources), "steps": steps}


def _name(trial: Any) -> str:
    return trial.config["job"]["id"]
