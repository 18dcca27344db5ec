"""The supervisor of one run: starts its workers, watches them, and keeps them for the next run of the same shape.

It holds no CPU and imports no torch. A lost worker or node, or a worker without progress, is a lost attempt: all
workers are killed, Tune begins the trial again, and `train` continues from the run directory's checkpoint. If a node is
drained, the run stops after its step with a checkpoint and continues elsewhere. An error of the training code is a
failed run.
"""

import contextlib
import os
import time
from typing import Any

import ray
from ray import tune
from ray.exceptions import GetTimeoutError, OutOfMemoryError, RayActorError, RayError
from ray.util import get_current_placement_group
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy, PlacementGroupSchedulingStrategy

from emotune.core.host import worker_environment
from emotune.core.process_tree import Process, kill_and_wait
from emotune.execution.run.error_messages import failure_text, out_of_memory_text
from emotune.execution.run.job import RunJob, run_of
from emotune.execution.run.node_drain import DrainWatcher
from emotune.execution.run.worker import Worker, WorkerLocation
from emotune.runs.directory import RunDirectory, State, Status
from emotune.runs.progress import RunProgress

__all__ = ["LostAttemptError", "RunTrial"]

POLL_S = 0.5
SETTLE_S = 5.0
"""Seconds to wait for the cause, once a rank has reported that another does not answer."""
EXIT_TIMEOUT_S = 1.0
"""Seconds that workers get to exit by themselves when Ray tells them to."""
NODE_TIMEOUT_S = 30.0
"""Seconds that a node gets to kill the workers on it."""


class LostAttemptError(RuntimeError):
    """The run's workers are lost, or make no progress any more; the run continues in new workers."""


