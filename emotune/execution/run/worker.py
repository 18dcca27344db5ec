"""One rank of a run: an actor that imports torch once and trains one run after another."""

import os
import socket
import threading
from dataclasses import dataclass
from typing import Any

import ray

from emotune.config.resources import Resources
from emotune.core.process_tree import Process, process
from emotune.execution.plan.timing import StepTimer
from emotune.execution.run.error_messages import failure_text
from emotune.execution.run.job import RunJob, asked_tests, run_of
from emotune.runs.directory import RunDirectory, State, Status
from emotune.runs.lease import BusyRunError, LostRunError
from emotune.runs.progress import RunProgress

__all__ = ["Worker", "WorkerLocation"]


@dataclass(frozen=True)
class WorkerLocation:
    """Where a worker is: the id of its Ray node, its host's name, and its process there."""

    node: str
    host: str
    process: Process | None

    def __str__(self) -> str:
        return f"process {self.process.pid if self.process else '?'} on {self.host}"


class Worker:
    """One rank of a run; an actor that is kept for the next run.

    The same thread trains all runs, because torch's thread count and caches belong to a thread. Another thread answers
    questions meanwhile.

    Args:
        threads: The number of threads that torch uses.
    """

    def __init__(self, threads: int) -> None:
        import emotune.training.job  # noqa: F401  imports torch, once per worker

        self._threads, self._stop = threads, threading.Event()
        self._progress: RunProgress | None = None
        self._store: Any = None  # a torch.distributed.TCPStore, which is not imported before the worker has started

    @ray.method(concurrency_group="training")
    def open_rendezvous(self) -> tuple[str, int]:
        """Opens the store through which the ranks find each other, on rank 0; returns its host and port."""
        from emotune.training.distributed import open_rendezvous

        self._store = store = open_rendezvous(ray.util.get_node_ip_address())
        return store.host, store.port

    @ray.method(concurrency_group="training")
    def run(self, job: RunJob, rank: int, store_address: tuple[str, int] | None) -> Status:
        """Trains or tests a run as one of its ranks.

        Args:
            job: The run to train.
            rank: The number of this rank.
            store_address: The host and port of rank 0's store; None if there is one rank only.

        Returns:
            How the run ended.

        Raises:
            ConnectionError: Another rank does not answer any more; that rank knows why, or is lost.
        """
        import torch

        from emotune.training.distributed import connect, open_rendezvous
        from emotune.training.job import train_or_test
        from emotune.training.loop import DivergedError, InterruptedRunError

        self._progress = None
        torch.set_num_threads(self._threads)
        run, resources = run_of(job), Resources(**job["resources"])
        directory = RunDirectory(job["store"], run)
        try:
            if store_address and rank:
                self._store = open_rendezvous(*store_address)
            with connect(rank, resources.workers, gpu=resources.gpus_per_worker > 0, store=self._store) as world:
                steps, stop = job["steps"], self._stop.is_set
                train_or_test(
                    run,
                    directory,
                    world,
                    asked_tests(job),
                    resources=resources,
                    on_progress=self._on_progress,
                    stop=StepTimer(directory, steps, world.is_main, stop) if steps else stop,
                    owner=job["owner"],
                )
        except InterruptedRunError as error:
            return Status(State.INTERRUPTED, str(error))
        except (BusyRunError, LostRunError) as error:
            return Status(State.RUNNING, str(error))
        except DivergedError as error:
            return Status(State.DIVERGED, str(error))
        except Exception as error:  # the supervisor records it, whatever it is
            if resources.workers > 1 and _is_of_another_rank(error):
                raise ConnectionError(str(error)) from None
            return Status(State.FAILED, failure_text(error, directory.folder))
        finally:
            self._store = None
        return Status(State.DONE)

    @ray.method(concurrency_group="watching")
    def location(self) -> WorkerLocation:
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
    """Whether a collective operation failed because another rank is gone."""
    import torch.distributed as dist

    message = str(error)
    signs = ("gloo/transport", "Connection closed by peer", "Connection reset by peer")
    return isinstance(error, dist.DistError) or (
        isinstance(error, RuntimeError) and any(sign in message for sign in signs)
    )
