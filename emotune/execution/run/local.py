"""Trains runs one after another in this process, or in those that torchrun started; does not import Ray."""

from collections.abc import Callable, Sequence

from emotune.config.resources import Resources
from emotune.config.run import RunConfig
from emotune.core.host import tune_malloc
from emotune.execution.monitor.observer import RunObserver
from emotune.execution.plan.timing import StepTimer
from emotune.execution.run.error_messages import failure_text
from emotune.runs.directory import State, Status
from emotune.runs.lease import BusyRunError, LostRunError
from emotune.runs.store import RunStore

__all__ = ["run_locally"]


def run_locally(
    runs: Sequence[RunConfig],
    store: RunStore,
    observer: RunObserver,
    resources: Resources,
    *,
    stopping: Callable[[], bool] = lambda: False,
    steps: int | None = None,
) -> None:
    """Trains the runs in their order. A run that fails is recorded as failed, and the next one is trained.

    Under torchrun a failure ends the command, because the other processes wait for the one that failed; the same
    command continues with the next run.

    Args:
        runs: The runs to train.
        store: The folder of all run directories.
        observer: The observer that is told how far runs are and how they end.
        resources: The resources of each run; its workers are the processes that torchrun started.
        stopping: Called after each step; once it returns True, the run ends with a checkpoint and no other begins.
        steps: The number of steps after which each run is abandoned, to time them; None: runs are completed.
    """
    tune_malloc()
    import torch

    from emotune.training.distributed import world_from_environment
    from emotune.training.loop import DivergedError, InterruptedRunError, train

    torch.set_num_threads(resources.cpus_per_worker)
    with world_from_environment(gpu=resources.gpus_per_worker > 0) as world:
        # Rank 0's list counts: another rank's may differ if another process finished a run in between.
        for run in [RunConfig.from_json(value) for value in world.gather([run.to_json() for run in runs])[0]]:
            directory = store.directory(run)
            try:
                on_progress = observer.on_progress if world.is_main else _ignore
                stop = StepTimer(directory, steps, world.is_main, stopping) if steps else stopping
                train(run, directory, world, resources=resources, on_progress=on_progress, stop=stop)
                status = Status(State.DONE)
            except (BusyRunError, LostRunError) as error:  # raised on all ranks, as are the next two
                status = Status(State.RUNNING, str(error))
            except InterruptedRunError as error:
                status = Status(State.INTERRUPTED, str(error))
            except DivergedError as error:
                status = directory.fail(str(error), diverged=True) if world.is_main else Status(State.DIVERGED)
            except Exception as error:
                status = directory.fail(failure_text(error, directory.folder))
                if world.size > 1:  # the other ranks would wait for this one for ever: torchrun ends them
                    raise
            if world.is_main:
                observer.on_end(run.id, status)
            if world.any(stopping()):
                return


def _ignore(progress: object) -> None:
    """Ranks other than 0 report no progress."""
