"""MldrNet v1: Rao, Xu, Xu (2016), "Learning Multi-level Deep Representations for Image Emotion Classification"
(arXiv 1611.07145), as the thesis (Agarwal, 2019) describes it: a pyramid of 1, 4 and 16 patches, three networks of
decreasing depth, joined by multiple-instance learning, "finally the average of these three outputs is taken".

The image is a bag and its patches are instances: each patch gets logits, the logits of a level are an aggregate of its
patches' (`aggregation`), and those of the network are a fusion of its levels' (`fusion`). The sources state that the
deepest network is AlexNet and that outputs are averaged. The rest is our reading, which is why there are options: one
patch goes with the deepest network and sixteen with the shallowest, the patches of a level are averaged, and patches
keep their size in pixels. The layers of the two shallower networks are our reading too: *aesthetics* has AlexNet's
first four convolutions (after RAPID), *low-level* its first two, followed by the mean of every feature map as texture
energy (after T-CNN). The last convolution of each has 256 channels.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from emotune.config.model import MldrConfig
from emotune.models.dropout import SampleDropout
from emotune.models.networks.alexnet import fully_connected, normalisation
from emotune.models.networks.alexnet_backbone import SIDE, AlexNetBackbone, channels, initialise

__all__ = ["MldrNet", "aggregate", "fuse_levels", "fusion_layer", "pyramid", "tower"]


def pyramid(x: torch.Tensor, grid: int) -> torch.Tensor:
    """The patches of images in a regular grid that covers them exactly.

    As 227 is a prime, the right and bottom borders are repeated up to the next multiple of ``grid``.

    Args:
        x: The images, (B, C, H, W).
        grid: The number of patches along a side, g.

    Returns:
        The patches, (B · g², C, ⌈H/g⌉, ⌈W/g⌉): image by image, row by row.
    """
    x = x.permute(0, 2, 3, 1)  # (B, H, W, C): one copy, and patches stay in channels-last memory
    x = torch.cat([x, x[:, -1:].expand(-1, -x.shape[1] % grid, -1, -1)], dim=1)
    x = torch.cat([x, x[:, :, -1:].expand(-1, -1, -x.shape[2] % grid, -1)], dim=2)
    x = x.unflatten(1, (grid, -1)).unflatten(3, (grid, -1))  # (B, g, h, g, w, C)
    return x.transpose(2, 3).flatten(0, 2).permute(0, 3, 1, 2)


class GlobalAveragePool(nn.Module):
    """The mean of every feature map: (B, C, H, W) → (B, C)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=(2, 3))


def tower(depth: int, side: int, classes: int, config: MldrConfig) -> nn.Sequential:
    """The network of one level, which has AlexNet's first convolutions: (B, 3, side, side) → logits (B, K).

    Five convolutions are followed by fc6 and fc7, as in AlexNet; three and four by one hidden layer on the whole map;
    one and two by one hidden layer on the means of the maps. With patches of 227 pixels, depth 5 is AlexNet; with
    smaller ones, pooling windows are no larger than the map.

    Args:
        depth: The number of convolutions, 1 to 5.
        side: Height and width of a patch in pixels.
        classes: The number of classes, K.
        config: The options ``width``, ``dropout`` and ``lrn``.
    """
    width, dropout = config.width, config.dropout
    c256, units = channels(256, width), channels(4096, width)
    layers: list[nn.Module] = []
    inputs = 3
    for number in range(1, depth + 1):
        outputs = c256 if number == depth else channels((96, 256, 384, 384)[number - 1], width)
        if number == 1:
            layers += [nn.Conv2d(inputs, outputs, 11, stride=4), nn.ReLU(inplace=True)]  # 227 → 55, 114 → 26, 57 → 12
            side = (side - 11) // 4 + 1
        else:
            kernel, groups = (5 if number == 2 else 3), (1 if number == 3 else 2)
            layers += [nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups), nn.ReLU(inplace=True)]
        if number <= 2 and number < depth:
            layers.append(normalisation(config.lrn))
        if (number <= 2 and number < depth) or number == depth >= 3:
            window = min(3, side)
            layers.append(nn.MaxPool2d(window, stride=2))  # 55 → 27 → 13 → 6, 26 → 12 → 5 → 2, 12 → 5
            side = (side - window) // 2 + 1
        inputs = outputs
    convolutions = nn.Sequential(*layers)
    if depth == 5:
        fc = fully_connected(c256 * side**2, width, dropout)
        return nn.Sequential(AlexNetBackbone(convolutions, fc), nn.Linear(units, classes))
    return nn.Sequential(
        *convolutions, *([nn.Flatten()] if depth >= 3 else [GlobalAveragePool()]),
        nn.Linear(c256 * side**2 if depth >= 3 else c256, units), nn.ReLU(inplace=True), SampleDropout(dropout),
        nn.Linear(units, classes),
    )  # fmt: skip


