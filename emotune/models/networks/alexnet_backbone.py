"""What the networks share: AlexNet up to its penultimate layer, the factor on its width, and its first weights."""

import math

import torch
from torch import nn

from emotune.config.input_spec import InputSpec

__all__ = ["POSITIONS", "SIDE", "AlexNetBackbone", "channels", "initialise"]

POSITIONS = 36
"""Positions of the last map: 6×6 for images of `SIDE`."""

SIDE = InputSpec.side
"""The side of images in pixels, 227: with it, and only with it, the last pooling gives 6×6 positions (the thesis,
section 3)."""


def channels(paper: int, width: float) -> int:
    """The paper's number of channels or units times ``width``, rounded to an even number that two towers can share.

    >>> channels(96, 1.0), channels(96, 0.125)
    (96, 12)
    """
    return max(2, 2 * round(paper * width / 2))


class AlexNetBackbone(nn.Module):
    """An AlexNet of either kind up to its penultimate layer: (B, 3, 227, 227) → (B, 4096 × width).

    Networks call theirs ``trunk``: initial weights and weights files depend on the paths of parameters, so neither that
    name nor the names of the parts below can change.

    Args:
        convolutions: conv1 … conv5 with their pooling, (B, 3, 227, 227) → (B, 256, 6, 6).
        fc: A flattening layer, fc6 and fc7.
        attention: The layer between the last pooling and fc6; it gives a map, or a vector per image for fc6.
    """

    def __init__(self, convolutions: nn.Sequential, fc: nn.Sequential, attention: nn.Module | None = None) -> None:
        super().__init__()
        self.convolutions = convolutions
        self.attention = attention or nn.Identity()
        self.fc = fc

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.after_convolutions(self.convolutions(x))

    def after_convolutions(self, x: torch.Tensor) -> torch.Tensor:
        """The penultimate layer's values: (B, 256 × width, 6, 6) → (B, 4096 × width)."""
        return self.fc(self.attention(x))


def initialise(network: nn.Module, weight_init: str, width: float) -> None:
    """Draws all weights of convolutions and fully connected layers.

    Args:
        network: The network whose parameters are drawn, in place.
        weight_init: ``ksh12`` (KSH12, section 5): N(0, 0.01²), with biases of 1 in conv2, conv4, conv5 and the hidden
            fully connected layers of every `AlexNetBackbone`, and 0 elsewhere. ``he`` (He et al. 2015): N(0, 2/fan-in)
            with biases of 0, which starts learning sooner.
        width: The factor on channels and units. With ``ksh12``, layers behind the first get 0.01/√width in place of
            0.01, so that signals in narrow networks have the variance that they have in the paper's.
    """
    for module in network.modules():
        if not isinstance(module, nn.Conv2d | nn.Linear):
            continue
        if weight_init == "he":
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        else:
            first = isinstance(module, nn.Conv2d) and module.in_channels == 3
            nn.init.normal_(module.weight, std=0.01 if first else 0.01 / math.sqrt(width))
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    if weight_init == "ksh12":
        for backbone in (m for m in network.modules() if isinstance(m, AlexNetBackbone)):
            _, conv2, _, conv4, conv5 = (m for m in backbone.convolutions if isinstance(m, nn.Conv2d))
            linears = [m for m in backbone.fc if isinstance(m, nn.Linear)]
            biased: list[nn.Conv2d | nn.Linear] = [conv2, conv4, conv5, *linears]
            for module in biased:
                if module.bias is not None:
                    nn.init.ones_(module.bias)
