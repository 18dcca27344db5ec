"""Reads images and writes shards on all machines of a Ray: a job is a task, and a lost machine costs only its tasks."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from typing import Any, TypeVar

from emotune.config.resources import Resources
from emotune.core.storage import Folder
from emotune.data.sources.base import Entry
from emotune.execution.run.lost_cluster import LostClusterError
from emotune.execution.run.ray_session import lost_head_explained, ray_connection

__all__ = ["RayShardExecutor"]

ATTEMPTS = 4
"""A job has failed once the process or machine that did it was lost so many times."""
AHEAD = 3
"""Jobs that are submitted for each CPU."""
LOOK_EVERY_S = 3.0
"""Seconds after which the number of CPUs is asked for again: machines come and go."""
WAIT_S = 600.0
"""Seconds to wait for a cluster to have a CPU."""

Result = TypeVar("Result")


class RayShardExecutor:
    """An `emotune.data.build.executor.ShardExecutor` on the Ray that RAY_ADDRESS names, or on one of this machine.

    Args:
        stack: The connection, made before the first job, ends with it.
        on_status: A function that is called with a line about what is waited for.
    """

    is_distributed = True

    def __init__(self, stack: ExitStack, on_status: Callable[[str], None] = lambda line: None) -> None:
        self._stack, self._on_status = stack, on_status

    def prepare(self, out: Folder, entries: Sequence[Entry]) -> None:
        """Connects to Ray, and checks its nodes.

        Args:
            out: The folder that shards are written to.
            entries: The images that are read.

        Raises:
            InputError: no Ray answers, or a node has other software or does not see the images or the folder.
            LostClusterError: Ray does not start in time.
        """
        self._stack.enter_context(ray_connection(Resources(), "shard"))
        # It imports Ray, which the connection has set up.
        from emotune.execution.run.node_checks import require_cluster
        from emotune.execution.run.shard_node_checks import check_shard_nodes

        self._stack.enter_context(lost_head_explained())
        if os.environ.get("RAY_ADDRESS"):
            require_cluster(Resources(), WAIT_S, self._on_status)
            check_shard_nodes(out, entries)

    def as_completed(self, function: Callable[..., Result], jobs: Sequence[tuple[Any, ...]]) -> Iterator[Result]:
        """The results of the function in the order in which they are done; errors are those of the function.

        Raises:
            LostClusterError: Ray has no machine with a CPU any more.
            BrokenProcessPool: the process that did a job was killed again and again.
        """
        yield from (result for _, result in self._results(function, jobs))

    def in_order(self, function: Callable[..., Result], jobs: Sequence[tuple[Any, ...]]) -> list[Result]:
        """The results of the function in the order of the jobs; errors are those of `as_completed`."""
        numbered = dict(self._results(function, jobs))
        return [numbered[number] for number in range(len(jobs))]

    def _results(
        self, function: Callable[..., Result], jobs: Sequence[tuple[Any, ...]]
    ) -> Iterator[tuple[int, Result]]:
        """The number and the result of each job, in the order in which they are done."""
        import ray
        from ray.exceptions import NodeDiedError, OutOfMemoryError, RayTaskError, WorkerCrashedError

        task = ray.remote(num_cpus=1, max_retries=ATTEMPTS - 1)(function)
        running: dict[Any, int] = {}
        submitted = 0
        try:
            while running or submitted < len(jobs):
                ahead = AHEAD * _cpus()
                while len(running) < ahead and submitted < len(jobs):
                    running[task.remote(*jobs[submitted])] = submitted
                    submitted += 1
                ray.wait(list(running), timeout=LOOK_EVERY_S)
                done, _ = ray.wait(list(running), num_returns=len(running), timeout=0)
                for reference in done:
                    yield running.pop(reference), ray.get(reference)
        except RayTaskError as error:
            raise error.cause from None
        except (WorkerCrashedError, OutOfMemoryError, NodeDiedError) as error:
            raise BrokenProcessPool(" ".join(str(error).split())[:200]) from None
        finally:
            for reference in running:
                ray.cancel(reference, force=True)


def _cpus() -> int:
    """The number of CPUs that Ray has now.

    Raises:
        LostClusterError: it has none.
    """
    import ray

    cpus = sum(node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"])
    if cpus < 1:
        raise LostClusterError("Ray has no machine with a CPU any more: its raylet was killed or its node is gone")
    return int(cpus)
