"""The supervisor of one run: starts its workers, watches them, and keeps them warm for the next run of the same shape.

It holds no CPU and imports no torch. A lost worker or node, or one that does nothing any more, is a lost attempt: all
workers are killed, Tune begins the trial again, and `train` continues from the run directory's checkpoint. Where a node
is about to go, the run ends after its step, with a checkpoint, before that. An error of the training code is a failed
run.
"""

import contextlib
import os
import time
from typing import Any

import ray
from ray import tune
from ray.util import get_current_placement_group
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy, PlacementGroupSchedulingStrategy

from emotune.config.run import RunConfig
from emotune.core.host import worker_environment
from emotune.core.process_tree import Process, kill_and_wait
from emotune.execution.run.error_messages import failure_text, out_of_memory_text
from emotune.execution.run.node_drain import DrainWatcher
from emotune.execution.run.worker import Worker, WorkerLocation
from emotune.runs.directory import RunDirectory, State, Status
from emotune.runs.progress import RunProgress

__all__ = ["LostAttemptError", "RunTrial"]

POLL_S = 0.5
SETTLE_S = 5.0
"""Seconds in which the cause shows, once a rank has said that another does not answer."""
GO_S = 1.0
"""Seconds in which workers go by themselves, if they can, when Ray tells them to."""
REACH_S = 30.0
"""Seconds in which a node must have killed the workers that are on it."""


class LostAttemptError(RuntimeError):
    """The run's workers are lost, or do nothing any more; it goes on in fresh ones."""


