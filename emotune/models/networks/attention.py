"""AlexNet with an attention layer on its 6×6×256 map: the thesis (Agarwal, 2019), after HAN (Yang et al. 2016,
"Hierarchical Attention Networks for Document Classification", section 2.2).

The thesis computes H = WᵀX + B over the 36 positions, then H = softmax(H), then X_i ← H_i · X_i. Where it leaves a
reading open, there is an option in `emotune.config.model.AttentionConfig`. We deviate in two points. By default
(`scale="positions"`) the weights are multiplied by 36, so that their mean is 1 and fc6 sees values as large as in
AlexNet. The score layer starts at zero, so that at step 0 the network *is* AlexNet.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn

from emotune.config.heads import AttentionHeadConfig
from emotune.config.model import AttentionConfig
from emotune.models.networks.alexnet import alexnet_backbone
from emotune.models.networks.alexnet_backbone import POSITIONS, AlexNetBackbone, channels, initialise

__all__ = [
    "AttentionAlexNet",
    "AttentionMap",
    "SpatialAttention",
    "attention_backbone",
    "initialise_attention",
    "record_attention",
]


class SpatialAttention(nn.Module):
    """Attention over the positions of a map: (B, C, H, W) → (B, C, H, W), or (B, C) with ``output="sum"``.

    With ``reach="shared"`` one layer scores each position from its own C values (257 parameters for AlexNet's map);
    this is the default because the thesis fixes a position and sums over its channels. The layer's bias shifts all
    scores alike, so it has no effect after the softmax. With ``reach="full"`` all positions are scored from the whole
    map (P·C → P). With ``scale="raw"`` fc6 starts with inputs that are 36 times smaller.

    Args:
        channels: The map's channels, C.
        config: The options ``reach``, ``score``, ``output``, ``scale`` and ``temperature``.
        positions: The map's positions, P = H · W; only ``reach="full"`` depends on them.
    """

    def __init__(
        self, channels: int, config: AttentionConfig | AttentionHeadConfig, positions: int = POSITIONS
    ) -> None:
        super().__init__()
        self.reach, self.output, self.scale = config.reach, config.output, config.scale
        self.temperature = config.temperature
        tanh = config.score == "tanh"
        self.hidden = nn.Sequential(nn.Linear(channels, channels), nn.Tanh()) if tanh else nn.Identity()
        self.score = nn.Linear(channels, 1) if self.reach == "shared" else nn.Linear(positions * channels, positions)

    def weights(self, x: torch.Tensor) -> torch.Tensor:
        """The weights of a map's positions, which sum to one: (B, C, H, W) → (B, P)."""
        hidden = self.hidden(x.flatten(2).transpose(1, 2))  # (B, P, C)
        return self.normalise(self.score(hidden if self.reach == "shared" else hidden.flatten(1)))

    def normalise(self, scores: torch.Tensor) -> torch.Tensor:
        """The weights that follow from the score layer's output: (B, P, 1) or (B, P) → (B, P)."""
        return torch.softmax(scores.flatten(1) / self.temperature, dim=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weights = self.weights(x)
        if self.scale == "positions":
            weights = weights * weights.shape[1]
        attended = x * weights.unflatten(1, x.shape[2:]).unsqueeze(1)  # (B, C, H, W)
        return attended if self.output == "map" else attended.sum(dim=(2, 3))


class AttentionMap(nn.Module):
    """A layer that takes weights of a network's parts and changes nothing; `record_attention` records what
    ``image_map`` makes of them.
    """

    def forward(self, *weights: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return weights

    def image_map(self, *weights: torch.Tensor) -> torch.Tensor:
        """The weights of the positions of the whole image that follow from those of its parts; they sum to one: (B, P).

        P is a square number, because the positions are those of a square grid, row by row.
        """
        raise NotImplementedError


def attention_backbone(config: AttentionConfig) -> AlexNetBackbone:
    """AlexNet's backbone with an attention layer before fc6."""
    depth = channels(256, config.width)
    attention = SpatialAttention(depth, config)
    return alexnet_backbone(config, attention, depth if config.output == "sum" else None)


def initialise_attention(network: nn.Module) -> None:
    """Sets all score layers to zero, so that all positions weigh the same until training changes that."""
    for module in network.modules():
        if isinstance(module, SpatialAttention):
            nn.init.zeros_(module.score.weight)
            nn.init.zeros_(module.score.bias)


@contextmanager
def record_attention(network: nn.Module) -> Iterator[dict[str, torch.Tensor]]:
    """Records the attention weights of the first forward pass in the block; the network's outputs do not change.

    Yields:
        A dictionary that the pass fills: the weights of each attention layer by its dotted name, float32 (B, P), for
        the positions of its map, row by row. They are computed from the scores in float32, even where the network
        itself continues in bfloat16. The dictionary stays empty for networks without attention.
    """
    weights: dict[str, torch.Tensor] = {}

    def record(name: str, layer: SpatialAttention, score: nn.Module, inputs: Any, scores: torch.Tensor) -> None:
        if name not in weights:
            weights[name] = layer.normalise(scores.float())

    def record_map(name: str, layer: AttentionMap, inputs: Any, outputs: Any) -> None:
        if name not in weights:
            weights[name] = layer.image_map(*inputs).float()

    with ExitStack() as hooks:
        for name, layer in network.named_modules():
            if isinstance(layer, SpatialAttention):
                hooks.enter_context(layer.score.register_forward_hook(partial(record, name, layer)))
            elif isinstance(layer, AttentionMap):
                hooks.enter_context(layer.register_forward_hook(partial(record_map, name)))
        yield weights


class AttentionAlexNet(nn.Module):
    """AlexNet with an attention layer between its last map and fc6.

    Args:
        classes: The number of classes, K.
        config: The network's options.
    """

    def __init__(self, classes: int, config: AttentionConfig) -> None:
        super().__init__()
        self.trunk = attention_backbone(config)
        self.output = nn.Linear(channels(4096, config.width), classes)
        initialise(self, config.weight_init, config.width)
        initialise_attention(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 3, 227, 227) → logits (B, K)."""
        return self.output(self.trunk(x))
