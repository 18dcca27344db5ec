"""The cost of a network, its parameters and FLOPs, counted on torch's meta device without memory for its weights."""

import json
from dataclasses import asdict, dataclass

import torch

from emotune.config.input_spec import InputSpec
from emotune.config.model import ModelConfig
from emotune.models.build import build_for_inspection, inspection_device
from emotune.models.local_response import LocalResponseNorm

__all__ = ["Cost", "cost"]


@dataclass(frozen=True)
class Cost:
    """The cost of a model.

    A training step takes three times the forward FLOPs: one pass forward, and on the way back one for the gradients of
    maps and one for those of weights.

    Attributes:
        parameters: The number of parameters.
        forward_flops: The floating-point operations for one image of the network's size, two for a multiplication and
            an addition. As in papers, only convolutions and matrix products count. None for models that are not
            networks.
    """

    parameters: int
    forward_flops: int | None


_counted: dict[str, Cost] = {}


def cost(config: ModelConfig, classes: int, input_spec: InputSpec = InputSpec()) -> Cost:
    """The parameters and FLOPs of a config's network for images of a size, counted once per process.

    >>> from emotune.config.model import AlexNetConfig
    >>> cost(AlexNetConfig(), classes=8)
    Cost(parameters=56901000, forward_flops=1440687168)
    """
    key = json.dumps([asdict(config), classes, asdict(input_spec)], sort_keys=True, default=str)
    if key not in _counted:
        _counted[key] = _count(config, classes, input_spec)
    return _counted[key]


def _count(config: ModelConfig, classes: int, input_spec: InputSpec) -> Cost:
    from torch.utils.flop_counter import FlopCounterMode  # late: it imports triton

    network = build_for_inspection(config, classes, input_spec).eval()
    frames = [input_spec.frames] if input_spec.frames > 1 else []
    images = torch.zeros(1, *frames, 3, input_spec.side, input_spec.side, device=inspection_device(config))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(images)
    counts = counter.get_flop_counts()
    # The normalisation's sum over channels is a convolution only for speed, and mostly multiplies with zeros.
    normalisations = {
        f"{type(network).__name__}.{name}"
        for name, module in network.named_modules()
        if isinstance(module, LocalResponseNorm)
    }
    not_counted = sum(sum(counts[name].values()) for name in normalisations if name in counts)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Cost(parameters, counter.get_total_flops() - not_counted)