class RunTrial(tune.Trainable):
    """Supervises one run; Tune calls `step` until it returns ``done``."""

    def setup(self, config: dict[str, Any]) -> None:
        """Called by Tune before the first run."""
        self._workers: list[Any] = []
        self._locations: list[WorkerLocation] = []
        self._stopping = False
        self._drains = DrainWatcher()
        self._begin(config["job"])

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Called by Tune before each further run."""
        self._begin(new_config["job"])
        return True

    def _begin(self, job: RunJob) -> None:
        self._job, self._leaving = job, ""
        self._ranks: list[ray.ObjectRef] = []
        self._progress_reply: ray.ObjectRef | None = None
        self._progress: RunProgress | None = None
        self._progress_at = time.monotonic()

    def interrupt(self) -> None:
        """Asks the run to stop after its step, with a checkpoint; a run that has not begun does not begin."""
        self._stopping = True
        self._interrupt_workers()

    def _interrupt_workers(self) -> None:
        if self._ranks:
            for worker in self._workers:
                worker.interrupt.remote()

    def step(self) -> dict[str, Any]:
        """Watches the run for a moment; returns its progress, or ``done`` and its status.

        Raises:
            LostAttemptError: The workers were lost; Tune begins the trial again.
        """
        try:
            return self._step()
        except OutOfMemoryError as error:
            return self._end(Status(State.FAILED, out_of_memory_text(str(error))))
        except LostAttemptError:
            self._kill()
            raise
        except (RayActorError, GetTimeoutError) as error:
            self._kill()
            raise LostAttemptError(f"a worker was lost while it started: {_one_line(error)}") from None
        except Exception as error:
            return self._end(Status(State.FAILED, failure_text(error, self._directory().folder)))

    def _step(self) -> dict[str, Any]:
        if not self._ranks:
            if (
                self._trains and self._directory().status().state is State.DONE
            ):  # by another process, or by an attempt that was lost
                return self._end(Status(State.DONE), keep_workers=True)
            if self._stopping:
                return {"done": True}  # the run has not begun, so there is no status
            self._start()
        ended, running = ray.wait(self._ranks, num_returns=len(self._ranks), timeout=POLL_S)
        problem = self._problem(ended, running)
        if problem or not running:
            status = problem or Status(State.DONE)
            if status.state is State.INTERRUPTED and self._leaving and not self._stopping:
                raise LostAttemptError(self._leaving)
            return self._end(status, keep_workers=not running and status.state in (State.DONE, State.RUNNING))
        self._check_progress()
        self._leave_drained_nodes()
        return {"done": False, "progress": self._progress}

    def cleanup(self) -> None:
        """Called by Tune when it has no more use for this actor."""
        self._kill()

    def _start(self) -> None:
        self._progress_at = time.monotonic()
        count, stall_s = self._job["resources"]["workers"], self._job["stall_s"]
        if not self._workers:
            group = get_current_placement_group()
            if group is None:
                raise RuntimeError("a trial runs in a placement group")
            threads, gpus = (self._job["resources"][name] for name in ("cpus_per_worker", "gpus_per_worker"))
            # A process with its own environment takes longer to start: only if Ray's environment lacks something.
            missing = {k: v for k, v in worker_environment(threads).items() if os.environ.get(k) != v}
            # Two groups, so that a worker tells its progress and can be interrupted while it trains.
            remote: Any = ray.remote  # its stubs lack this argument
            actor = remote(concurrency_groups={"training": 1, "watching": 1})(Worker)
            self._workers = [
                actor.options(
                    num_cpus=threads,
                    num_gpus=gpus,
                    runtime_env={"env_vars": missing} if missing else None,
                    scheduling_strategy=PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=index),
                ).remote(threads)
                for index in range(count)
            ]
            self._locations = ray.get([worker.location.remote() for worker in self._workers], timeout=stall_s)
        address = ray.get(self._workers[0].open_rendezvous.remote(), timeout=stall_s) if count > 1 else None
        self._ranks = [worker.run.remote(self._job, rank, address) for rank, worker in enumerate(self._workers)]

    def _problem(self, ended: list[ray.ObjectRef], running: list[ray.ObjectRef]) -> Status | None:
        """How the run ended, unless all ranks that ended are done.

        A rank's own status counts more than another rank's report that the connection to it was lost.

        Raises:
            LostAttemptError: A rank was lost, and no other one says why.
        """
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

    def _outcome(self, rank: ray.ObjectRef) -> Status | Exception:
        number = self._ranks.index(rank)
        try:
            return ray.get(rank)
        except RayActorError as error:
            return LostAttemptError(f"worker {number} ({self._locations[number]}) was lost: {_one_line(error)}")
        except ConnectionError as error:
            return ConnectionError(f"worker {number} ({self._locations[number]}) lost the others: {_one_line(error)}")

    def _check_progress(self) -> None:
        """Asks rank 0 how far it is. Ranks take each step together, so if one hangs, all do.

        Raises:
            LostAttemptError: There was no progress for too long.
        """
        if self._progress_reply and ray.wait([self._progress_reply], timeout=0)[0]:
            progress = ray.get(self._progress_reply)
            self._progress_reply = None
            if progress != self._progress:
                self._progress, self._progress_at = progress, time.monotonic()
        self._progress_reply = self._progress_reply or self._workers[0].progress.remote()
        stall_s = self._job["stall_s"]
        if time.monotonic() - self._progress_at > stall_s:
            since = f"since {self._progress.fraction:.1%} of the run" if self._progress else "since its start"
            workers = ", ".join(map(str, self._locations))
            raise LostAttemptError(f"no progress for {stall_s / 60:.3g} minutes, {since} ({workers})")

    def _leave_drained_nodes(self) -> None:
        """Asks the run to stop with a checkpoint if one of its nodes is being drained."""
        draining = [place for place in self._locations if place.node in self._drains.draining_nodes()]
        if draining and not self._leaving:
            self._leaving = f"{draining[0].host} is being drained; the run continues elsewhere from its checkpoint"
            self._interrupt_workers()

    def _end(self, status: Status, *, keep_workers: bool = False) -> dict[str, Any]:
        self._ranks = []
        if not keep_workers:
            self._kill()  # the other ranks may wait for the one that failed
        if self._trains and status.state in (State.FAILED, State.DIVERGED):
            status = self._directory().fail(status.detail, diverged=status.state is State.DIVERGED)
        return {"done": True, "progress": None, "status": status}

    @property
    def _trains(self) -> bool:
        """Whether the run is trained, and not a finished one tested."""
        return self._job["tests"] is None

    def _directory(self) -> RunDirectory:
        return RunDirectory(self._job["store"], run_of(self._job))

    def _kill(self) -> None:
        """Kills all workers, and returns when their processes are gone, so that none writes to the run any more.

        Ray calls an actor dead at once, but gives a process that does not answer five more seconds.
        """
        for worker in self._workers:
            ray.kill(worker)
        here = ray.get_runtime_context().get_node_id()
        by_node: dict[str, list[Process]] = {}
        for location in self._locations:
            if location.process:
                by_node.setdefault(location.node, []).append(location.process)
        kill_and_wait(by_node.pop(here, []), EXIT_TIMEOUT_S)
        kill: Any = ray.remote(num_cpus=0, max_retries=0)(kill_and_wait)
        tasks = [
            kill.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(
                processes, EXIT_TIMEOUT_S
            )
            for node, processes in by_node.items()
        ]
        for task in tasks:
            with contextlib.suppress(RayError):  # the node is gone, and its processes with it
                ray.get(task, timeout=NODE_TIMEOUT_S)
        self._workers, self._locations, self._ranks, self._progress_reply = [], [], [], None


def _one_line(error: Exception) -> str:
    """An error of Ray in one line."""
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    return " ".join(lines)[:300]
