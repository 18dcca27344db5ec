"""A step of gradient descent: the same for any number of ranks, and of pieces that a rank's share is computed in."""

from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from emotune.config.normalisation import IMAGENET, Normalisation
from emotune.data.augment import CropBoxes, crop_and_normalise
from emotune.data.read.batches import Batch
from emotune.models.dropout import set_dropout_seeds
from emotune.training.checkpoint import Stateful
from emotune.training.distributed import World
from emotune.training.loss import Objective, losses
from emotune.training.precision import autocast
from emotune.training.selection import BestWeights

__all__ = ["EpochRandomness", "StepResult", "TrainState", "backward", "take_step"]


@dataclass(frozen=True)
class EpochRandomness:
    """What an epoch draws for every image of the split: how it is seen, and a seed of its dropout, int64 (N,)."""

    crops: CropBoxes
    dropout_seeds: np.ndarray


@dataclass(frozen=True)
class TrainState:
    """What steps change, and how.

    Attributes:
        world: The ranks that take them together.
        network: As this rank has it.
        ddp_model: The same with gradients averaged over ranks; compiled, if it is to be.
        optimizer: Of its parameters.
        average: The moving average of its weights, if one is kept.
        objective: Of the training images.
        normalisation: Of the images that it sees.
        precision: Of `TrainConfig`.
        clip_norm: Of `TrainConfig`.
        accumulate: Pieces of a rank's share.
        best: The weights that validated best, if these are to be tested.
    """

    world: World
    network: nn.Module
    ddp_model: nn.Module
    optimizer: torch.optim.Optimizer
    average: AveragedModel | None
    objective: Objective
    normalisation: Normalisation = IMAGENET
    precision: str = "float32"
    clip_norm: float | None = None
    accumulate: int = 1
    best: BestWeights | None = None

    @property
    def checkpoint_parts(self) -> dict[str, Stateful]:
        """By name, everything whose state a checkpoint must hold."""
        parts = {"network": self.network, "optimizer": self.optimizer, "average": self.average, "best": self.best}
        return {name: part for name, part in parts.items() if part is not None}

    @property
    def result(self) -> nn.Module:
        """The network that is validated and tested."""
        return self.network if self.average is None else self.average.module

    def wrap_ddp(self, *, compiled: bool) -> "TrainState":
        """This learner when its weights are in place: from now on, ranks average their gradients."""
        parallel = self.world.wrap(self.network)
        if not compiled:
            return replace(self, ddp_model=parallel)
        torch.compiler.reset()  # a function is compiled a few times at most, and earlier runs in this process count
        return replace(self, ddp_model=torch.compile(parallel))


@dataclass(frozen=True)
class StepResult:
    """What a step on a global batch found before it changed the weights; the same on all ranks.

    ``loss`` is the batch's; ``correct`` counts right answers; ``norm`` is the gradient's before clipping, if clipped.
    """

    loss: float
    correct: int
    norm: float | None = None

    @property
    def numbers(self) -> dict[str, float]:
        """What must be finite."""
        return {"loss": self.loss} | ({} if self.norm is None else {"gradient's norm": self.norm})


def take_step(state: TrainState, batch: Batch, randomness: EpochRandomness, lr: float) -> StepResult:
    """One step of gradient descent on a global batch."""
    found = backward(state, batch, randomness)
    if state.clip_norm is not None:  # all ranks have the whole batch's gradient, and so the same norm
        norm = nn.utils.clip_grad_norm_(state.network.parameters(), state.clip_norm)
        found = torch.cat([found, norm[None]])
    loss, correct, *norms = found.tolist()  # all at once: a GPU is waited for
    for group in state.optimizer.param_groups:
        group["lr"] = lr * group.get("multiplier", 1.0)  # a checkpoint may be older than the entry
    state.optimizer.step()
    if state.average is not None:
        state.average.update_parameters(state.network)
    return StepResult(loss, int(correct), *norms)


def backward(state: TrainState, batch: Batch, randomness: EpochRandomness) -> torch.Tensor:
    """Puts the gradient of a global batch's loss in place, on every rank; gives the loss and the right answers (2,)."""
    world, objective, size = state.world, state.objective, len(batch.indices)
    images = batch.images_on(world.device)
    targets, target_probs, weights, seeds = (
        torch.from_numpy(values[batch.indices]).to(world.device, non_blocking=True)
        for values in (objective.targets, objective.target_probs, objective.weights, randomness.dropout_seeds)
    )
    parts = weights / world.sum(weights.sum(dtype=torch.float64))  # of the global batch; all ranks' sum to 1
    sums = torch.zeros(2, dtype=torch.float64, device=world.device)
    state.optimizer.zero_grad(set_to_none=True)
    pieces = min(state.accumulate, max(size, 1))  # a share may be empty; the other ranks wait for its gradient
    bounds = [size * piece // pieces for piece in range(pieces + 1)]
    for start, end in pairwise(bounds):
        own = slice(start, end)
        together = end == size or world.size == 1
        with nullcontext() if together else state.ddp_model.no_sync():
            set_dropout_seeds(state.network, seeds[own])
            with autocast(world.device, state.precision):
                logits = state.ddp_model(
                    crop_and_normalise(images[own], randomness.crops, batch.indices[own], state.normalisation)
                )
            loss = (losses(logits, target_probs[own]) * parts[own]).sum()
            (loss * world.size).backward()  # DDP averages over ranks
        sums += torch.stack([loss.detach(), (logits.argmax(1) == targets[own]).sum()])
    return world.sum(sums)
