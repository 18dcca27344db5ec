"""MldrNet v2: Rao et al. (2018), "Learning Multi-level Deep Representations for Image Emotion Classification" (Neural
Processing Letters 2020): one network without patches. `emotune.models.networks.mldr` is another network of this title.

From a re-implementation: four blocks of a k×k and a 1×1 convolution and max pooling 3/2, where k×k is 11×11 (padding 5)
3 → 128, 5×5 128 → 256, 5×5 256 → 384, 5×5 384 → 512; 1×1 laterals to 128, added top-down; per level the mean over all
positions and two fully connected layers of 1024; the mean of the four vectors; one linear layer. Our readings: stride 1
and padding that keeps the size, pooling without padding, ReLU behind each convolution except the laterals and behind
each hidden fully connected layer, nearest-neighbour upsampling, dropout as in AlexNet, and He's weights (KSH12's are so
small that signals fade in 13 layers).
"""

from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import nn

from emotune.config.model import MldrV2Config
from emotune.models.dropout import SampleDropout
from emotune.models.networks.alexnet_backbone import channels, initialise

__all__ = ["MldrNetV2", "fuse_maps", "hidden_layers"]


def block(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    """A k×k and a 1×1 convolution, then pooling: (B, inputs, H, W) → (B, outputs, ⌊(H-1)/2⌋, ⌊(W-1)/2⌋)."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2), nn.ReLU(inplace=True),
        nn.Conv2d(outputs, outputs, 1), nn.ReLU(inplace=True),
        nn.MaxPool2d(3, stride=2),
    )  # fmt: skip


def hidden_layers(inputs: int, units: int, dropout: float) -> nn.Sequential:
    """The two fully connected layers of a level, each followed by dropout: (B, inputs) → (B, units)."""
    return nn.Sequential(
        nn.Linear(inputs, units), nn.ReLU(inplace=True), SampleDropout(dropout),
        nn.Linear(units, units), nn.ReLU(inplace=True), SampleDropout(dropout),
    )  # fmt: skip


def fuse_maps(laterals: Sequence[torch.Tensor], hidden: Iterable[nn.Module], fusion: str) -> torch.Tensor:
    """The vector of an image from the maps of its L levels: added top-down, averaged over positions, and fused.

    Args:
        laterals: The map of each level, (B, C, h, w), from the finest to the last.
        hidden: The fully connected layers of each level, (B, C) → (B, units).
        fusion: ``mean`` or ``max`` of each unit over levels, (B, units); or ``concat``, (B, L · units).
    """
    maps = list(laterals)
    for below in reversed(range(len(maps) - 1)):
        maps[below] = maps[below] + F.interpolate(maps[below + 1], size=maps[below].shape[2:])
    vectors = [fc(level.mean(dim=(2, 3))) for fc, level in zip(hidden, maps, strict=True)]
    match fusion:
        case "concat":
            return torch.cat(vectors, dim=1)
        case "max":
            return torch.stack(vectors).amax(0)
        case _:
            return torch.stack(vectors).mean(0)


class MldrNetV2(nn.Module):
    """One convolutional network that classifies from all four of its levels.

    Args:
        classes: The number of classes, K.
        config: The network's options.
    """

    def __init__(self, classes: int, config: MldrV2Config) -> None:
        super().__init__()
        self.fusion, width, dropout = config.fusion, config.width, config.dropout
        c128, c256, c384, c512, units = (channels(paper, width) for paper in (128, 256, 384, 512, 1024))
        self.blocks = nn.ModuleList([
            block(3, c128, 11),                                                              # (B, 128, 113, 113)
            block(c128, c256, 5),                                                            # (B, 256, 56, 56)
            block(c256, c384, 5),                                                            # (B, 384, 27, 27)
            block(c384, c512, 5),                                                            # (B, 512, 13, 13)
        ])  # fmt: skip
        self.laterals = nn.ModuleList(nn.Conv2d(inputs, c128, 1) for inputs in (c128, c256, c384, c512))
        self.fc = nn.ModuleList(hidden_layers(c128, units, dropout) for _ in self.laterals)
        self.output = nn.Linear((4 if config.fusion == "concat" else 1) * units, classes)
        initialise(self, config.weight_init, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 3, 227, 227) → logits (B, K)."""
        maps = []
        for convolutions, lateral in zip(self.blocks, self.laterals, strict=True):
            x = convolutions(x)
            maps.append(lateral(x))  # (B, 128, h, w), h = 113, 56, 27, 13
        return self.output(fuse_maps(maps, self.fc, self.fusion))
