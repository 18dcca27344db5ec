"""A training step on a global batch, the same for any number of ranks and of pieces that their shares are cut into."""

import hashlib
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from emotune.config.normalisation import IMAGENET, Normalisation
from emotune.data.augment import crop_and_normalise, frames_of
from emotune.data.augmentation_policies import Augmentation, erase
from emotune.data.mixing import Mixture
from emotune.data.read.batches import Batch
from emotune.models.dropout import set_dropout_seeds
from emotune.models.networks.backbone_network import BackboneNetwork
from emotune.models.networks.fixed_features import Features
from emotune.training.checkpoint import Stateful
from emotune.training.distributed import World
from emotune.training.epoch_randomness import EpochRandomness
from emotune.training.loss import Objective
from emotune.training.precision import autocast
from emotune.training.selection import BestWeights

__all__ = ["SeesImages", "StepResult", "TrainState", "backward", "network_inputs", "take_step"]


class SeesImages(Protocol):
    """The settings that decide how images are seen, a dataclass: a network in training, or in a test elsewhere."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def world(self) -> World: ...
    @property
    def normalisation(self) -> Normalisation: ...
    @property
    def precision(self) -> str: ...
    @property
    def augmentation(self) -> Augmentation | None: ...
    @property
    def random_erasing(self) -> float: ...


@dataclass(frozen=True)
class TrainState:
    """A network in training with everything that a step uses or changes.

    Attributes:
        world: The ranks that train together.
        network: The network on this rank.
        ddp_model: The network in a wrapper that averages gradients over ranks, and compiled if that is asked for.
        optimizer: The optimizer of the network's parameters.
        average: The exponential moving average of the weights, if there is one.
        objective: The targets and weights of the training images.
        normalisation: The normalisation of the images that the network sees.
        precision: The ``precision`` of `TrainConfig`.
        clip_norm: The ``clip_norm`` of `TrainConfig`.
        accumulate: The number of pieces in which a rank computes its share of a batch.
        best: The weights with the highest validation accuracy, if those are to be tested.
        augmentation: The augmentation of cropped training images, if there is one.
        random_erasing: The ``random_erasing`` of `TrainConfig`.
        backbone: If the head alone is trained, so that ``network`` is the head: the whole network, which computes the
            features of images that are not kept.
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
    augmentation: Augmentation | None = None
    random_erasing: float = 0.0
    backbone: BackboneNetwork | None = None

    @property
    def checkpoint_parts(self) -> dict[str, Stateful]:
        """By name, everything whose state a checkpoint must hold."""
        parts: dict[str, Stateful | None] = {
            "network": self.network,
            "optimizer": self.optimizer,
            "average": self.average,
            "best": self.best,
        }
        return {name: part for name, part in parts.items() if part is not None}

    @property
    def result(self) -> nn.Module:
        """The network that is validated and tested: the average of the weights, if there is one."""
        return self.network if self.average is None else self.average.module

    def finished_network(self) -> nn.Module:
        """The whole network with the weights of `result`, once training has ended."""
        if self.backbone is None:
            return self.result
        for name, part in self.result.named_children():  # the head, and of clips what makes one of their frames
            self.backbone.get_submodule(name).load_state_dict(part.state_dict())
        return self.backbone

    def wrap_ddp(self, *, compiled: bool) -> "TrainState":
        """The state with gradients averaged over ranks, to be called once the weights are loaded."""
        model = self.world.wrap(self.network)
        if not compiled:
            return replace(self, ddp_model=model)
        torch.compiler.reset()  # torch compiles a function only a few times per process, and earlier runs count
        compiled_model: Any = torch.compile(model)  # a module, as the model is one
        return replace(self, ddp_model=compiled_model)


@dataclass(frozen=True)
class StepResult:
    """The measurements of a step on a global batch before its update, the same on all ranks.

    Attributes:
        loss: The loss of the batch.
        correct: The number of images that were classified correctly; of a mixture, the label with the greater share.
        norm: The gradient norm before clipping; None without gradient clipping.
    """

    loss: float
    correct: int
    norm: float | None = None

    @property
    def numbers(self) -> dict[str, float]:
        """The numbers that must be finite, by name."""
        return {"loss": self.loss} | ({} if self.norm is None else {"gradient norm": self.norm})


def take_step(state: TrainState, batch: Batch, randomness: EpochRandomness, lr: float) -> StepResult:
    """Takes a step of gradient descent on a global batch.

    Args:
        state: The network in training, which the step changes.
        batch: This rank's share of the batch.
        randomness: The epoch's random choices.
        lr: The learning rate.
    """
    measurements = backward(state, batch, randomness)
    if state.clip_norm is not None:  # all ranks have the gradient of the whole batch
        norm = nn.utils.clip_grad_norm_(state.network.parameters(), state.clip_norm)
        measurements = torch.cat([measurements, norm[None]])
    loss, correct, *norms = measurements.tolist()  # all at once, because each transfer waits for the GPU
    for group in state.optimizer.param_groups:
        group["lr"] = lr * group["multiplier"]
    state.optimizer.step()
    if state.average is not None:
        state.average.update_parameters(state.network)
    return StepResult(loss, int(correct), *norms)


