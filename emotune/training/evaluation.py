"""A network's logits of all pictures of a split, whatever the number of ranks that compute them."""

import math
from collections.abc import Callable, Sequence
from contextlib import closing

import numpy as np
import torch
from torch import nn

from emotune.data.augment import apply_views, evaluation_views
from emotune.data.batches import Split
from emotune.normalisation import IMAGENET, Normalisation
from emotune.training.distributed import World
from emotune.training.numerics import autocast

__all__ = ["average_logits", "evaluate"]

BATCH = 50


@torch.inference_mode()
def evaluate(
    network: nn.Module,
    pictures: Split,
    world: World,
    crops: int = 1,
    *,
    precision: str = "float32",
    normalisation: Normalisation = IMAGENET,
    watch: Callable[[int], None] = lambda evaluated: None,
) -> np.ndarray:
    """Logits of every picture, float32 (N, K), on all ranks: of its centre crop, or averaged over 5 or 10 crops.

    Each rank computes its share; each picture is counted exactly once, whatever the number of ranks. After each batch,
    ``watch`` is called with the number of pictures of this rank's share that are done.
    """
    network.eval()
    views = evaluation_views(len(pictures), crops)
    own, evaluated = [], 0
    batches = pictures.evaluation_batches(
        BATCH, rank=world.rank, world_size=world.size, pin=world.device.type == "cuda"
    )
    with closing(batches):
        for batch in batches:
            images = batch.on(world.device)
            # One view after another: memory does not grow with their number.
            with autocast(world.device, precision):
                seen = [network(apply_views(images, view, batch.indices, normalisation)).float() for view in views]
            own.append((batch.indices, average_logits(seen).cpu().numpy()))
            watch(evaluated := evaluated + len(batch.indices))
    logits = np.full((len(pictures), len(pictures.classes)), np.nan, np.float32)
    for part in world.gather(own):
        for indices, values in part:
            logits[indices] = values
    return logits


def average_logits(logits: Sequence[torch.Tensor]) -> torch.Tensor:
    """Logits (B, K) of the mean of the softmax outputs: its logarithm; of a single view, the logits as they are.

    Calculated with logarithms throughout, so that neither large logits nor small probabilities are lost.
    """
    if len(logits) == 1:
        return logits[0]
    return torch.stack([view.log_softmax(1) for view in logits]).logsumexp(0) - math.log(len(logits))
