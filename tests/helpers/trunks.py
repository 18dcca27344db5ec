"""A small backbone of the user's own, and networks that it has a head in."""

from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter
from torch import nn

from emotune.config.backbone import BackboneConfig
from emotune.config.input_spec import InputSpec
from emotune.models.build import build
from emotune.models.networks.backbone_network import BackboneNetwork

SOURCE = """
import torch
from torch import nn


class Trunk(nn.Module):
    '''Maps of 4, 6 and 8 channels: for images of 64 pixels 16×16, 8×8 and 4×4.'''

    def __init__(self, dropout=0.0, norm=False):
        super().__init__()
        self.blocks = nn.ModuleList()
        for inputs, outputs, stride in ((3, 4, 4), (4, 6, 2), (6, 8, 2)):
            self.blocks.append(nn.Sequential(
                nn.Conv2d(inputs, outputs, 3, stride, padding=1),
                nn.BatchNorm2d(outputs) if norm else nn.Identity(),
                nn.ReLU(),
                nn.Dropout(dropout),
            ))

    def forward(self, x):
        maps = []
        for block in self.blocks:
            x = block(x)
            maps.append(x)
        return maps
"""
SMALL = InputSpec(side=64, resize=72)
CLASSES = 5


def config(head: Any = "mean", options: dict[str, Any] | None = None, **settings: Any) -> BackboneConfig:
    """The config of a network with the backbone above."""
    backbone = {"code": "trunks.py:Trunk", "options": options or {}, "source": SOURCE}
    value = {"backbone": backbone, "head": head, **settings}
    return TypeAdapter(BackboneConfig).validate_python(value, context={"folder": Path()})


def network(head: Any = "mean", options: dict[str, Any] | None = None, **settings: Any) -> BackboneNetwork:
    """That network, the same each time, in evaluation mode."""
    built = build(config(head, options, **settings), CLASSES, seed=1, input_spec=SMALL)
    assert isinstance(built, BackboneNetwork)
    return built.eval()


def images(count: int = 3, side: int = 64) -> torch.Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(0))


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
