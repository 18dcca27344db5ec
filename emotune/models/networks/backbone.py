"""What the networks share: AlexNet up to its penultimate layer in parts, how narrow it is, and its first weights."""

import math

import torch
from torch import nn

__all__ = ["POSITIONS", "SIDE", "Backbone", "channels", "initialise"]

SIDE = 227
"""Of the images, in pixels."""

POSITIONS = 36
"""6×6 positions of the last pooling, for images of 227×227."""


def channels(paper: int, width: float) -> int:
    """The paper's number of channels or units times ``width``, even so that two towers can share it.

    >>> channels(96, 1.0), channels(96, 0.125)
    (96, 12)
    """
    return max(2, 2 * round(paper * width / 2))


class Backbone(nn.Module):
    """AlexNet, of whichever kind, up to its penultimate layer: (B, 3, 227, 227) → (B, 4096 × width).

    Args:
        convolutions: conv1 … conv5 with their pooling: → (B, 256, 6, 6).
        fc: Flattens, then fc6 and fc7.
        attention: What stands between the last pooling and fc6; gives a map, or (B, inputs of fc6).
    """

    def __init__(self, convolutions: nn.Sequential, fc: nn.Sequential, attention: nn.Module | None = None) -> None:
        super().__init__()
        self.convolutions = convolutions
        self.attention = attention or nn.Identity()
        self.fc = fc

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.convolutions(x))

    def head(self, x: torch.Tensor) -> torch.Tensor:
        """What follows the convolutions: (B, 256, 6, 6) → (B, 4096), channels and units times the width."""
        return self.fc(self.attention(x))


def initialise(network: nn.Module, weight_init: str, width: float) -> None:
    """Draws all weights of convolutions and fully connected layers.

    ``ksh12`` (KSH12, section 5): N(0, 0.01²); biases 1 in conv2, conv4, conv5 and the hidden fully connected layers of
    every `Backbone`, else 0. Narrow networks get 0.01/√width behind the first layer, so that signals have the variance
    they have in the paper's. ``he`` (He et al. 2015): N(0, 2/fan-in), biases 0, which starts learning sooner.
    """
    for module in network.modules():
        if not isinstance(module, nn.Conv2d | nn.Linear):
            continue
        if weight_init == "he":
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        else:
            first = isinstance(module, nn.Conv2d) and module.in_channels == 3
            nn.init.normal_(module.weight, std=0.01 if first else 0.01 / math.sqrt(width))
        nn.init.zeros_(module.bias)
    if weight_init == "ksh12":
        for trunk in (m for m in network.modules() if isinstance(m, Backbone)):
            _, conv2, _, conv4, conv5 = (m for m in trunk.convolutions if isinstance(m, nn.Conv2d))
            for module in (conv2, conv4, conv5, *(m for m in trunk.fc if isinstance(m, nn.Linear))):
                nn.init.ones_(module.bias)