def aggregate(logits: torch.Tensor, aggregation: str) -> torch.Tensor:
    """The logits of bags, aggregated from those of their patches: (B, P, K) → (B, K).

    Args:
        logits: The patches' logits, (B, P, K).
        aggregation: ``mean``; ``max``; ``logsumexp``: the log of the mean of exp, which lies between the two; or
            ``noisy-or``: the log of the probability 1 - Π (1 - p) that at least one patch shows the class, where p is
            the patch's softmax output. A single patch keeps its logits, except with ``noisy-or``: they become log p.
    """
    match aggregation:
        case "max":
            return logits.amax(1)
        case "logsumexp":
            return logits.float().logsumexp(1) - math.log(logits.shape[1])
        case "noisy-or":
            return _noisy_or(logits.double()).float()  # mixed precision leaves doubles alone
        case _:
            return logits.mean(1)


def _noisy_or(logits: torch.Tensor) -> torch.Tensor:
    """log Σ_i p_i Π_{j<i} (1 - p_j), which is log(1 - Π (1 - p)) without differences of nearly equal numbers."""
    same = torch.eye(logits.shape[2], dtype=torch.bool, device=logits.device)
    others = logits[:, :, None].expand(-1, -1, len(same), -1).masked_fill(same, -math.inf).logsumexp(3)  # (B, P, K)
    absent = others - logits.logsumexp(2, keepdim=True)  # log(1 - p)
    earlier = absent.new_ones(absent.shape[1], absent.shape[1]).tril(-1)  # cumsum has no deterministic CUDA kernel
    return (logits.log_softmax(2) + earlier @ absent).logsumexp(1)


def fusion_layer(levels: int, classes: int) -> nn.Linear:
    """The linear layer of the fusion *concat*, which starts as the mean: (B, L · K) → logits (B, K)."""
    layer = nn.Linear(levels * classes, classes)
    with torch.no_grad():
        layer.weight.copy_(torch.eye(classes).repeat(1, levels) / levels)
        layer.bias.zero_()
    return layer


def fuse_levels(levels: Sequence[torch.Tensor], fusion: str, layer: nn.Module | None) -> torch.Tensor:
    """The logits of an image from those of its L levels, each (B, K) → (B, K).

    Args:
        levels: The logits of each level.
        fusion: ``mean``, ``max``, ``min``, or ``concat``: the linear layer on all of them.
        layer: The layer of ``concat``, see `fusion_layer`.
    """
    stacked = torch.stack(list(levels))
    if layer is not None:
        return layer(stacked.transpose(0, 1).flatten(1))
    match fusion:
        case "max":
            return stacked.amax(0)
        case "min":
            return stacked.amin(0)
        case _:
            return stacked.mean(0)


class MldrNet(nn.Module):
    """A pyramid of patches with a network on each level.

    Args:
        classes: The number of classes, K.
        config: The network's options.
    """

    def __init__(self, classes: int, config: MldrConfig) -> None:
        super().__init__()
        levels = config.levels
        self.levels, self.aggregation, self.fusion = levels, config.aggregation, config.fusion
        self.resize = config.patches == "resized"
        sides = [SIDE if self.resize else -(-SIDE // grid) for grid in levels]
        self.towers = nn.ModuleList(
            tower(depth, side, classes, config) for depth, side in zip(config.depths, sides, strict=True)
        )
        initialise(self, config.weight_init, config.width)
        self.output = fusion_layer(len(levels), classes) if config.fusion == "concat" else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 3, 227, 227) → logits (B, K)."""
        levels = [self.level(x, grid, net) for grid, net in zip(self.levels, self.towers, strict=True)]
        return fuse_levels(levels, self.fusion, self.output)

    def level(self, x: torch.Tensor, grid: int, network: nn.Module) -> torch.Tensor:
        """The logits of one level, (B, K); all patches of all images go through its network in one pass."""
        patches = pyramid(x, grid) if grid > 1 else x  # (B · g², 3, ⌈227/g⌉, ⌈227/g⌉)
        if self.resize and grid > 1:
            patches = F.interpolate(patches, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
        return aggregate(network(patches).unflatten(0, (-1, grid**2)), self.aggregation)
