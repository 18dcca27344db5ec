"""One rank of a run: an actor that imports torch once and trains one run after another."""

import os
import socket
import threading
from dataclasses import dataclass
from typing import Any

import ray

from emotune.config.resources import Resources
from emotune.config.run import RunConfig
from emotune.core.process_tree import Process, process
from emotune.execution.plan.timing import StepTimer
from emotune.execution.run.error_messages import failure_text
from emotune.runs.directory import RunDirectory, State, Status
from emotune.runs.lease import BusyRunError, LostRunError
from emotune.runs.progress import RunProgress

__all__ = ["Worker", "WorkerLocation"]


@dataclass(frozen=True)
class WorkerLocation:
    """Where a worker is: Ray's name of its node, the host's, and its process there."""

    node: str
    host: str
    process: Process | None

    def __str__(self) -> str:
        return f"process {self.process.pid if self.process else '?'} on {self.host}"


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
        """Trains the run as one of its ranks; says how it ended.

        Raises:
            ConnectionError: another rank does not answer any more; it knows why, or is lost.
        """
        import torch

        from emotune.training.distributed import connect, open_store
        from emotune.training.loop import DivergedError, InterruptedRunError, train

        self._progress = None
        torch.set_num_threads(self._threads)
        run, resources = RunConfig.from_json(job["run"]), Resources(**job["resources"])
        directory = RunDirectory(job["pool"], run)
        try:
            if meeting and rank:
                self._store = open_store(*meeting)
            with connect(rank, resources.workers, gpu=resources.gpus_per_worker > 0, store=self._store) as world:
                steps, stop = job["steps"], self._stop.is_set
                ask = StepTimer(directory, steps, world.is_main, stop) if steps else stop
                train(
                    run,
                    directory,
                    world,
                    resources=resources,
                    on_progress=self._on_progress,
                    stop=ask,
                    owner=job["owner"],
                )
        except InterruptedRunError as error:
            return Status(State.INTERRUPTED, str(error))
        except (BusyRunError, LostRunError) as error:
            return Status(State.RUNNING, str(error))
        except DivergedError as error:
            return Status(State.DIVERGED, str(error))
        except Exception as error:  # recorded by the supervisor, whatever it is
            if resources.workers > 1 and _is_of_another_rank(error):
                raise ConnectionError(str(error)) from None
            return Status(State.FAILED, failure_text(error, directory.folder))
        finally:
            self._store = None
        return Status(State.DONE)

    @ray.method(concurrency_group="watching")
    def place(self) -> WorkerLocation:
        """Where this worker is."""
        return WorkerLocation(ray.get_runtime_context().get_node_id(), socket.gethostname(), process(os.getpid()))

    @ray.method(concurrency_group="watching")
    def progress(self) -> RunProgress | None:
        """How far the current run is."""
        return self._progress

    @ray.method(concurrency_group="watching")
    def interrupt(self) -> None:
        """Asks the current run, or the one that is about to begin, to stop after its step."""
        self._stop.set()

    def _on_progress(self, progress: RunProgress) -> None:
        self._progress = progress


def _is_of_another_rank(error: Exception) -> bool:
    """Whether a collective operation broke off because its other end is gone."""
    import torch.distributed as dist

    said = str(error)
    return isinstance(error, dist.DistError) or (
        isinstance(error, RuntimeError)
        and any(sign in said for sign in ("gloo/transport", "Connection closed by peer", "Connection reset by peer"))
    )