class RunTrial(tune.Trainable):
    """Supervises one run; Tune calls `step` until it says ``done``."""

    def setup(self, config: dict[str, Any]) -> None:
        self._workers: list[Any] = []
        self._places: list[WorkerLocation] = []
        self._stopping = False
        self._departures = DrainWatcher()
        self._take(config["job"])

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._take(new_config["job"])
        return True

    def _take(self, job: dict[str, Any]) -> None:
        self._job, self._ranks, self._asked, self._leaving = job, [], None, ""
        self._progress: RunProgress | None = None
        self._changed = time.monotonic()

    def interrupt(self) -> None:
        """Has the run end after its step, with a checkpoint; one that is not begun does not begin."""
        self._stopping = True
        self._interrupt_workers()

    def _interrupt_workers(self) -> None:
        if self._ranks:
            for worker in self._workers:
                worker.interrupt.remote()

    def step(self) -> dict[str, Any]:
        try:
            if not self._ranks:
                if self._directory().status().state is State.DONE:  # meanwhile, or by an attempt that was lost
                    return self._end(Status(State.DONE), warm=True)
                if self._stopping:
                    return {"done": True}  # not begun: nothing to tell
                self._start()
            ended, running = ray.wait(self._ranks, num_returns=len(self._ranks), timeout=POLL_S)
            bad = self._bad(ended, running)
            if bad or not running:
                status = bad or Status(State.DONE)
                if status.state is State.INTERRUPTED and self._leaving and not self._stopping:
                    raise LostAttemptError(self._leaving)
                return self._end(status, warm=not running and status.state in (State.DONE, State.RUNNING))
            self._look()
            self._leave()
            return {"done": False, "progress": self._progress}
        except ray.exceptions.OutOfMemoryError as error:
            return self._end(Status(State.FAILED, out_of_memory_text(str(error))))
        except LostAttemptError:
            self._kill()
            raise  # Tune begins again, the checkpoint is there
        except (ray.exceptions.RayActorError, ray.exceptions.GetTimeoutError) as error:
            self._kill()
            raise LostAttemptError(f"a worker was lost while it started: {_line(error)}") from None
        except Exception as error:
            return self._end(Status(State.FAILED, failure_text(error, self._directory().folder)))

    def cleanup(self) -> None:
        """Called when Tune has no more use for this actor."""
        self._kill()

    def _start(self) -> None:
        self._changed = time.monotonic()
        count, stall_s = self._job["resources"]["workers"], self._job["stall_s"]
        if not self._workers:
            group = get_current_placement_group()
            threads, gpus = (self._job["resources"][of] for of in ("cpus_per_worker", "gpus_per_worker"))
            # A process with an environment of its own takes longer to start: only where Ray's has not got it.
            missing = {k: v for k, v in worker_environment(threads).items() if os.environ.get(k) != v}
            # Progress and interrupt are answered while a run goes on.
            actor = ray.remote(concurrency_groups={"training": 1, "watching": 1})(Worker)
            self._workers = [
                actor.options(
                    num_cpus=threads,
                    num_gpus=gpus,
                    runtime_env={"env_vars": missing} if missing else None,
                    scheduling_strategy=PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=index),
                ).remote(threads)
                for index in range(count)
            ]
            self._places = ray.get([worker.place.remote() for worker in self._workers], timeout=stall_s)
        meeting = ray.get(self._workers[0].open_store.remote(), timeout=stall_s) if count > 1 else None
        self._ranks = [worker.run.remote(self._job, rank, meeting) for rank, worker in enumerate(self._workers)]

    def _bad(self, ended: list[Any], running: list[Any]) -> Status | None:
        """How the run ended, if not well: one rank's own word counts more than that it is not heard by the others."""
        outcomes = [self._outcome(rank) for rank in ended]
        if running and any(isinstance(outcome, ConnectionError) for outcome in outcomes):
            later, _ = ray.wait(running, num_returns=len(running), timeout=SETTLE_S)
            outcomes += [self._outcome(rank) for rank in later]
        statuses = [outcome for outcome in outcomes if isinstance(outcome, Status) and outcome.state is not State.DONE]
        if statuses:
            return statuses[0]
        lost = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
        if lost:
            raise LostAttemptError(str(min(lost, key=lambda error: isinstance(error, ConnectionError))))
        return None

    def _outcome(self, rank: Any) -> Status | Exception:
        number = self._ranks.index(rank)
        try:
            return ray.get(rank)
        except ray.exceptions.RayActorError as error:
            return LostAttemptError(f"worker {number} ({self._places[number]}) was lost: {_line(error)}")
        except ConnectionError as error:
            return ConnectionError(f"worker {number} ({self._places[number]}) lost the others: {_line(error)}")

    def _look(self) -> None:
        """Asks rank 0 how far it is. Ranks take each step together: if one hangs, all do."""
        if self._asked and ray.wait([self._asked], timeout=0)[0]:
            progress = ray.get(self._asked)
            self._asked = None
            if progress != self._progress:
                self._progress, self._changed = progress, time.monotonic()
        self._asked = self._asked or self._workers[0].progress.remote()
        stall_s = self._job["stall_s"]
        if time.monotonic() - self._changed > stall_s:
            where = f"since {self._progress.fraction:.1%} of the run" if self._progress else "since its start"
            workers = ", ".join(map(str, self._places))
            raise LostAttemptError(f"no progress for {stall_s / 60:.3g} minutes, {where} ({workers})")

    def _leave(self) -> None:
        """Has the run end with a checkpoint if one of its nodes is about to go."""
        going = [place for place in self._places if place.node in self._departures.nodes()]
        if going and not self._leaving:
            self._leaving = f"{going[0].host} is about to go; the run goes on elsewhere from its checkpoint"
            self._interrupt_workers()

    def _end(self, status: Status, *, warm: bool = False) -> dict[str, Any]:
        self._ranks = []
        if not warm:
            self._kill()  # the other ranks may wait for the one that failed
        if status.state in (State.FAILED, State.DIVERGED):
            status = self._directory().fail(status.detail, diverged=status.state is State.DIVERGED)
        return {"done": True, "progress": None, "status": status}

    def _directory(self) -> RunDirectory:
        return RunDirectory(self._job["pool"], RunConfig.from_json(self._job["run"]))

    def _kill(self) -> None:
        """Ends all workers, and returns when their processes are gone: none writes to the run any more.

        Ray calls an actor dead at once, and leaves one that does not answer five more seconds.
        """
        for worker in self._workers:
            ray.kill(worker)
        here = ray.get_runtime_context().get_node_id()
        there: dict[str, list[Process]] = {}
        for place in self._places:
            if place.process:
                there.setdefault(place.node, []).append(place.process)
        kill_and_wait(there.pop(here, []), GO_S)
        tasks = [
            ray.remote(kill_and_wait)
            .options(num_cpus=0, max_retries=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False))
            .remote(processes, GO_S)
            for node, processes in there.items()
        ]
        for task in tasks:
            with contextlib.suppress(ray.exceptions.RayError):  # the node is gone, and they with it
                ray.get(task, timeout=REACH_S)
        self._workers, self._places, self._ranks, self._asked = [], [], [], None


def _line(error: Exception) -> str:
    """An error of Ray in one line."""
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    return " ".join(lines)[:300]
