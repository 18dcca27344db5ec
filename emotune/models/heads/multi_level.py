"""MldrNet v2's fusion of levels (Rao et al. 2018) on maps of any backbone: see `emotune.models.networks.mldr_v2`."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from emotune.config.heads import MultiLevelHeadConfig
from emotune.models.dropout import SampleDropout
from emotune.models.networks.alexnet_backbone import initialise

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
        self.fc = nn.ModuleList(
            nn.Sequential(
                nn.Linear(config.channels, units), nn.ReLU(inplace=True), SampleDropout(config.dropout),
                nn.Linear(units, units), nn.ReLU(inplace=True), SampleDropout(config.dropout),
            )
            for _ in channels
        )  # fmt: skip
        self.output = nn.Linear((len(channels) if config.fusion == "concat" else 1) * units, classes)
        initialise(self, "he", width=1.0)

    def forward(self, maps: Sequence[torch.Tensor]) -> torch.Tensor:
        """Maps (B, C, H, W) from the finest to the last, each no smaller than the next → logits (B, K)."""
        levels = [lateral(x) for lateral, x in zip(self.laterals, maps, strict=True)]
        for below in reversed(range(len(levels) - 1)):
            levels[below] = levels[below] + F.interpolate(levels[below + 1], size=levels[below].shape[2:])
        vectors = [fc(level.mean(dim=(2, 3))) for fc, level in zip(self.fc, levels, strict=True)]  # each (B, units)
        match self.fusion:
            case "concat":
                return self.output(torch.cat(vectors, dim=1))
            case "max":
                return self.output(torch.stack(vectors).amax(0))
            case _:
                return self.output(torch.stack(vectors).mean(0))
