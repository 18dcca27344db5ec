"""What reads images and writes shards: the processes of this machine, or another executor with the same methods."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any, Protocol, TypeVar

from emotune.core.storage import Folder
from emotune.core.threads import parallel_map
from emotune.data.build.reader_pool import reader_pool
from emotune.data.sources.base import Entry

__all__ = ["LocalExecutor", "ShardExecutor"]

SHARDS_AT_ONCE = 2
"""Shards that are written concurrently: one is put together while another goes to the disk or to S3."""

Result = TypeVar("Result")


class ShardExecutor(Protocol):
    """Calls functions for many jobs at the same time. A job is a tuple of a function's arguments."""

    @property
    def is_distributed(self) -> bool:
        """Whether jobs may be done on other machines, which reach only what is in shared folders."""
        ...

    def prepare(self, out: Folder, entries: Sequence[Entry]) -> None:
        """Called once, before the first job.

        Args:
            out: The folder that shards are written to.
            entries: The images that are read.

        Raises:
            InputError: the images or the folder cannot be reached from where jobs are done.
        """
        ...

    def as_completed(self, function: Callable[..., Result], jobs: Sequence[tuple[Any, ...]]) -> Iterator[Result]:
        """The results of the function for jobs that mostly compute, in the order in which they are done."""
        ...

    def in_order(self, function: Callable[..., Result], jobs: Sequence[tuple[Any, ...]]) -> list[Result]:
        """The results of the function for jobs that mostly read and write, in the order of the jobs."""
        ...


class LocalExecutor:
    """The processes of this machine, and for writing two threads of this process.

    Args:
        workers: The number of processes; 1 computes in this process.
    """

    is_distributed = False

    def __init__(self, workers: int = 1) -> None:
        self._workers = workers

    def prepare(self, out: Folder, entries: Sequence[Entry]) -> None:
        """Does nothing: this machine reaches what it has listed."""

    def as_completed(self, function: Callable[..., Result], jobs: Sequence[tuple[Any, ...]]) -> Iterator[Result]:
        """The results of the function in the order in which they are done, see `ShardExecutor`."""
        workers = min(self._workers, len(jobs))
        if workers <= 1:  # no process of its own, so that a script needs no `if __name__ == "__main__"`
            for job in jobs:
                yield function(*job)
            return
        with reader_pool(workers) as pool:
            running: set[Future[Result]] = set()
            for job in jobs:
                running.add(pool.submit(function, *job))
                if len(running) >= 3 * workers:  # only a few are submitted ahead, because each holds its images
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in done)
            yield from (future.result() for future in running)

    def in_order(self, function: Callable[..., Result], jobs: Sequence[tuple[Any, ...]]) -> list[Result]:
        """The results of the function in the order of the jobs, see `ShardExecutor`."""
        return list(parallel_map(lambda job: function(*job), jobs, SHARDS_AT_ONCE))
