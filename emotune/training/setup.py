"""How a run begins, or goes on: in the hands of its ranks; resume → weights of others → scratch."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass

import torch

from emotune.config.resources import Resources
from emotune.config.run import RunConfig
from emotune.core.errors import InputError
from emotune.data.read.batches import Split
from emotune.models.build import build
from emotune.models.weights.initial_weights import Initialisation, load_weights
from emotune.runs.directory import RunDirectory
from emotune.runs.lease import BusyRunError, Lease, LostRunError
from emotune.runs.record import RunRecord
from emotune.training import checkpoint
from emotune.training.checkpoint import Checkpoints, Progress, Stateful
from emotune.training.distributed import World
from emotune.training.loss import make_objective
from emotune.training.optim import make_average, make_optimizer
from emotune.training.selection import BestWeights
from emotune.training.step import TrainState

__all__ = ["InterruptedRunError", "RunSession", "leased", "load_or_init"]


class InterruptedRunError(RuntimeError):
    """The run was asked to stop; what it has come to is written, and it can be continued."""


@dataclass(frozen=True)
class RunSession:
    """A run in the hands of these ranks. Rank 0 has its claim and writes its files, the others have and do neither.

    ``record`` is the run's, on all ranks, if it turned out to be done.
    """

    directory: RunDirectory
    world: World
    claim: Lease | None = None
    checkpoints: Checkpoints | None = None
    record: RunRecord | None = None

    def must_stop(self, asked: bool) -> bool:
        """All ranks at once: whether one of them is asked to stop.

        Raises:
            LostRunError: another process has taken the run over.
        """
        if not self.world.any(asked or (self.claim is not None and self.claim.lost)):
            return False
        self.check_lease()
        return True

    def check_lease(self) -> None:
        """All ranks at once, before anything is written: looks whether the run is still theirs.

        Raises:
            LostRunError: another process has taken it over.
        """
        if self.world.any(self.claim is not None and not self.claim.is_valid()):
            raise self._lost()

    def save(self, parts: Mapping[str, Stateful], progress: Progress) -> None:
        """Writes a checkpoint, unless the run is lost: the next `must_stop` says so to all ranks."""
        if self.checkpoints and self.claim.is_valid():
            self.checkpoints.save(parts, progress)

    def wait_for_uploads(self) -> None:
        """Waits for the last checkpoint's upload."""
        if self.checkpoints:
            self.checkpoints.wait_for_uploads()

    def finish(self, record: RunRecord) -> RunRecord:
        """Rank 0: writes the record, and returns it as it was written. No upload goes on after it."""
        self.checkpoints.close()
        if not self.claim.is_valid():  # the files before it may have taken a while
            raise self._lost()
        return self.directory.finish(record)

    def _lost(self) -> LostRunError:
        return LostRunError(f"{self.directory.run.id} was taken over by another process")


@contextmanager
def leased(directory: RunDirectory, world: World, owner: str) -> Iterator[RunSession]:
    """Claims a run for all ranks, until they leave.

    Raises:
        BusyRunError: it is in other hands; on all ranks.
    """
    claim = record = error = None
    with ExitStack() as stack:
        if world.is_main:
            try:
                claim = stack.enter_context(directory.leased(owner))
                record = directory.record()
            except Exception as caught:  # the other ranks must hear of it before this one leaves
                error = caught
        busy, said, record = world.gather((isinstance(error, BusyRunError), error and str(error), record))[0]
        if error and not busy:
            raise error
        if said is not None:
            raise BusyRunError(f"{directory.run.id}: {said}") if busy else RuntimeError(f"rank 0: {said}")
        if claim is None:
            yield RunSession(directory, world, record=record)
        else:
            checkpoints = stack.enter_context(Checkpoints(directory.folder, claim.is_valid))
            yield RunSession(directory, world, claim, checkpoints, record)


def load_or_init(
    run: RunConfig, directory: RunDirectory, world: World, resources: Resources, split: Split
) -> tuple[TrainState, Progress]:
    """What is trained, and how far it has come.

    A checkpoint has all that is left of the weights that the run began with: they are not read again.

    Args:
        run: What to train.
        directory: Where its checkpoint is, if it has one.
        world: The ranks that train it together.
        resources: How it is calculated.
        images: It is trained on.

    Raises:
        InputError: the weights that ``train.init`` names cannot be loaded, or ranks see different checkpoints.
    """
    network = build(run.model, len(split.classes), run.stream("init"))
    network = network.to(world.device, memory_format=torch.channels_last)
    saved, notes = checkpoint.read_checkpoint(directory.folder, world.device)
    if saved is None:
        initialisation = load_weights(network, run, split.classes)
    else:
        former = saved["progress"].get("initialisation")  # a run from scratch may be older than the entry
        initialisation = Initialisation.from_json(former) if former else Initialisation()
    state = TrainState(
        world, network, network,
        make_optimizer(network, run.train, initialisation.new), make_average(network, run.train),
        make_objective(split, run.train), initialisation.normalisation,
        run.train.precision, run.train.clip_norm, resources.accumulate,
        BestWeights() if run.select == "best_val" else None,
    )  # fmt: skip
    progress = checkpoint.restore_checkpoint(saved, state.checkpoint_parts) if saved else Progress()
    progress.initialisation = asdict(initialisation)
    progress.notes += notes
    if len(set(world.gather((progress.epoch, progress.step)))) > 1:
        raise InputError(
            f"{directory.folder}: not all ranks see the same checkpoint; name a place that all nodes reach"
        )
    return state.wrap_ddp(compiled=resources.compile), progress
