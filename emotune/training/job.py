"""The work of a process on one run: trains it, or tests it on other data sets once it is finished."""

from collections.abc import Callable, Sequence

from emotune.config.other_data import TransferTest
from emotune.config.resources import Resources
from emotune.config.run import RunConfig
from emotune.runs.directory import RunDirectory
from emotune.runs.progress import RunProgress
from emotune.training.distributed import World
from emotune.training.loop import train
from emotune.training.transfer import make_tests

__all__ = ["train_or_test"]


def train_or_test(
    run: RunConfig,
    directory: RunDirectory,
    world: World,
    tests: Sequence[TransferTest] | None,
    *,
    resources: Resources,
    on_progress: Callable[[RunProgress], None],
    stop: Callable[[], bool],
    owner: str = "",
) -> None:
    """Trains a run, or makes its tests on other data sets if there are any.

    The arguments and the errors are those of `emotune.training.loop.train` and `emotune.training.transfer.make_tests`.
    """
    if tests is None:
        train(run, directory, world, resources=resources, on_progress=on_progress, stop=stop, owner=owner)
    else:
        make_tests(run, directory, world, tests, resources=resources, on_progress=on_progress, stop=stop, owner=owner)
