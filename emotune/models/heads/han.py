"""HAN's two levels for images: positions within patches, then patches within the image.

Yang et al. (2016), "Hierarchical Attention Networks for Document Classification", section 2.2, attend to the words of a
sentence and then to the sentences of a document. Here a patch of a pyramid is a sentence and a position of its map is a
word. This is our own reading of the thesis' inspiration: no paper does it with photographs. Both levels have a hidden
layer and a context vector u of their own, a = softmax(uᵀ tanh(W h + b) / temperature). HAN's recurrent encoders are
left out, because patches have no reading order. The context vectors start at zero: at step 0 the head is the mean over
positions and patches.
"""

import math
from collections.abc import Sequence

import torch
from torch import nn

from emotune.config.heads import HanHeadConfig
from emotune.models.dropout import SampleDropout
from emotune.models.networks.attention import AttentionMap
from emotune.models.networks.context_attention import ContextAttention

__all__ = ["HanHead"]


class ImageMap(AttentionMap):
    """Records the weight of each position in an image's vector: its weight in its patch, times that of the patch."""

    def image_map(self, *weights: torch.Tensor) -> torch.Tensor:
        """The weights of each level's positions, (B, g², H, W), all of which sum to one → (B, P) on one grid.

        The grid is that of the level with the most positions. A weight of another level is shared by the cells that it
        overlaps, in proportion to the areas.
        """
        levels = []
        for one in weights:
            patches = one.double().unflatten(1, (math.isqrt(one.shape[1]), -1))  # (B, g, g, H, W)
            levels.append(patches.transpose(2, 3).flatten(3, 4).flatten(1, 2))  # (B, g · H, g · W)
        # In double precision, which mixed precision leaves alone: in bfloat16 they would not sum to one.
        rows, columns = (max(one.shape[axis] for one in levels) for axis in (1, 2))
        maps = [_overlaps(rows, one.shape[1], one) @ one @ _overlaps(columns, one.shape[2], one).T for one in levels]
        return torch.stack(maps).sum(0).flatten(1)


class HanHead(nn.Module):
    """Attention over the positions of each patch, then over all patches of the pyramid, and one linear layer.

    `record_attention` records one map of the whole image, see `ImageMap`.

    Args:
        config: The head's options.
        channels: The channels of the last map, C.
        classes: The number of classes, K.
    """

    def __init__(self, config: HanHeadConfig, channels: int, classes: int) -> None:
        super().__init__()
        attends = config.attention
        self.positions = ContextAttention(channels, config.temperature) if attends in ("both", "positions") else None
        self.patches = ContextAttention(channels, config.temperature) if attends in ("both", "patches") else None
        self.map = ImageMap() if attends != "none" else None
        self.dropout = SampleDropout(config.dropout)
        self.output = nn.Linear(channels, classes)

    def forward(self, maps: Sequence[torch.Tensor]) -> torch.Tensor:
        """For each level of the pyramid the maps of its P patches, (B, P, C, H, W) → logits (B, K)."""
        within = [_weights(self.positions, x.flatten(3).transpose(2, 3)) for x in maps]  # each (B, P, H · W)
        vectors = [(x.flatten(3) * a.unsqueeze(2)).sum(3) for x, a in zip(maps, within, strict=True)]  # (B, P, C)
        patches = torch.cat(vectors, dim=1)
        among = _weights(self.patches, patches)  # (B, all patches)
        if self.map is not None:
            by_level = zip(within, among.split([x.shape[1] for x in maps], dim=1), maps, strict=True)
            self.map(*((a * b.unsqueeze(2)).unflatten(2, x.shape[3:]) for a, b, x in by_level))
        return self.output(self.dropout((patches * among.unsqueeze(2)).sum(1)))


def _weights(attention: ContextAttention | None, x: torch.Tensor) -> torch.Tensor:
    """The weights of vectors (…, P, C), by attention or, without it, all the same: float32 (…, P)."""
    if attention is None:
        return torch.full(x.shape[:-1], 1 / x.shape[-2], device=x.device)
    return attention(x)


def _overlaps(to: int, of: int, like: torch.Tensor) -> torch.Tensor:
    """The share of each of ``of`` equal parts of a line that lies in each of ``to`` equal parts: (to, of)."""
    starts = torch.arange(to, device=like.device)[:, None] * of  # in units of 1 / (to · of)
    parts = torch.arange(of, device=like.device)[None] * to
    lengths = torch.minimum(starts + of, parts + to) - torch.maximum(starts, parts)
    return lengths.clamp(min=0).to(like.dtype) / to
