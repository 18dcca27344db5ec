"""The proposed model of the thesis (Agarwal, 2019): AlexNet with attention and plain AlexNet side by side on the same
image, with their penultimate layers (2 × 4096) concatenated before one output layer.

The thesis has two whole AlexNets and concatenates them; these are the defaults. `attention="none"` is the control that
has the capacity of two branches without attention: two plain AlexNets. We add `attention="both"`, shared convolutions
and the other fusions, which are usual for two-stream networks (Feichtenhofer et al. 2016, section 3.1).
"""

import torch
from torch import nn

from emotune.config.model import DualBranchConfig
from emotune.models.networks.alexnet import alexnet_backbone
from emotune.models.networks.alexnet_backbone import channels, initialise
from emotune.models.networks.attention import attention_backbone, initialise_attention

__all__ = ["DualBranch"]


class DualBranch(nn.Module):
    """Two backbones and one output layer.

    The first backbone is called ``trunk``, as in networks that have one: initial weights follow from the paths of
    parameters, so the two begin equal.

    Args:
        classes: The number of classes, K.
        config: The network's options.
    """

    def __init__(self, classes: int, config: DualBranchConfig) -> None:
        super().__init__()
        attends = {"spatial": (True, False), "both": (True, True), "none": (False, False)}[config.attention]
        self.trunk, self.second = (
            attention_backbone(config) if attending else alexnet_backbone(config) for attending in attends
        )
        if config.convolutions == "shared":
            self.second.convolutions = self.trunk.convolutions
        self.fusion = config.fusion
        vectors = 2 if config.fusion == "concat" else 1
        self.output = nn.Linear(vectors * channels(4096, config.width), classes)
        initialise(self, config.weight_init, config.width)
        initialise_attention(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 3, 227, 227) → logits (B, K)."""
        first, shared = self.trunk.convolutions(x), self.second.convolutions is self.trunk.convolutions
        second = first if shared else self.second.convolutions(x)  # each (B, 256, 6, 6)
        vectors = self.trunk.after_convolutions(first), self.second.after_convolutions(second)
        return self.output(fuse(*vectors, self.fusion))


def fuse(first: torch.Tensor, second: torch.Tensor, fusion: str) -> torch.Tensor:
    """The two branches' vectors, each (B, D), as one: (B, 2·D) for ``concat``; else (B, D), combined unit by unit."""
    match fusion:
        case "sum":
            return first + second
        case "max":
            return torch.maximum(first, second)
        case "product":
            return first * second
        case _:
            return torch.cat([first, second], dim=1)
