"""AlexNet with an attention layer on its 6×6×256 map: the thesis (Agarwal, 2019), after HAN (Yang et al. 2016,
"Hierarchical Attention Networks for Document Classification", section 2.2).

The thesis: H = WᵀX + B over the 36 positions, H = softmax(H), X_i ← H_i · X_i. It leaves readings open, each an option
of `SpatialAttention`. Deviation, the default `scale="positions"`: weights are multiplied by 36, so that their mean is 1
and fc6 sees values of the size that it sees in AlexNet; and the score layer starts at zero, so that at step 0 the
network *is* AlexNet.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn

from emotune.models.networks.alexnet import alexnet_backbone
from emotune.models.networks.backbone import POSITIONS, Backbone, channels, initialise

__all__ = ["AttentionAlexNet", "SpatialAttention", "attention_backbone", "initialise_attention", "record_attention"]


class SpatialAttention(nn.Module):
    """Weighs the positions of a map by how much they matter in this image.

    Args:
        channels: Of the map, C.
        positions: Of the map, P = H · W; only ``reach="full"`` depends on it.
        reach: ``shared`` scores each position from its own C values by one layer (257 parameters for AlexNet's map;
            the default, since the thesis fixes a position and sums over its channels; the bias shifts all scores
            alike, which the softmax does not feel); ``full`` scores all positions from the whole map (P·C → P).
        score: ``linear`` (default: thesis), or ``tanh``: HAN's tanh(W h + b) before a learned context vector.
        output: ``map`` keeps (B, C, H, W) (default: thesis); ``sum`` gives the weighted sum (B, C) (HAN).
        scale: ``positions`` multiplies the softmax by P (default, see above); ``raw`` does not (thesis): with AlexNet's
            map, fc6 then starts with inputs 36 times smaller.
        temperature: Divides the scores (default 1: thesis); below 1 it sharpens, as 0.3 in arXiv 1806.01506.
    """

    def __init__(
        self,
        channels: int,
        positions: int = POSITIONS,
        *,
        reach: str = "shared",
        score: str = "linear",
        output: str = "map",
        scale: str = "positions",
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        self.reach, self.output, self.scale, self.temperature = reach, output, scale, temperature
        self.hidden = nn.Sequential(nn.Linear(channels, channels), nn.Tanh()) if score == "tanh" else nn.Identity()
        self.score = nn.Linear(channels, 1) if reach == "shared" else nn.Linear(positions * channels, positions)

    def weights(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) → weights (B, P) that sum to one."""
        hidden = self.hidden(x.flatten(2).transpose(1, 2))  # (B, P, C)
        return self.normalised(self.score(hidden if self.reach == "shared" else hidden.flatten(1)))

    def normalised(self, scores: torch.Tensor) -> torch.Tensor:
        """What the score layer says, (B, P, 1) or (B, P) → weights (B, P)."""
        return torch.softmax(scores.flatten(1) / self.temperature, dim=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weights = self.weights(x)
        if self.scale == "positions":
            weights = weights * weights.shape[1]
        attended = x * weights.unflatten(1, x.shape[2:]).unsqueeze(1)  # (B, C, H, W)
        return attended if self.output == "map" else attended.sum(dim=(2, 3))


def attention_backbone(
    width: float, dropout: float, lrn: str, backbone: str, *, output: str, **reading: Any
) -> Backbone:
    """AlexNet's trunk with an attention layer before fc6; ``output`` and ``reading`` as in `SpatialAttention`."""
    depth = channels(256, width)
    attention = SpatialAttention(depth, POSITIONS, output=output, **reading)
    return alexnet_backbone(width, dropout, lrn, backbone, attention, depth if output == "sum" else None)


def initialise_attention(network: nn.Module) -> None:
    """Sets score layers to zero: every position weighs the same until training finds something better."""
    for module in network.modules():
        if isinstance(module, SpatialAttention):
            nn.init.zeros_(module.score.weight)
            nn.init.zeros_(module.score.bias)


@contextmanager
def record_attention(network: nn.Module) -> Iterator[dict[str, torch.Tensor]]:
    """Notes how the attention layers weigh in the first pass that follows; what the network computes stays the same.

    Yields:
        By the dotted name of each layer, its weights, float32 (B, P): of the scores as they are, also where the network
        goes on with weights in bfloat16. Empty before the pass, and for networks without attention.
    """
    noted: dict[str, torch.Tensor] = {}

    def note(name: str, layer: SpatialAttention, score: nn.Module, inputs: Any, scores: torch.Tensor) -> None:
        if name not in noted:
            noted[name] = layer.normalised(scores.float())

    with ExitStack() as hooks:
        for name, layer in network.named_modules():
            if isinstance(layer, SpatialAttention):
                hooks.enter_context(layer.score.register_forward_hook(partial(note, name, layer)))
        yield noted


class AttentionAlexNet(nn.Module):
    """AlexNet whose fc6 sees the attended map. Arguments: those of `AlexNet` and of `SpatialAttention`."""

    def __init__(
        self,
        classes: int,
        *,
        width: float = 1.0,
        dropout: float = 0.5,
        lrn: str = "sum",
        backbone: str = "alexnet",
        weight_init: str = "ksh12",
        reach: str = "shared",
        score: str = "linear",
        output: str = "map",
        scale: str = "positions",
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        self.trunk = attention_backbone(
            width, dropout, lrn, backbone,
            reach=reach, score=score, output=output, scale=scale, temperature=temperature,
        )  # fmt: skip
        self.output = nn.Linear(channels(4096, width), classes)
        initialise(self, weight_init, width)
        initialise_attention(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 3, 227, 227) → logits (B, K)."""
        return self.output(self.trunk(x))
