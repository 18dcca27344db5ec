"""How a run begins, or goes on: resume → weights of others → scratch."""

from collections.abc import Sequence
from dataclasses import asdict

import torch
from torch import nn

from emotune.models.weights import Initialisation, load_weights
from emotune.run import RunConfig
from emotune.storage import Folder
from emotune.training import checkpoint
from emotune.training.checkpoint import Progress
from emotune.training.optim import make_optimizer

__all__ = ["start"]


def start(
    folder: Folder, run: RunConfig, network: nn.Module, classes: Sequence[str], device: torch.device
) -> tuple[torch.optim.Optimizer, Progress, Initialisation]:
    """The optimizer of a freshly drawn network and how far it has come; the network gets its weights.

    A checkpoint has all that is left of the weights that the run began with: they are not read again.

    Raises:
        InputError: the weights that ``train.init`` names cannot be loaded.
    """
    saved = checkpoint.read(folder, device)
    if saved is None:
        initialisation = load_weights(network, run, classes)
    else:
        former = saved["progress"].get("initialisation")  # a run from scratch may be older than the entry
        initialisation = Initialisation.from_json(former) if former else Initialisation()
    optimizer = make_optimizer(network, run.train, initialisation.new)
    progress = checkpoint.restore(saved, network, optimizer) if saved else Progress()
    progress.initialisation = asdict(initialisation)
    return optimizer, progress, initialisation
