"""WSCNet's two branches: Yang et al. (2018), "Weakly Supervised Coupled Networks for Visual Sentiment Analysis".

A 1×1 convolution gives k maps of evidence for each class. Their means over positions and over the k maps are the logits
of the *detection* branch, v. The means over the k maps alone, each times its class' logit, averaged over classes, are
one map M: it weights the positions of the backbone's map F. The *classification* branch has a linear layer on the means
over positions of F and F·M, and it predicts. The loss is the mean of both branches' losses.

These are the means of the authors' definition. In their code the hand-written backward pass of the mean over k maps
does not divide by k, although the forward pass does. So there the gradient that reaches the 1×1 convolution is k times
this one (4 in the paper) through the detection branch, and k · K times (4 · 8) through M: their convolution learns
at other rates than ours at the same ``train.lr``.
"""

from collections.abc import Sequence

import torch
from torch import nn

from emotune.config.heads import WscnetHeadConfig
from emotune.models.dropout import SampleDropout

__all__ = ["WscnetHead"]


class WscnetHead(nn.Module):
    """The detection and the classification branch of WSCNet.

    Args:
        config: The head's options.
        channels: The channels of the last map, C.
        classes: The number of classes, K.
    """

    def __init__(self, config: WscnetHeadConfig, channels: int, classes: int) -> None:
        super().__init__()
        self.maps_per_class = config.maps_per_class
        self.detection = nn.Conv2d(channels, classes * config.maps_per_class, 1)
        self.dropout = SampleDropout(config.dropout)
        self.output = nn.Linear(2 * channels, classes)

    def forward(self, maps: Sequence[torch.Tensor]) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Maps (B, C, H, W), of which the last one is used → logits (B, K); in training those of both branches."""
        x = maps[-1]
        evidence = self.detection(x).unflatten(1, (-1, self.maps_per_class)).mean(2)  # (B, K, H, W)
        detected = evidence.mean(dim=(2, 3))
        weights = (detected[:, :, None, None] * evidence).mean(1, keepdim=True)  # M, (B, 1, H, W)
        pooled = torch.cat([x.mean(dim=(2, 3)), (x * weights).mean(dim=(2, 3))], dim=1)
        logits = self.output(self.dropout(pooled))
        return (logits, detected) if self.training else logits
