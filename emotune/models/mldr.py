"""MldrNet v1: Rao, Xu, Xu (2016), "Learning Multi-level Deep Representations for Image Emotion Classification"
(arXiv 1611.07145), as the thesis describes it: a pyramid of 1, 4 and 16 patches, three networks of decreasing depth,
joined by multiple-instance learning, "finally the average of these three outputs is taken".

The picture is a bag and its patches are instances: a level's logits are the mean over its patches, the network's are
the mean over its levels. One patch goes with the deepest network and sixteen with the shallowest. The paper leaves the
layers of the two shallower networks to its references; our reading: *aesthetics* is AlexNet's first four convolutions
(after RAPID), *low-level* its first two with the mean of every feature map as texture energy (after T-CNN).
"""

import torch
from torch import nn

from emotune.models.alexnet import LocalResponseNorm, Trunk, channels, initialise
from emotune.models.dropout import SampleDropout

__all__ = ["MldrNet", "pyramid"]


def pyramid(x: torch.Tensor, grid: int) -> torch.Tensor:
    """Cuts pictures into ``grid`` × ``grid`` patches that tile them exactly.

    227 has no divisor: right and bottom borders are repeated up to the next multiple of ``grid``.

    Args:
        x: (B, C, H, W).
        grid: Patches along a side, g.

    Returns:
        (B · g², C, ⌈H/g⌉, ⌈W/g⌉), the patches of a picture one after another, row by row.
    """
    x = x.permute(0, 2, 3, 1)  # (B, H, W, C): one copy, and patches stay in channels-last memory
    x = torch.cat([x, x[:, -1:].expand(-1, -x.shape[1] % grid, -1, -1)], dim=1)
    x = torch.cat([x, x[:, :, -1:].expand(-1, -1, -x.shape[2] % grid, -1)], dim=2)
    x = x.unflatten(1, (grid, -1)).unflatten(3, (grid, -1))  # (B, g, h, g, w, C)
    return x.transpose(2, 3).flatten(0, 2).permute(0, 3, 1, 2)


class MldrNet(nn.Module):
    """Three networks on three levels of the pyramid. Arguments: `emotune.models.alexnet.AlexNet`."""

    def __init__(
        self, classes: int, *, width: float = 1.0, dropout: float = 0.5, lrn: bool = True, weight_init: str = "ksh12"
    ) -> None:
        super().__init__()
        c96, c256, c384, units = (channels(paper, width) for paper in (96, 256, 384, 4096))

        def norm() -> nn.Module:
            return LocalResponseNorm() if lrn else nn.Identity()

        self.semantics = nn.Sequential(Trunk(width, dropout, lrn), nn.Linear(units, classes))
        self.aesthetics = nn.Sequential(
            nn.Conv2d(3, c96, 11, stride=4), nn.ReLU(inplace=True), norm(),                  # (4 B, 96, 26, 26)
            nn.MaxPool2d(3, stride=2),                                                       # (4 B, 96, 12, 12)
            nn.Conv2d(c96, c256, 5, padding=2, groups=2), nn.ReLU(inplace=True), norm(),     # (4 B, 256, 12, 12)
            nn.MaxPool2d(3, stride=2),                                                       # (4 B, 256, 5, 5)
            nn.Conv2d(c256, c384, 3, padding=1), nn.ReLU(inplace=True),                      # (4 B, 384, 5, 5)
            nn.Conv2d(c384, c256, 3, padding=1, groups=2), nn.ReLU(inplace=True),            # (4 B, 256, 5, 5)
            nn.MaxPool2d(3, stride=2), nn.Flatten(),                                         # (4 B, 256 · 2 · 2)
            nn.Linear(c256 * 4, units), nn.ReLU(inplace=True), SampleDropout(dropout),
            nn.Linear(units, classes),
        )  # fmt: skip
        self.low_level = nn.Sequential(
            nn.Conv2d(3, c96, 11, stride=4), nn.ReLU(inplace=True), norm(),                  # (16 B, 96, 12, 12)
            nn.MaxPool2d(3, stride=2),                                                       # (16 B, 96, 5, 5)
            nn.Conv2d(c96, c256, 5, padding=2, groups=2), nn.ReLU(inplace=True),             # (16 B, 256, 5, 5)
            nn.AdaptiveAvgPool2d(1), nn.Flatten(),                                           # (16 B, 256): energy
            nn.Linear(c256, units), nn.ReLU(inplace=True), SampleDropout(dropout),
            nn.Linear(units, classes),
        )  # fmt: skip
        initialise(self, weight_init, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 3, 227, 227) → logits (B, K)."""
        levels = [
            self.semantics(x),
            self.aesthetics(pyramid(x, 2)).unflatten(0, (-1, 4)).mean(1),
            self.low_level(pyramid(x, 4)).unflatten(0, (-1, 16)).mean(1),
        ]
        return torch.stack(levels).mean(0)
