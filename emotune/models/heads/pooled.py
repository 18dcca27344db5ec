"""Heads on one vector per image: the mean or the maximum over positions, or what attention makes of the map."""

from collections.abc import Sequence

import torch
from torch import nn

from emotune.config.heads import AttentionHeadConfig, DualHeadConfig, MaxHeadConfig, MeanHeadConfig
from emotune.core.errors import InputError
from emotune.models.dropout import SampleDropout
from emotune.models.networks.attention import SpatialAttention, initialise_attention
from emotune.models.networks.dual_branch import fuse

__all__ = ["AttentionHead", "DualHead", "PooledHead"]


class PooledHead(nn.Module):
    """The mean or the maximum over the positions of the last map, and one linear layer.

    Args:
        config: The head's options.
        channels: The channels of the last map, C.
        classes: The number of classes, K.
    """

    def __init__(self, config: MeanHeadConfig | MaxHeadConfig, channels: int, classes: int) -> None:
        super().__init__()
        self.is_max = config.name == "max"
        self.dropout = SampleDropout(config.dropout)
        self.output = nn.Linear(channels, classes)

    def forward(self, maps: Sequence[torch.Tensor]) -> torch.Tensor:
        """Maps (B, C, H, W), of which the last one is used → logits (B, K)."""
        x = maps[-1]
        if x.shape[2:] == (1, 1):  # features of a frozen backbone are pooled already
            return self.output(self.dropout(x.flatten(1)))
        pooled = x.amax(dim=(2, 3)) if self.is_max else x.mean(dim=(2, 3))
        return self.output(self.dropout(pooled))


class AttentionSide(nn.ModuleList):
    """Attention layers side by side on one map: (B, C, H, W) → (B, D), their outputs one after another.

    Args:
        config: The options of the layers, and their number.
        channels: The channels of the map, C.
        size: The height and width of the map; only ``reach="full"`` depends on them.

    Raises:
        InputError: the map has one position, which any attention weights with one.
    """

    def __init__(self, config: AttentionHeadConfig, channels: int, size: tuple[int, int]) -> None:
        positions = size[0] * size[1]
        if positions == 1:
            raise InputError(
                f'model.head: "{config.name}" attends to positions, but the backbone\'s last map has one: it would '
                "change nothing; give a larger model.input.side"
            )
        super().__init__(SpatialAttention(channels, config, positions) for _ in range(config.heads))
        initialise_attention(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([layer(x).flatten(1) for layer in self], dim=1)


class PlainSide(nn.Module):
    """The map without attention: (B, C, H, W) → its mean over positions (B, C), or the whole map (B, C · H · W).

    Args:
        config: The options of attention layers, of which ``output`` says which of the two it is.
        copies: The number of copies, one after another.
    """

    def __init__(self, config: AttentionHeadConfig, copies: int = 1) -> None:
        super().__init__()
        self.keeps_map, self.copies = config.output == "map", copies

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x.flatten(1) if self.keeps_map else x.mean(dim=(2, 3))).repeat(1, self.copies)


class AttentionHead(nn.Module):
    """Attention over the positions of the last map, and one linear layer.

    Args:
        config: The head's options.
        channels: The channels of the last map, C.
        size: The height and width of the last map.
        classes: The number of classes, K.

    Raises:
        InputError: the last map has one position.
    """

    def __init__(self, config: AttentionHeadConfig, channels: int, size: tuple[int, int], classes: int) -> None:
        super().__init__()
        self.attention = AttentionSide(config, channels, size)
        self.dropout = SampleDropout(config.dropout)
        self.output = nn.Linear(config.heads * _length(config, channels, size), classes)

    def forward(self, maps: Sequence[torch.Tensor]) -> torch.Tensor:
        """Maps (B, C, H, W), of which the last one is used → logits (B, K)."""
        return self.output(self.dropout(self.attention(maps[-1])))


class DualHead(nn.Module):
    """The attended map beside the plain one, as vectors that are fused before one linear layer.

    The control ``attention="none"`` has copies of the plain vector in the place of attended ones, so that its output
    layer is as large: it has all parameters but those of the attention layers.

    Args:
        config: The head's options.
        channels: The channels of the last map, C.
        size: The height and width of the last map.
        classes: The number of classes, K.

    Raises:
        InputError: the last map has one position.
    """

    def __init__(self, config: DualHeadConfig, channels: int, size: tuple[int, int], classes: int) -> None:
        super().__init__()
        attends = config.attention != "none"
        self.attention = AttentionSide(config, channels, size) if attends else PlainSide(config, config.heads)
        self.second = AttentionSide(config, channels, size) if config.attention == "both" else PlainSide(config)
        self.fusion = config.fusion
        self.dropout = SampleDropout(config.dropout)
        beside = config.heads if config.attention == "both" else 1
        vectors = config.heads + beside if config.fusion == "concat" else 1
        self.output = nn.Linear(vectors * _length(config, channels, size), classes)

    def forward(self, maps: Sequence[torch.Tensor]) -> torch.Tensor:
        """Maps (B, C, H, W), of which the last one is used → logits (B, K)."""
        x = maps[-1]
        return self.output(self.dropout(fuse(self.attention(x), self.second(x), self.fusion)))


def _length(config: AttentionHeadConfig, channels: int, size: tuple[int, int]) -> int:
    """The number of values that one attention layer gives for an image."""
    return channels * (size[0] * size[1] if config.output == "map" else 1)
