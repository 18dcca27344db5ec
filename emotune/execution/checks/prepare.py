"""Gets runs ready before anything is spent: tries the user's code, compares networks, checks weights, decodes images.

That happens in a process of its own, so that the one that plans stays small; what was done before is only looked up.
"""

from collections.abc import Callable, Sequence

from emotune.config.run import RunConfig
from emotune.core.child_process import ChildProcess
from emotune.execution.checks.prepare_worker import PreparationJob
from emotune.execution.plan.resolved_study import ResolvedStudy
from emotune.runs.registry import Registry

__all__ = ["Preparation"]


class Preparation(ChildProcess):
    """The process that gets ready what the runs need, in an order that spends little before a mistake is found.

    The GPUs of this machine are counted, if it is the one that trains. The embedded images are drawn if they are not
    there. Every variant's network is built and compared with the baseline's (`emotune.execution.checks.architecture`);
    the weights that runs begin with are fetched and compared with the networks; the room on disks is compared with what
    will be written. Every shard is checked against its manifest and decoded, or, where the cache has no room, indexed.
    On a cluster, each machine that trains does that itself, for its first run. If the process is ended early, a shard
    that is half decoded will be begun again.

    Args:
        resolved: The study.
        runs: The runs that will be trained.
        executor: ``ray`` or ``local``.
        save_architecture: Whether the registry keeps how the networks differ.
    """

    def __init__(
        self, resolved: ResolvedStudy, runs: Sequence[RunConfig], executor: str, *, save_architecture: bool = True
    ) -> None:
        self._resolved, self._save, self._registry = resolved, save_architecture, Registry(resolved.store)
        known = tuple(self._registry.networks(resolved.study, resolved.needed))
        inputs = {run.variant: run.input for run in resolved.declared or resolved.runs}
        job = PreparationJob(resolved.study, resolved.datasets, tuple(runs), inputs, resolved.store, executor, known)
        super().__init__("emotune.execution.checks.prepare_worker", job, "prepares the runs")

    def wait(self, show: Callable[[str], None] = lambda line: None) -> list[str]:
        """Waits until all is ready.

        Args:
            show: A function that is called with lines on how far it is.

        Returns:
            A line for each variant's network, and one for whatever else is worth knowing.

        Raises:
            InputError: something cannot be trained, or is missing; the message says what to do.
        """
        networks, lines = self.result(show)
        if self._save:
            self._registry.write_networks(self._resolved.study, self._resolved.needed, networks)
        return lines
