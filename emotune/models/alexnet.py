"""AlexNet as in KSH12: Krizhevsky, Sutskever, Hinton (2012), "ImageNet Classification with Deep Convolutional Neural
Networks", section 3; the parent network of the thesis (Agarwal, 2019), not torchvision's one-tower variant.

Two towers (groups=2) in conv2, conv4 and conv5; local response normalisation after conv1 and conv2; overlapping
pooling. With 8 classes: 56,901,000 parameters. Deviations: `width` (all channels and units times a factor), `lrn` can
be left out, weights can be drawn as in He et al. (2015), which starts learning sooner than N(0, 0.01²).
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from emotune.models.dropout import SampleDropout

__all__ = ["AlexNet", "LocalResponseNorm", "Trunk", "channels", "initialise"]

POSITIONS = 36
"""6×6 positions of the last pooling, for pictures of 227×227."""


def channels(paper: int, width: float) -> int:
    """The paper's number of channels or units times ``width``, even so that two towers can share it.

    >>> channels(96, 1.0), channels(96, 0.125)
    (96, 12)
    """
    return max(2, 2 * round(paper * width / 2))


class LocalResponseNorm(nn.Module):
    """KSH12, section 3.3: b = a / (k + α Σ a²)^β, the sum over ``size`` neighbouring channels.

    The paper does not divide α by ``size``. The same numbers as ``torch.nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75,
    k=2)``, several times as fast on a CPU (``benchmarks/lrn.py``): the sum over channels is a 1×1 convolution with a
    band of ones, and the power is taken through the logarithm.
    """

    def __init__(self, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0) -> None:
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        index = torch.arange(x.shape[1], device=x.device)
        band = ((index[:, None] - index).abs() <= self.size // 2).to(x.dtype) * self.alpha
        denominator = F.conv2d(x * x, band[:, :, None, None], bias=x.new_full((x.shape[1],), self.k))
        return x * torch.exp(-self.beta * torch.log(denominator))


def convolutions(width: float, lrn: bool) -> nn.Sequential:
    """conv1 … conv5 with their pooling: (B, 3, 227, 227) → (B, 256, 6, 6), channels times ``width``."""
    c96, c256, c384 = (channels(paper, width) for paper in (96, 256, 384))

    def norm() -> nn.Module:
        return LocalResponseNorm() if lrn else nn.Identity()

    return nn.Sequential(
        nn.Conv2d(3, c96, 11, stride=4), nn.ReLU(inplace=True), norm(),                      # (B, 96, 55, 55)
        nn.MaxPool2d(3, stride=2),                                                           # (B, 96, 27, 27)
        nn.Conv2d(c96, c256, 5, padding=2, groups=2), nn.ReLU(inplace=True), norm(),         # (B, 256, 27, 27)
        nn.MaxPool2d(3, stride=2),                                                           # (B, 256, 13, 13)
        nn.Conv2d(c256, c384, 3, padding=1), nn.ReLU(inplace=True),                          # (B, 384, 13, 13)
        nn.Conv2d(c384, c384, 3, padding=1, groups=2), nn.ReLU(inplace=True),                # (B, 384, 13, 13)
        nn.Conv2d(c384, c256, 3, padding=1, groups=2), nn.ReLU(inplace=True),                # (B, 256, 13, 13)
        nn.MaxPool2d(3, stride=2),                                                           # (B, 256, 6, 6)
    )  # fmt: skip


class Trunk(nn.Module):
    """AlexNet up to its penultimate layer: (B, 3, 227, 227) → (B, 4096 × width).

    Args:
        width: Multiplies channels and units.
        dropout: Probability, on fc6 and fc7 (KSH12, section 4.2).
        lrn: With local response normalisation.
        attention: What stands between the last pooling and fc6; gives (B, inputs of fc6) or a map.
        fc6_inputs: Values per picture that reach fc6; default: the whole map.
    """

    def __init__(
        self, width: float, dropout: float, lrn: bool, attention: nn.Module | None = None, fc6_inputs: int | None = None
    ) -> None:
        super().__init__()
        units = channels(4096, width)
        inputs = fc6_inputs or POSITIONS * channels(256, width)
        self.convolutions = convolutions(width, lrn)
        self.attention = attention or nn.Identity()
        self.fc = nn.Sequential(
            nn.Flatten(),
            nn.Linear(inputs, units), nn.ReLU(inplace=True), SampleDropout(dropout),
            nn.Linear(units, units), nn.ReLU(inplace=True), SampleDropout(dropout),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.attention(self.convolutions(x)))


class AlexNet(nn.Module):
    """KSH12's network.

    Args:
        classes: Number of classes, K.
        width: Multiplies channels and units.
        dropout: Probability, on the two hidden fully connected layers.
        lrn: With local response normalisation.
        weight_init: ``ksh12`` or ``he``, see `initialise`.
    """

    def __init__(
        self, classes: int, *, width: float = 1.0, dropout: float = 0.5, lrn: bool = True, weight_init: str = "ksh12"
    ) -> None:
        super().__init__()
        self.trunk = Trunk(width, dropout, lrn)
        self.output = nn.Linear(channels(4096, width), classes)
        initialise(self, weight_init, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 3, 227, 227) → logits (B, K)."""
        return self.output(self.trunk(x))


def initialise(network: nn.Module, weight_init: str, width: float) -> None:
    """Draws all weights of convolutions and fully connected layers.

    ``ksh12`` (KSH12, section 5): N(0, 0.01²); biases 1 in conv2, conv4, conv5 and the hidden fully connected layers,
    else 0. Narrow networks get 0.01/√width behind the first layer, so that signals have the variance they have in the
    paper's. ``he`` (He et al. 2015): N(0, 2/fan-in), biases 0.
    """
    for module in network.modules():
        if not isinstance(module, nn.Conv2d | nn.Linear):
            continue
        if weight_init == "he":
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        else:
            first = isinstance(module, nn.Conv2d) and module.in_channels == 3
            nn.init.normal_(module.weight, std=0.01 if first else 0.01 / math.sqrt(width))
        nn.init.zeros_(module.bias)
    if weight_init == "ksh12":
        for trunk in (m for m in network.modules() if isinstance(m, Trunk)):
            _, conv2, _, conv4, conv5 = (m for m in trunk.convolutions if isinstance(m, nn.Conv2d))
            for module in (conv2, conv4, conv5, *(m for m in trunk.fc if isinstance(m, nn.Linear))):
                nn.init.ones_(module.bias)
