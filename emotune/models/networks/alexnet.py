"""AlexNet as in KSH12: Krizhevsky, Sutskever, Hinton (2012), "ImageNet Classification with Deep Convolutional Neural
Networks", section 3. It is the parent network of the thesis (Agarwal, 2019).

It has two towers (groups=2) in conv2, conv4 and conv5, local response normalisation after conv1 and conv2, overlapping
pooling, and 56,901,000 parameters with 8 classes. Our deviations are options: `width` multiplies all channels and
units, `lrn` selects another reading of the normalisation, `weight_init="he"` draws weights as in He et al. (2015), and
`backbone="alexnet_owt"` is torchvision's variant with one tower.
"""

import torch
from torch import nn

from emotune.config.model import AlexNetConfig
from emotune.models.dropout import SampleDropout
from emotune.models.local_response import LocalResponseNorm
from emotune.models.networks import alexnet_owt
from emotune.models.networks.alexnet_backbone import POSITIONS, AlexNetBackbone, channels, initialise

__all__ = ["AlexNet", "alexnet_backbone", "convolutions", "fully_connected", "normalisation"]


def normalisation(lrn: str) -> nn.Module:
    """The local response normalisation that follows conv1 and conv2.

    Args:
        lrn: ``sum``: KSH12's formula as printed, α = 1e-4 times the sum over 5 channels, k = 2. ``mean``: α times their
            mean, as torch and Caffe read the same α, k = 2. ``caffe``: the mean with Caffe's default k = 1, which
            the pretrained weights of bvlc_alexnet expect. ``none``: no normalisation.
    """
    match lrn:
        case "sum":
            return LocalResponseNorm()
        case "mean":
            return LocalResponseNorm(alpha=1e-4 / 5)
        case "caffe":
            return LocalResponseNorm(alpha=1e-4 / 5, k=1.0)
        case _:
            return nn.Identity()


def convolutions(width: float, lrn: str) -> nn.Sequential:
    """conv1 … conv5 with their pooling: (B, 3, 227, 227) → (B, 256, 6, 6); ``width`` multiplies the channels."""
    c96, c256, c384 = (channels(paper, width) for paper in (96, 256, 384))
    return nn.Sequential(
        nn.Conv2d(3, c96, 11, stride=4), nn.ReLU(inplace=True), normalisation(lrn),          # (B, 96, 55, 55)
        nn.MaxPool2d(3, stride=2),                                                           # (B, 96, 27, 27)
        nn.Conv2d(c96, c256, 5, padding=2, groups=2), nn.ReLU(inplace=True), normalisation(lrn),
        nn.MaxPool2d(3, stride=2),                                                           # (B, 256, 13, 13)
        nn.Conv2d(c256, c384, 3, padding=1), nn.ReLU(inplace=True),                          # (B, 384, 13, 13)
        nn.Conv2d(c384, c384, 3, padding=1, groups=2), nn.ReLU(inplace=True),                # (B, 384, 13, 13)
        nn.Conv2d(c384, c256, 3, padding=1, groups=2), nn.ReLU(inplace=True),                # (B, 256, 13, 13)
        nn.MaxPool2d(3, stride=2),                                                           # (B, 256, 6, 6)
    )  # fmt: skip


def fully_connected(inputs: int, width: float, dropout: float) -> nn.Sequential:
    """fc6 and fc7, each followed by dropout (KSH12, section 4.2): ``inputs`` values per image → (B, 4096 × width)."""
    units = channels(4096, width)
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(inputs, units), nn.ReLU(inplace=True), SampleDropout(dropout),
        nn.Linear(units, units), nn.ReLU(inplace=True), SampleDropout(dropout),
    )  # fmt: skip


def alexnet_backbone(
    config: AlexNetConfig, attention: nn.Module | None = None, fc6_inputs: int | None = None
) -> AlexNetBackbone:
    """KSH12's AlexNet, or torchvision's, up to its penultimate layer.

    Args:
        config: The network's options; those of its classifier and its first weights have no effect here.
        attention: The layer between the last pooling and fc6.
        fc6_inputs: The number of values per image that reach fc6; None: those of the whole map.
    """
    width, dropout = config.width, config.dropout
    inputs = fc6_inputs or POSITIONS * channels(256, width)
    if config.backbone == "alexnet_owt":
        return AlexNetBackbone(
            alexnet_owt.convolutions(width), alexnet_owt.fully_connected(inputs, width, dropout), attention
        )
    return AlexNetBackbone(convolutions(width, config.lrn), fully_connected(inputs, width, dropout), attention)


class AlexNet(nn.Module):
    """The parent network: a backbone and one output layer.

    Args:
        classes: The number of classes, K.
        config: The network's options.
    """

    def __init__(self, classes: int, config: AlexNetConfig) -> None:
        super().__init__()
        self.trunk = alexnet_backbone(config)
        self.output = nn.Linear(channels(4096, config.width), classes)
        initialise(self, config.weight_init, config.width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 3, 227, 227) → logits (B, K)."""
        return self.output(self.trunk(x))
