"""The layers of torchvision's AlexNet: Krizhevsky (2014), "One weird trick for parallelizing convolutional neural
networks" (arXiv 1404.5997), the variant with one tower whose ImageNet weights can be downloaded for fine-tuning.

It differs from KSH12 in having one tower (no groups), 64, 192, 384, 256 and 256 channels, padding 2 in conv1, dropout
before both hidden fully connected layers instead of behind them, and no local response normalisation. Thanks to conv1's
padding, images of 227×227 and of 224×224 both reach 6×6. Our deviation: `weight_init="ksh12"` draws weights and biases
as KSH12 does.
"""

from torch import nn

from emotune.models.dropout import SampleDropout
from emotune.models.networks.alexnet_backbone import channels

__all__ = ["convolutions", "fully_connected"]


def convolutions(width: float) -> nn.Sequential:
    """conv1 … conv5 with their pooling: (B, 3, 227, 227) → (B, 256, 6, 6); ``width`` multiplies the channels."""
    c64, c192, c384, c256 = (channels(paper, width) for paper in (64, 192, 384, 256))
    return nn.Sequential(
        nn.Conv2d(3, c64, 11, stride=4, padding=2), nn.ReLU(inplace=True),                   # (B, 64, 56, 56)
        nn.MaxPool2d(3, stride=2),                                                           # (B, 64, 27, 27)
        nn.Conv2d(c64, c192, 5, padding=2), nn.ReLU(inplace=True),                           # (B, 192, 27, 27)
        nn.MaxPool2d(3, stride=2),                                                           # (B, 192, 13, 13)
        nn.Conv2d(c192, c384, 3, padding=1), nn.ReLU(inplace=True),                          # (B, 384, 13, 13)
        nn.Conv2d(c384, c256, 3, padding=1), nn.ReLU(inplace=True),                          # (B, 256, 13, 13)
        nn.Conv2d(c256, c256, 3, padding=1), nn.ReLU(inplace=True),                          # (B, 256, 13, 13)
        nn.MaxPool2d(3, stride=2),                                                           # (B, 256, 6, 6)
    )  # fmt: skip


def fully_connected(inputs: int, width: float, dropout: float) -> nn.Sequential:
    """fc6 and fc7, each preceded by dropout: ``inputs`` values per image → (B, 4096 × width)."""
    units = channels(4096, width)
    return nn.Sequential(
        nn.Flatten(),
        SampleDropout(dropout), nn.Linear(inputs, units), nn.ReLU(inplace=True),
        SampleDropout(dropout), nn.Linear(units, units), nn.ReLU(inplace=True),
    )  # fmt: skip
