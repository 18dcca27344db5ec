"""Train a single run in this process."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from emotune.config.ablate_command import DEFAULT_RUNS
from emotune.config.resources import Resources
from emotune.config.run import RunConfig
from emotune.runs.progress import RunProgress

if TYPE_CHECKING:
    from emotune.runs.record import RunRecord

__all__ = ["train_run"]


def train_run(
    run: RunConfig,
    runs: str | Path = DEFAULT_RUNS,
    *,
    resources: Resources = Resources(),
    on_progress: Callable[[RunProgress], None] = lambda progress: None,
) -> "RunRecord":
    """Trains one run in this process, or continues it, and returns its record.

    Args:
        run: The run, such as one of ``study.runs(…)``.
        runs: The folder or URL in which its directory is, or will be.
        resources: The compute resources; the number of workers is ignored.
        on_progress: Called after every step and every evaluated batch.

    Raises:
        InputError: its data or weights cannot be used.
        BusyRunError: another process is training it.
        DivergedError: the loss is not finite any more; the run's directory says so, too.
    """
    from emotune.runs.store import open_store
    from emotune.training.distributed import world_from_environment
    from emotune.training.loop import DivergedError, train

    directory = open_store(runs).directory(run)
    with world_from_environment(gpu=resources.gpus_per_worker > 0) as world:
        try:
            record = train(run, directory, world, resources=resources, on_progress=on_progress)
        except DivergedError as error:
            directory.fail(str(error), diverged=True)
            raise
    assert record is not None, "there is no other rank in this process"
    return record
