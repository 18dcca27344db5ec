"""Starting or resuming a run: its lease, then a checkpoint, else pretrained weights, else random initial weights."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import partial

import torch

from emotune.config.head_training import gets_features, is_head_alone
from emotune.config.resources import Resources
from emotune.config.run import RunConfig
from emotune.config.train import Order
from emotune.core.errors import InputError
from emotune.data.augmentation_policies import make_augmentation
from emotune.data.read.batches import Split, open_split
from emotune.data.read.open_dataset import decoded_shards
from emotune.models.build import build
from emotune.models.networks.backbone_network import HeadNetwork
from emotune.models.weights.initial_weights import Initialisation, load_weights
from emotune.runs.directory import RunDirectory
from emotune.runs.lease import BusyRunError, Lease, LostRunError
from emotune.runs.progress import RunProgress
from emotune.runs.record import RunRecord
from emotune.training.batch_norm import require_whole_batches
from emotune.training.checkpoint import Checkpoints, Stateful, read_checkpoint, restore_checkpoint
from emotune.training.distributed import World
from emotune.training.frozen import forget, frozen_network
from emotune.training.optim import make_average, make_optimizer
from emotune.training.progress import Progress
from emotune.training.progress_reporter import reading_reporter
from emotune.training.selection import BestWeights
from emotune.training.step import TrainState
from emotune.training.tasks import task_of

__all__ = ["InterruptedRunError", "RunSession", "leased", "load_or_init", "split_opener"]


class InterruptedRunError(RuntimeError):
    """The run was asked to stop; its checkpoint is written, so that it can be continued."""


@dataclass(frozen=True)
class RunSession:
    """A run that these ranks train. Only rank 0 holds the lease and writes files.

    Attributes:
        directory: The run's directory.
        world: The ranks that train it together.
        lease: The run's lease; None except on rank 0.
        checkpoints: The writer of the run's checkpoints; None except on rank 0.
        record: The run's record if the run is already done, on all ranks; else None.
    """

    directory: RunDirectory
    world: World
    lease: Lease | None = None
    checkpoints: Checkpoints | None = None
    record: RunRecord | None = None

    def must_stop(self, asked: bool) -> bool:
        """Whether a rank is asked to stop; all ranks call this together and get the same result.

        Raises:
            LostRunError: another process has taken the run over.
        """
        if not self.world.any(asked or (self.lease is not None and self.lease.lost)):
            return False
        self.check_lease()
        return True

    def check_lease(self) -> None:
        """Checks that the run is still theirs; all ranks call this together, before anything is written.

        Raises:
            LostRunError: another process has taken the run over.
        """
        if self.world.any(self.lease is not None and not self.lease.is_valid()):
            raise self._lost()

    def save(self, parts: Mapping[str, Stateful], progress: Progress) -> None:
        """Writes a checkpoint on rank 0, except if the run is lost, which the next `must_stop` reports to all ranks."""
        if self.checkpoints and self.lease and self.lease.is_valid():
            self.checkpoints.save(parts, progress)

    def wait_for_uploads(self) -> None:
        """Waits until the last checkpoint is uploaded."""
        if self.checkpoints:
            self.checkpoints.wait_for_uploads()

    def finish(self, record: RunRecord) -> RunRecord:
        """Writes the record on rank 0, after all uploads have ended, and returns it as it was written.

        Raises:
            LostRunError: another process has taken the run over.
        """
        if self.lease is None or self.checkpoints is None:
            raise RuntimeError("only rank 0 finishes a run")
        self.checkpoints.close()
        if not self.lease.is_valid():  # writing the other files may have taken long
            raise self._lost()
        return self.directory.finish(record)

    def _lost(self) -> LostRunError:
        return LostRunError(f"{self.directory.run.id} was taken over by another process")


@contextmanager
def leased(directory: RunDirectory, world: World, owner: str) -> Iterator[RunSession]:
    """Holds the lease of a run for all ranks until the block is left.

    Args:
        directory: The run's directory.
        world: The ranks that train the run together.
        owner: The command that this process works for, whose other processes' leases are taken over.

    Raises:
        BusyRunError: another process trains the run; raised on all ranks.
    """
    lease = record = error = None
    with ExitStack() as stack:
        if world.is_main:
            try:
                lease = stack.enter_context(directory.leased(owner))
                record = directory.record()
            except Exception as caught:  # the other ranks must get it before this one leaves
                error = caught
        busy, message, record = world.gather((isinstance(error, BusyRunError), error and str(error), record))[0]
        if error and not busy:
            raise error
        if message is not None:
            raise BusyRunError(f"{directory.run.id}: {message}") if busy else RuntimeError(f"rank 0: {message}")
        if lease is None:
            yield RunSession(directory, world, record=record)
        else:
            checkpoints = stack.enter_context(Checkpoints(directory.folder, lease.is_valid))
            yield RunSession(directory, world, lease, checkpoints, record)


def split_opener(
    run: RunConfig,
    resources: Resources,
    order: Order,
    on_progress: Callable[[RunProgress], None],
    *,
    decode: bool | None = None,
) -> Callable[[str], Split]:
    """A function that opens a split of the run's data set by its name.

    Args:
        run: The run.
        resources: The resources, which limit how much decoded images may fill.
        order: The order in which training images are read.
        on_progress: A function that is called while images are read, if that takes long.
        decode: Whether as many images are kept decoded as fit; by default, unless features are kept, for which images
            are needed only once. What is not decoded is read in the order of shards, so that
            nothing is copied yet.
    """
    lazy = gets_features(run.model) and not decode
    return partial(
        open_split,
        run.dataset,
        input_spec=run.input,
        decoded=() if lazy else decoded_shards(run.dataset, resources.cache_gb, order, run.input),
        order="shards" if lazy else order,
        cache_gb=resources.cache_gb,
        threads=torch.get_num_threads(),
        advance=reading_reporter(run, on_progress),
    )


def load_or_init(
    run: RunConfig, directory: RunDirectory, world: World, resources: Resources, split: Split
) -> tuple[TrainState, Progress]:
    """The state of training and its progress, from the last checkpoint or as a run begins.

    A checkpoint has everything that remains of the initial weights, so that their file is not read again; except those
    of a backbone of which only the head is trained. Then the network in training is that head.

    Args:
        run: The run.
        directory: The directory with the run's checkpoints, if there are any.
        world: The ranks that train the run together.
        resources: The resources, which decide how the run is computed.
        split: The training images.

    Raises:
        InputError: the weights that ``train.init`` names cannot be loaded, ranks see different checkpoints, or the
            network cannot be trained on divided batches.
    """
    backbone = initialisation = None
    if is_head_alone(run.model):
        backbone, initialisation = frozen_network(run, split.classes, world.device)
        network: torch.nn.Module = HeadNetwork(backbone)
    else:
        forget()
        network = build(run.model, len(split.classes), run.stream("init"), run.input)
    require_whole_batches(network, workers=world.size, accumulate=resources.accumulate, compiled=resources.compile)
    network = network.to(world.device).to(memory_format=torch.channels_last)
    saved, notes = read_checkpoint(directory.folder, world.device)
    if initialisation is None:
        if saved is None:
            initialisation = load_weights(network, run, split.classes)
        else:
            initialisation = Initialisation.from_json(saved["progress"]["initialisation"])
    state = TrainState(
        world, network, network,
        make_optimizer(network, run.train, initialisation.new, run.input.side), make_average(network, run.train),
        task_of(run).objective(split, run.train, world), initialisation.normalisation,
        run.train.precision, run.train.clip_norm, resources.accumulate,
        BestWeights() if run.select == "best_val" else None,
        make_augmentation(run.train), run.train.random_erasing, backbone,
    )  # fmt: skip
    progress = restore_checkpoint(saved, state.checkpoint_parts) if saved else Progress()
    progress.initialisation = asdict(initialisation)
    progress.notes += notes
    if len(set(world.gather((progress.epoch, progress.step)))) > 1:
        raise InputError(
            f"{directory.folder}: not all ranks see the same checkpoint; use a folder or URL that all nodes share"
        )
    return state.wrap_ddp(compiled=resources.compile), progress
