"""Runs one after another in this process, or in those that torchrun started; Ray is not imported."""

import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from emotune.execution.probe import StopAfter
from emotune.execution.progress import RunLines
from emotune.machine import keep_freed_memory
from emotune.run import RunConfig
from emotune.run_directory import RunDirectory
from emotune.study import Resources

__all__ = ["error_text", "run_locally"]

TRACEBACK_LINES = 30


def run_locally(
    runs: Sequence[RunConfig], pool: str, lines: RunLines, resources: Resources, *, steps: int | None = None
) -> None:
    """Trains the runs in their order. A run that fails is recorded as failed, and the next one is taken up.

    Under torchrun a failure ends the command, because the other processes wait for the one that failed; the same
    command goes on.

    Args:
        runs: What to train.
        pool: Where run directories are.
        lines: Shows progress.
        resources: What each run gets; its workers are the processes there are.
        steps: After how many each run is left, to see how long they take; None: when it is done.

    Raises:
        KeyboardInterrupt: at Ctrl-C, after the current step and its checkpoint; at a second one, at once.
    """
    keep_freed_memory()
    import torch

    from emotune.training.distributed import from_environment
    from emotune.training.loop import DivergedError, InterruptedRunError, train

    torch.set_num_threads(resources.cpus_per_worker)
    with from_environment(gpu=resources.gpus_per_worker > 0) as world, _stop_flag() as stop:
        # Rank 0's list counts: another's may differ, if a run was finished elsewhere in between.
        for run in [RunConfig.from_json(value) for value in world.gather([run.to_json() for run in runs])[0]]:
            directory = RunDirectory(pool, run)
            try:
                watch = lines.update if world.main else _ignore
                ask = StopAfter(directory, steps, world.main, stop) if steps else stop
                train(run, directory, world, resources=resources, watch=watch, stop=ask)
            except InterruptedRunError:
                if not steps or stop():
                    raise KeyboardInterrupt from None
            except DivergedError as error:  # on all ranks alike
                if world.main:
                    directory.fail(str(error), diverged=True)
            except Exception as error:
                directory.fail(error_text(error))
                if world.size > 1:  # the other ranks wait for this one in vain: torchrun ends them
                    raise
            if world.main:
                lines.finish(run.id, directory.status())


def error_text(error: BaseException) -> str:
    """The end of an error's traceback, as kept in ``failure.json``."""
    return "\n".join("".join(traceback.format_exception(error)).strip().splitlines()[-TRACEBACK_LINES:])


def _ignore(progress: object) -> None:
    """Ranks other than 0 show nothing."""


@contextmanager
def _stop_flag() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C was pressed; pressed again, it interrupts at once."""
    pressed = False

    def handler(number: int, frame: object) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True

    before = signal.signal(signal.SIGINT, handler)
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, before)
