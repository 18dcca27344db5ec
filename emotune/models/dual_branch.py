"""The proposed model of the thesis (Agarwal, 2019): AlexNet with attention and plain AlexNet side by side on the same
picture, their penultimate layers (2 × 4096) concatenated before one output layer.

`attention="none"` is the control that has the second branch's capacity but not its idea: two plain AlexNets.
"""

import torch
from torch import nn

from emotune.models.alexnet import Trunk, channels, initialise
from emotune.models.attention import attention_trunk, initialise_attention

__all__ = ["DualBranch"]


class DualBranch(nn.Module):
    """Two trunks with convolutions of their own, one output layer.

    Args:
        attention: ``spatial``: the first branch attends; ``none``: both are plain.

    The other arguments are those of `emotune.models.attention.AttentionAlexNet`.
    """

    def __init__(
        self,
        classes: int,
        *,
        width: float = 1.0,
        dropout: float = 0.5,
        lrn: bool = True,
        weight_init: str = "ksh12",
        reach: str = "shared",
        score: str = "linear",
        output: str = "map",
        scale: str = "positions",
        temperature: float = 1.0,
        attention: str = "spatial",
    ) -> None:
        super().__init__()
        if attention == "spatial":
            self.first = attention_trunk(width, dropout, lrn, reach, score, output, scale, temperature)
        else:
            self.first = Trunk(width, dropout, lrn)
        self.second = Trunk(width, dropout, lrn)
        self.output = nn.Linear(2 * channels(4096, width), classes)
        initialise(self, weight_init, width)
        initialise_attention(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 3, 227, 227) → logits (B, K)."""
        return self.output(torch.cat([self.first(x), self.second(x)], dim=1))
