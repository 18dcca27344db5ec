"""Evaluating a network on a split, with the same outputs for any number of ranks."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from statistics import fmean

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from emotune.config.input_spec import InputSpec
from emotune.config.normalisation import IMAGENET, Normalisation
from emotune.config.resources import EVALUATION_BATCH_SIZE
from emotune.data.augment import crop_and_normalise, evaluation_crops
from emotune.data.read.batches import Batch, Split
from emotune.models.networks.attention import record_attention
from emotune.models.networks.backbone_network import BackboneNetwork
from emotune.models.networks.clips import FRAMES_LAYER, of_samples
from emotune.models.networks.fixed_features import Features
from emotune.training.distributed import World
from emotune.training.distribution_losses import Readout
from emotune.training.precision import autocast

__all__ = ["Outputs", "average_logits", "evaluate"]

LOWEST_SHARE = 1e-10
"""The smallest share in a cross-entropy, which would be infinite for the label of a single image with a share of 0."""


@dataclass(frozen=True)
class Outputs:
    """A network's outputs for all images of a split.

    Attributes:
        logits: The logits, float32 (N, K), for the centre crop or averaged over crops.
        attention: The attention weights of each layer by its dotted name, float32 (N, P): for the positions of the
            centre crop, of clips the means over their frames. They sum to one.
        over_frames: The attention weights of the frames of clips, float32 (N, T), for the centre crop; None without
            attention over frames.
        are_shares: Whether the logits are logarithms of shares, which are -inf for a share of 0.
    """

    logits: np.ndarray
    attention: dict[str, np.ndarray]
    over_frames: np.ndarray | None = None
    are_shares: bool = False

    @property
    def are_finite(self) -> bool:
        """Whether no logit shows that the network has diverged."""
        return bool((np.isfinite(self.logits) | (self.are_shares & np.isneginf(self.logits))).all())

    def cross_entropy(self, targets: np.ndarray) -> float:
        """The mean cross-entropy with the labels in nats; shares of 0 count as `LOWEST_SHARE`.

        Args:
            targets: The images' class indices, int64 (N,).
        """
        logits = np.maximum(self.logits, np.float32(math.log(LOWEST_SHARE))) if self.are_shares else self.logits
        return F.cross_entropy(torch.from_numpy(logits), torch.from_numpy(targets)).item()

    @property
    def attention_entropy(self) -> float | None:
        """The mean entropy of the attention weights in nats, log P if they are equal; None without attention."""
        layers = [torch.from_numpy(weights).double() for weights in self.attention.values()]
        return fmean(torch.special.entr(weights).sum(1).mean().item() for weights in layers) if layers else None


@torch.inference_mode()
def evaluate(
    network: nn.Module,
    split: Split,
    world: World,
    crops: int = 1,
    *,
    precision: str = "float32",
    input_spec: InputSpec = InputSpec(),
    normalisation: Normalisation = IMAGENET,
    backbone: BackboneNetwork | None = None,
    readout: Readout | None = None,
    average: Callable[[Sequence[torch.Tensor]], torch.Tensor] | None = None,
    on_batch: Callable[[int], None] = lambda evaluated: None,
) -> Outputs:
    """The network's outputs for every image, on all ranks.

    Each rank computes its share, and each image is computed exactly once.

    Args:
        network: The network.
        split: The images.
        world: The ranks that evaluate together.
        crops: The number of crops over which outputs are averaged: 1 (the centre), 5 or 10.
        precision: The ``precision`` of `TrainConfig`.
        input_spec: The input of the network, which gives the side of the crops.
        normalisation: The normalisation of the images that the network sees.
        backbone: If ``network`` is only the head, which gets features: the whole network, whose backbone computes them
            unless the split has them.
        readout: What makes logits of the network's outputs, if they are none.
        average: What makes one output of those of several views; None: `average_logits`.
        on_batch: A function that is called after each batch with the number of images that this rank has done.
    """
    network.eval()
    views = evaluation_crops(len(split), crops, input_spec)

    def inputs(batch: Batch) -> Iterator[torch.Tensor | Features]:
        """What the network gets, one view after another."""
        for features in batch.features:
            yield [one.to(world.device, non_blocking=True) for one in features]
        images = batch.images_on(world.device)
        for view in () if batch.features else views:
            pixels = crop_and_normalise(images, view, batch.indices, normalisation)
            yield pixels if backbone is None else backbone.features(pixels)

    share, evaluated = [], 0
    batches = split.evaluation_batches(
        EVALUATION_BATCH_SIZE, rank=world.rank, world_size=world.size, pin=world.device.type == "cuda", crops=crops
    )
    with closing(batches):
        for batch in batches:
            # One view after another, so that memory does not grow with their number; attention is that of the centre.
            with autocast(world.device, precision), record_attention(network) as weights:
                outputs = [network(one).float() for one in inputs(batch)]
            logits = [one if readout is None else readout(one) for one in outputs]
            attention = {name: of_samples(values, len(batch.indices)).cpu().numpy() for name, values in weights.items()}
            share.append((batch.indices, (average or average_logits)(logits).cpu().numpy(), attention))
            on_batch(evaluated := evaluated + len(batch.indices))
    parts = [part for parts in world.gather(share) for part in parts]
    attention = {
        name: _in_order(len(split), [(indices, attention[name]) for indices, _, attention in parts])
        for name in parts[0][2]
    }
    over_frames = attention.pop(f"{FRAMES_LAYER}.map", None)
    in_order = _in_order(len(split), [(indices, logits) for indices, logits, _ in parts])
    return Outputs(in_order, attention, over_frames, are_shares=readout is not None)


def _in_order(count: int, parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """The rows of all images in the split's order, float32 (N, …), from pairs of indices and rows."""
    rows = np.full((count, parts[0][1].shape[1]), np.nan, np.float32)
    for indices, values in parts:
        rows[indices] = values
    return rows


def average_logits(logits: Sequence[torch.Tensor]) -> torch.Tensor:
    """The logarithm of the mean softmax output of several views, (B, K); the logits themselves for a single view.

    It is computed from logarithms throughout, so that large logits and small probabilities keep their precision.
    """
    if len(logits) == 1:
        return logits[0]
    return torch.stack([view.log_softmax(1) for view in logits]).logsumexp(0) - math.log(len(logits))
