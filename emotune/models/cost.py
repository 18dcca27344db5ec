"""What a network costs: counted without memory for its weights, on torch's meta device."""

from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from emotune.config.model import ModelConfig
from emotune.models.build import build_on_meta
from emotune.models.local_response import LocalResponseNorm
from emotune.models.networks.backbone import SIDE

__all__ = ["Cost", "cost"]


@dataclass(frozen=True)
class Cost:
    """``parameters``, and ``forward_flops`` of one image of 227×227: two for a multiplication and an addition.

    None where they are not counted.

    As in papers, those of convolutions and matrix products. A step of training takes three times as many: one pass
    forward, and backward one for the gradients of maps and one for those of weights.
    """

    parameters: int
    forward_flops: int | None


def cost(config: ModelConfig, classes: int) -> Cost:
    """The cost of a config's network.

    >>> from emotune.config.model import AlexNetConfig
    >>> cost(AlexNetConfig(), classes=8)
    Cost(parameters=56901000, forward_flops=1440687168)
    """
    network = build_on_meta(config, classes).eval()
    images = torch.empty(1, 3, SIDE, SIDE, device="meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(images)
    counts = counter.get_flop_counts()
    # Its sum over channels is a convolution for speed only, and mostly multiplies with zeros.
    normalising = {
        f"{type(network).__name__}.{name}"
        for name, module in network.named_modules()
        if isinstance(module, LocalResponseNorm)
    }
    spared = sum(sum(counts[name].values()) for name in normalising if name in counts)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Cost(parameters, counter.get_total_flops() - spared)
