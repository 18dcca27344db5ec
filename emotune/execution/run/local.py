"""Trains runs one after another in this process, or in those that torchrun started; does not import Ray."""

from collections.abc import Callable, Mapping, Sequence

from emotune.config.other_data import TransferTest
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
    tests: Mapping[str, Sequence[TransferTest]] | None = None,
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
        tests: The tests on other data sets that are made with each of the runs, by its id, in place of training it; a
            test that fails changes nothing. None: runs are trained.
    """
    tune_malloc()
    import torch

    from emotune.training.distributed import world_from_environment
    from emotune.training.job import train_or_test
    from emotune.training.loop import DivergedError, InterruptedRunError

    torch.set_num_threads(resources.cpus_per_worker)
    with world_from_environment(gpu=resources.gpus_per_worker > 0) as world:
        # Rank 0's list counts: another rank's may differ if another process finished a run in between.
        jobs = world.gather([(run.to_json(), None if tests is None else tests[run.id]) for run in runs])[0]
        for run, tests_of_run in [(RunConfig.from_json(value), asked) for value, asked in jobs]:
            directory = store.directory(run)
            try:
                on_progress = observer.on_progress if world.is_main else _ignore
                stop = StepTimer(directory, steps, world.is_main, stopping) if steps else stopping
                train_or_test(
                    run, directory, world, tests_of_run, resources=resources, on_progress=on_progress, stop=stop
                )
                status = Status(State.DONE)
            except (BusyRunError, LostRunError) as error:  # raised on all ranks, as are the next two
                status = Status(State.RUNNING, str(error))
            except InterruptedRunError as error:
                status = Status(State.INTERRUPTED, str(error))
            except DivergedError as error:
                status = directory.fail(str(error), diverged=True) if world.is_main else Status(State.DIVERGED)
            except Exception as error:
                message = failure_text(error, directory.folder)
                status = directory.fail(message) if tests is None else Status(State.FAILED, message)
                if world.size > 1:  # the other ranks would wait for this one for ever: torchrun ends them
                    raise
            if world.is_main:
                observer.on_end(run.id, status)
            if world.any(stopping()):
                return


def _ignore(progress: object) -> None:
    """Ranks other than 0 report no progress."""
