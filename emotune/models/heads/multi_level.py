"""MldrNet v2's fusion of levels (Rao et al. 2018) on maps of any backbone: see `emotune.models.networks.mldr_v2`."""

from collections.abc import Sequence

import torch
from torch import nn

from emotune.config.heads import MultiLevelHeadConfig
from emotune.models.networks.alexnet_backbone import initialise
from emotune.models.networks.mldr_v2 import fuse_maps, hidden_layers

__all__ = ["MultiLevelHead"]


class MultiLevelHead(nn.Module):
    """Maps of several stages: laterals, added top-down; per level the mean and two hidden layers; a fusion; the output.

    All layers have He's initial weights, as in our MldrNet v2.

    Args:
        config: The head's options.
        channels: The channels of each map, from the finest to the last.
        classes: The number of classes, K.
    """

    def __init__(self, config: MultiLevelHeadConfig, channels: Sequence[int], classes: int) -> None:
        super().__init__()
        self.fusion, units = config.fusion, config.units
        self.laterals = nn.ModuleList(nn.Conv2d(inputs, config.channels, 1) for inputs in channels)
        self.fc = nn.ModuleList(hidden_layers(config.channels, units, config.dropout) for _ in channels)
        self.output = nn.Linear((len(channels) if config.fusion == "concat" else 1) * units, classes)
        initialise(self, "he", width=1.0)

    def forward(self, maps: Sequence[torch.Tensor]) -> torch.Tensor:
        """Maps (B, C, H, W) from the finest to the last, each no smaller than the next → logits (B, K)."""
        levels = [lateral(x) for lateral, x in zip(self.laterals, maps, strict=True)]
        return self.output(fuse_maps(levels, self.fc, self.fusion))
