"""A network of one's own: a class that takes the number of classes and gives a torch.nn.Module."""

from itertools import pairwise

import torch
from torch import nn


class Tiny(nn.Module):
    """Three strided convolutions, dropout, and the mean of the last map's positions.

    Args:
        classes: The number of classes, which emotune passes first.
        channels: The number of channels of the first convolution, an option of the study.
        pooling: How positions are pooled: ``mean`` or ``max``.
    """

    def __init__(self, classes: int, channels: int = 8, pooling: str = "mean") -> None:
        super().__init__()
        sizes = [3, channels, 2 * channels, 4 * channels]
        self.convolutions = nn.ModuleList(nn.Conv2d(a, b, 5, stride=3) for a, b in pairwise(sizes))
        self.norms = nn.ModuleList(nn.BatchNorm2d(size) for size in sizes[1:])
        self.dropout = nn.Dropout(0.1)
        self.output = nn.Linear(sizes[-1], classes)
        self.pooling = pooling

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images (B, 3, 227, 227) to logits (B, classes)."""
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            images = torch.relu(norm(convolution(images)))
        pooled = images.mean((2, 3)) if self.pooling == "mean" else images.amax((2, 3))
        return self.output(self.dropout(pooled))
