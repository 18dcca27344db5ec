"""How a run begins, or goes on: resume → weights of others → scratch."""

from dataclasses import asdict

import torch

from emotune.data.batches import Split
from emotune.errors import InputError
from emotune.models import build
from emotune.models.weights import Initialisation, load_weights
from emotune.run import RunConfig
from emotune.run_directory import RunDirectory
from emotune.study import Resources
from emotune.training import checkpoint
from emotune.training.checkpoint import Progress
from emotune.training.distributed import World
from emotune.training.objective import make_objective
from emotune.training.optim import make_average, make_optimizer
from emotune.training.step import Learner

__all__ = ["begin"]


def begin(
    run: RunConfig, directory: RunDirectory, world: World, resources: Resources, pictures: Split
) -> tuple[Learner, Progress]:
    """What is trained, and how far it has come.

    A checkpoint has all that is left of the weights that the run began with: they are not read again.

    Args:
        run: What to train.
        directory: Where its checkpoint is, if it has one.
        world: The ranks that train it together.
        resources: How it is calculated.
        pictures: It is trained on.

    Raises:
        InputError: the weights that ``train.init`` names cannot be loaded, or ranks see different checkpoints.
    """
    torch.manual_seed(run.stream("init"))
    network = build(run.model, len(pictures.classes)).to(world.device, memory_format=torch.channels_last)
    saved = checkpoint.read(directory.folder, world.device)
    if saved is None:
        initialisation = load_weights(network, run, pictures.classes)
    else:
        former = saved["progress"].get("initialisation")  # a run from scratch may be older than the entry
        initialisation = Initialisation.from_json(former) if former else Initialisation()
    learner = Learner(
        world, network, network,
        make_optimizer(network, run.train, initialisation.new), make_average(network, run.train),
        make_objective(pictures, run.train), initialisation.normalisation,
        run.train.precision, run.train.clip_norm, resources.accumulate,
    )  # fmt: skip
    progress = checkpoint.restore(saved, learner.parts) if saved else Progress()
    progress.initialisation = asdict(initialisation)
    if len(set(world.gather((progress.epoch, progress.step)))) > 1:
        raise InputError(
            f"{directory.folder}: not all ranks see the same checkpoint; name a place that all nodes reach"
        )
    return learner.together(compiled=resources.compile), progress