def backward(state: TrainState, batch: Batch, randomness: EpochRandomness) -> torch.Tensor:
    """Computes the gradient of a global batch's loss on every rank; returns the loss and the number of correct images.

    Returns:
        Both as a tensor, float64 (2,), the same on all ranks.
    """
    world, objective, size = state.world, state.objective.of(batch.indices, batch.mixture), len(batch.indices)
    target_probs, weights = objective.target_probs, objective.weights
    images, dropout_seeds = batch.images_on(world.device), randomness.dropout_seeds[batch.indices]
    seeds = torch.from_numpy(dropout_seeds).to(world.device, non_blocking=True)
    shares = weights / world.sum(weights.sum(dtype=torch.float64))  # those of all ranks sum to 1
    sums = torch.zeros(2, dtype=torch.float64, device=world.device)
    for group in state.optimizer.param_groups:  # optimizer.zero_grad takes as long as a small head's forward pass
        for parameter in group["params"]:
            parameter.grad = None
    pieces = min(state.accumulate, max(size, 1))  # at least one: other ranks wait for the gradient of an empty share
    model: Any = state.ddp_model  # no_sync is DistributedDataParallel's
    bounds = [size * piece // pieces for piece in range(pieces + 1)]
    for number, (start, end) in enumerate(pairwise(bounds)):
        piece = slice(start, end)
        last = end == size or world.size == 1
        with nullcontext() if last else model.no_sync():  # gradients are exchanged once
            inputs = _inputs(state, images, batch, piece, randomness)
            set_dropout_seeds(state.network, seeds[piece])
            _seed_generators(world.device, randomness.network_seed, batch.number, number)
            with autocast(world.device, state.precision):
                outputs = model(inputs)
            outputs = outputs if isinstance(outputs, tuple) else (outputs,)
            logits = outputs[0]  # those of the branch that predicts
            losses = [objective.loss(one.float(), target_probs[piece], weights[piece]) for one in outputs]
            mean = losses[0] if len(losses) == 1 else sum(losses[1:], losses[0]) / len(losses)
            loss = (mean * shares[piece]).sum()
            (loss if world.size == 1 else loss * world.size).backward()  # DDP averages over ranks
        sums += torch.stack([loss.detach(), objective.correct(logits, piece)])
    return world.sum(sums)


def _seed_generators(device: torch.device, *key: int) -> None:
    """Seeds torch's default generators before a pass, the same on all ranks.

    So a network that draws from them, such as one with stochastic depth, draws the same after an interruption, and no
    rank skips a layer that another computes. This takes microseconds, and networks that draw nothing do not notice it.
    """
    seed = int.from_bytes(hashlib.sha256(repr(key).encode()).digest()[:8], "big") >> 1
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


def _inputs(
    state: TrainState,
    images: Sequence[torch.Tensor] | torch.Tensor,
    batch: Batch,
    piece: slice,
    randomness: EpochRandomness,
) -> torch.Tensor | Features:
    """What the network in training gets of a piece of a batch: images, or features, which are read or computed."""
    if batch.features:
        return [one[piece].to(state.world.device, non_blocking=True) for one in batch.features[0]]
    if batch.mixture is not None:
        return _mixed_inputs(state, images, batch, batch.mixture, piece, randomness)
    inputs = network_inputs(state, images[piece], batch.indices[piece], randomness)
    if state.backbone is None:
        return inputs
    with autocast(state.world.device, state.precision):
        return state.backbone.features(inputs)


def network_inputs(
    state: SeesImages, images: Sequence[torch.Tensor] | torch.Tensor, indices: np.ndarray, randomness: EpochRandomness
) -> torch.Tensor:
    """The network's inputs for training images: cropped, augmented, normalised, and partly erased.

    Args:
        state: How images are seen, for example by the network in training.
        images: The B images, each uint8 (resize, resize, 3) as of the run's `InputSpec`; or clips of so many frames
            each, all of which are changed alike.
        indices: The images' positions in the split, (B,).
        randomness: The epoch's random choices.

    Returns:
        float32 (B, 3, side, side), channels last; of clips (B, frames, 3, side, side).
    """
    frames = frames_of(images) or 1

    def generators(seeds: np.ndarray) -> list[torch.Generator]:
        return [torch.Generator().manual_seed(seed) for seed in np.repeat(seeds[indices], frames).tolist()]

    augment = None
    if state.augmentation is not None:
        augment = partial(_augment, state.augmentation, generators(randomness.augment_seeds))
    inputs = crop_and_normalise(images, randomness.crops, indices, state.normalisation, augment)
    if state.random_erasing:
        erase(inputs.flatten(0, -4), state.random_erasing, generators(randomness.erasing_seeds))
    return inputs


def _mixed_inputs(
    state: TrainState,
    images: Sequence[torch.Tensor] | torch.Tensor,
    batch: Batch,
    mixture: Mixture,
    piece: slice,
    randomness: EpochRandomness,
) -> torch.Tensor:
    """The network's inputs for a piece of a batch whose images are mixed; partners are prepared like any image."""
    pair = batch.indices[piece], mixture.partners[piece]
    needed, places = np.unique(np.concatenate(pair), return_inverse=True)  # no image is prepared twice
    rows = np.searchsorted(batch.loaded, needed).tolist()
    chosen = images[rows] if isinstance(images, torch.Tensor) else [images[row] for row in rows]
    inputs = network_inputs(state, chosen, needed, randomness)
    pixels = inputs.movedim(-3, -1)  # in the order of memory, which taking rows then keeps
    own, partners = (pixels[rows].movedim(-1, -3) for rows in torch.from_numpy(places).to(pixels.device).chunk(2))
    mixture.mix(own, partners)
    return own


def _augment(augmentation: Augmentation, generators: list[torch.Generator], images: torch.Tensor) -> torch.Tensor:
    return augmentation(images, generators)
