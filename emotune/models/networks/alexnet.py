"""AlexNet as in KSH12: Krizhevsky, Sutskever, Hinton (2012), "ImageNet Classification with Deep Convolutional Neural
Networks", section 3; the parent network of the thesis (Agarwal, 2019), not torchvision's one-tower variant, which is
the option `backbone="alexnet_owt"`.

Two towers (groups=2) in conv2, conv4 and conv5; local response normalisation after conv1 and conv2; overlapping
pooling. With 8 classes: 56,901,000 parameters. Deviations: `width` (all channels and units times a factor), other
readings of the normalisation (`lrn`), weights drawn as in He et al. (2015).
"""

import torch
from torch import nn

from emotune.models.dropout import SampleDropout
from emotune.models.local_response import LocalResponseNorm
from emotune.models.networks import alexnet_owt
from emotune.models.networks.backbone import POSITIONS, Backbone, channels, initialise

__all__ = ["AlexNet", "alexnet_backbone", "convolutions", "fully_connected", "normalisation"]


def normalisation(lrn: str) -> nn.Module:
    """What follows conv1 and conv2, or nothing.

    ``sum``: KSH12's formula as printed, α = 1e-4 times the sum over 5 channels, k = 2. ``mean``: α times their mean, as
    torch and caffe read the same α, k = 2. ``caffe``: that with caffe's default k = 1, which bvlc_alexnet's pretrained
    weights expect. ``none``: no normalisation.
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
    """conv1 … conv5 with their pooling: (B, 3, 227, 227) → (B, 256, 6, 6), channels times ``width``."""
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
    """fc6 and fc7 with dropout (KSH12, section 4.2): (B, …), ``inputs`` values an image → (B, 4096 × width)."""
    units = channels(4096, width)
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(inputs, units), nn.ReLU(inplace=True), SampleDropout(dropout),
        nn.Linear(units, units), nn.ReLU(inplace=True), SampleDropout(dropout),
    )  # fmt: skip


def alexnet_backbone(
    width: float,
    dropout: float,
    lrn: str,
    backbone: str,
    attention: nn.Module | None = None,
    fc6_inputs: int | None = None,
) -> Backbone:
    """KSH12's AlexNet, or torchvision's, up to its penultimate layer.

    Args:
        width: Multiplies channels and units.
        dropout: Probability, on fc6 and fc7.
        lrn: See `normalisation`; ``alexnet_owt`` has none, whatever this says.
        backbone: ``alexnet`` or ``alexnet_owt``.
        attention: What stands between the last pooling and fc6.
        fc6_inputs: Values per image that reach fc6; default: the whole map.
    """
    inputs = fc6_inputs or POSITIONS * channels(256, width)
    if backbone == "alexnet_owt":
        return Backbone(alexnet_owt.convolutions(width), alexnet_owt.fully_connected(inputs, width, dropout), attention)
    return Backbone(convolutions(width, lrn), fully_connected(inputs, width, dropout), attention)


class AlexNet(nn.Module):
    """The parent network, one output layer on its trunk.

    Args:
        classes: Number of classes, K.
        width: Multiplies channels and units.
        dropout: Probability, on the two hidden fully connected layers.
        lrn: ``sum``, ``mean``, ``caffe`` or ``none``, see `normalisation`.
        backbone: ``alexnet`` (KSH12) or ``alexnet_owt`` (`emotune.models.networks.alexnet_owt`).
        weight_init: ``ksh12`` or ``he``, see `emotune.models.networks.backbone.initialise`.
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
    ) -> None:
        super().__init__()
        self.trunk = alexnet_backbone(width, dropout, lrn, backbone)
        self.output = nn.Linear(channels(4096, width), classes)
        initialise(self, weight_init, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 3, 227, 227) → logits (B, K)."""
        return self.output(self.trunk(x))
