"""MldrNet v1's pyramid of patches over one shared backbone, after `emotune.models.networks.mldr`."""

from collections.abc import Sequence

import torch
from torch import nn

from emotune.config.heads import PatchesHeadConfig
from emotune.models.dropout import SampleDropout
from emotune.models.networks.mldr import aggregate, fuse_levels, fusion_layer

__all__ = ["PatchesHead"]


class PatchesHead(nn.Module):
    """Logits of each patch from the mean over its positions, aggregated within a level, and fused over levels.

    MldrNet has a network for each level; here each level has an output layer, and all share the backbone.

    Args:
        config: The head's options.
        channels: The channels of the last map, C.
        classes: The number of classes, K.
    """

    def __init__(self, config: PatchesHeadConfig, channels: int, classes: int) -> None:
        super().__init__()
        self.aggregation, self.fusion = config.aggregation, config.fusion
        levels = len(config.levels)
        self.dropout = SampleDropout(config.dropout)
        self.outputs = nn.ModuleList(nn.Linear(channels, classes) for _ in range(levels))
        self.fuse = fusion_layer(levels, classes) if config.fusion == "concat" else None

    def forward(self, maps: Sequence[torch.Tensor]) -> torch.Tensor:
        """For each level of the pyramid the maps of its P patches, (B, P, C, H, W) → logits (B, K)."""
        levels = [self.level(x, output) for x, output in zip(maps, self.outputs, strict=True)]
        return fuse_levels(levels, self.fusion, self.fuse)

    def level(self, x: torch.Tensor, output: nn.Module) -> torch.Tensor:
        """The logits of one level: (B, P, C, H, W) → (B, K)."""
        pooled = self.dropout(x.mean(dim=(3, 4)).flatten(0, 1)).unflatten(0, (-1, x.shape[1]))  # (B, P, C)
        return aggregate(output(pooled), self.aggregation)
