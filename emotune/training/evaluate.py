"""What a network says of all images of a split, whatever the number of ranks that compute it."""

import math
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from statistics import fmean

import numpy as np
import torch
from torch import nn

from emotune.config.normalisation import IMAGENET, Normalisation
from emotune.config.resources import EVALUATION_BATCH_SIZE
from emotune.data.augment import crop_and_normalise, evaluation_crops
from emotune.data.read.batches import Split
from emotune.models.networks.attention import record_attention
from emotune.training.distributed import World
from emotune.training.precision import autocast

__all__ = ["Outputs", "average_logits", "evaluate"]


@dataclass(frozen=True)
class Outputs:
    """What a network says of all images of a split.

    Attributes:
        logits: float32 (N, K), of the centre crop, or averaged over crops.
        attention: By the dotted name of each attention layer, its weights of the positions in the centre crop, float32
            (N, P), which sum to one.
    """

    logits: np.ndarray
    attention: dict[str, np.ndarray]

    @property
    def attention_entropy(self) -> float | None:
        """Of the weights, in nats, mean over images and layers: log P if all weigh the same; None without layers."""
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
    normalisation: Normalisation = IMAGENET,
    watch: Callable[[int], None] = lambda evaluated: None,
) -> Outputs:
    """What the network says of every image, on all ranks: of its centre crop, or averaged over 5 or 10 crops.

    Each rank computes its share; each image is counted exactly once, whatever the number of ranks. After each batch,
    ``watch`` is called with the number of images of this rank's share that are done.
    """
    network.eval()
    views = evaluation_crops(len(split), crops)
    own, evaluated = [], 0
    batches = split.evaluation_batches(
        EVALUATION_BATCH_SIZE, rank=world.rank, world_size=world.size, pin=world.device.type == "cuda"
    )
    with closing(batches):
        for batch in batches:
            images = batch.images_on(world.device)
            # One view after another: memory does not grow with their number.
            with (
                autocast(world.device, precision),
                record_attention(network) as weights,
            ):  # of the first view, the centre
                seen = [
                    network(crop_and_normalise(images, view, batch.indices, normalisation)).float() for view in views
                ]
            noted = {name: values.cpu().numpy() for name, values in weights.items()}
            own.append((batch.indices, average_logits(seen).cpu().numpy(), noted))
            watch(evaluated := evaluated + len(batch.indices))
    parts = [part for parts in world.gather(own) for part in parts]
    logits = _placed(len(split), [(indices, values) for indices, values, _ in parts])
    attention = {
        name: _placed(len(split), [(indices, noted[name]) for indices, _, noted in parts]) for name in parts[0][2]
    }
    return Outputs(logits, attention)


def _placed(count: int, parts: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """The rows of all images, float32 (N, …), from (indices, rows); NaN where there are none."""
    rows = np.full((count, parts[0][1].shape[1]), np.nan, np.float32)
    for indices, values in parts:
        rows[indices] = values
    return rows


def average_logits(logits: Sequence[torch.Tensor]) -> torch.Tensor:
    """Logits (B, K) of the mean of the softmax outputs: its logarithm; of a single view, the logits as they are.

    Calculated with logarithms throughout, so that neither large logits nor small probabilities are lost.
    """
    if len(logits) == 1:
        return logits[0]
    return torch.stack([view.log_softmax(1) for view in logits]).logsumexp(0) - math.log(len(logits))
