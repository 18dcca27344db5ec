"""The proposed model of the thesis (Agarwal, 2019): AlexNet with attention and plain AlexNet side by side on the same
image, their penultimate layers (2 × 4096) concatenated before one output layer.

`attention="none"` is the control that has the second branch's capacity but not its idea: two plain AlexNets. The thesis
has two whole AlexNets and concatenation, the defaults; `attention="both"`, shared convolutions and the other fusions
(usual for two-stream networks: Feichtenhofer et al. 2016, section 3.1, and products of features) are ours to ask with.
"""

import torch
from torch import nn

from emotune.models.networks.alexnet import alexnet_backbone
from emotune.models.networks.attention import attention_backbone, initialise_attention
from emotune.models.networks.backbone import channels, initialise

__all__ = ["DualBranch"]


class DualBranch(nn.Module):
    """Two trunks, one output layer. The first is called ``trunk`` as in networks with one: it begins as theirs does.

    Args:
        attention: Which branches attend: ``spatial``: the first; ``both``; ``none``: both are plain.
        convolutions: ``separate``: each branch has its own; ``shared``: the branches part behind the last pooling.
        fusion: Of the two vectors of 4096, D: ``concat`` (output layer on 2·D), or unit by unit ``sum``, ``max`` or
            ``product`` (output layer on D).

    The other arguments are those of `emotune.models.networks.attention.AttentionAlexNet`.
    """

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
        attention: str = "spatial",
        convolutions: str = "separate",
        fusion: str = "concat",
    ) -> None:
        super().__init__()
        body = (width, dropout, lrn, backbone)
        reading = {"reach": reach, "score": score, "output": output, "scale": scale, "temperature": temperature}
        attends = {"spatial": (True, False), "both": (True, True), "none": (False, False)}[attention]
        self.trunk, self.second = (
            attention_backbone(*body, **reading) if attending else alexnet_backbone(*body) for attending in attends
        )
        if convolutions == "shared":
            self.second.convolutions = self.trunk.convolutions
        self.fusion = fusion
        self.output = nn.Linear((2 if fusion == "concat" else 1) * channels(4096, width), classes)
        initialise(self, weight_init, width)
        initialise_attention(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 3, 227, 227) → logits (B, K)."""
        first = self.trunk.convolutions(x)  # (B, 256, 6, 6)
        second = first if self.second.convolutions is self.trunk.convolutions else self.second.convolutions(x)
        return self.output(fuse(self.trunk.head(first), self.second.head(second), self.fusion))


def fuse(first: torch.Tensor, second: torch.Tensor, fusion: str) -> torch.Tensor:
    """Two times (B, D) → (B, 2·D) for ``concat``, else (B, D)."""
    match fusion:
        case "sum":
            return first + second
        case "max":
            return torch.maximum(first, second)
        case "product":
            return first * second
        case _:
            return torch.cat([first, second], dim=1)
