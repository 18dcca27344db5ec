"""The interface of backbones: networks up to their last map, divided into stages."""

from collections.abc import Sequence

import torch
from torch import nn

__all__ = ["Backbone"]


class Backbone(nn.Module):
    """A network up to its last maps: (B, 3, H, W) → a list of maps (B, C, h, w), from the finest to the last.

    Attributes:
        channels: The channels C of each map.
        sizes: The height and width (h, w) of each map for the network's input.
    """

    channels: tuple[int, ...]
    sizes: tuple[tuple[int, int], ...]

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        raise NotImplementedError

    def stages(self) -> Sequence[Sequence[nn.Module]]:
        """The layers with parameters, stage by stage from the input to the last map; each layer is in one stage."""
        raise NotImplementedError
