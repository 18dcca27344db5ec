"""Networks of images as networks of clips: each frame goes through the network, and the frames' logits become one.

A batch of B clips of T frames is computed as B·T images; a head alone gets the features of B·T frames likewise. *mean*
and *max* are taken over the frames' logits, class by class. *attention* is the second level of HAN (Yang et al. 2016,
section 2.2) with frames in place of sentences: weights a = softmax(uᵀ tanh(W h + b)) over the frames, from what the
last layer gets of each, h. The weighted mean of logits is then the logits of the weighted mean of h, because that layer
is linear. u starts at zero, so that at step 0 attention is *mean*. HAN's recurrent encoder is left out: frames have no
order here.
"""

from typing import Any

import torch
from torch import nn

from emotune.config.network import NetworkConfig
from emotune.core.errors import InputError
from emotune.models.networks.attention import AttentionMap
from emotune.models.networks.context_attention import ContextAttention

__all__ = ["FRAMES_LAYER", "FrameMap", "FramePooling", "frame_pooling", "of_samples", "see_clips"]

FRAMES_LAYER = "over_frames"
"""The name in a network of the layer that makes one of its frames' logits."""


class FrameMap(AttentionMap):
    """Records the weight of each frame of a clip, (B, T)."""

    def image_map(self, *weights: torch.Tensor) -> torch.Tensor:
        return weights[0]


class FramePooling(nn.Module):
    """The logits of clips from those of their frames. It is told of a network's passes by hooks, see `see_clips`.

    Args:
        pooling: *mean*, *max* or *attention*.
        channels: The length of the vector that the network's last layer gets; for attention only.
    """

    def __init__(self, pooling: str, channels: int) -> None:
        super().__init__()
        self.pooling = pooling
        self.frames = 1
        self.vectors: torch.Tensor | None = None
        self.attention = ContextAttention(channels, temperature=1.0) if pooling == "attention" else None
        self.map = FrameMap()

    def see(self, network: nn.Module, last: nn.Linear | None) -> None:
        """Becomes a part of a network or a head, and is told of its passes.

        Args:
            network: The network, or the head on features that are computed once.
            last: Its last layer, whose inputs attention looks at.
        """
        network.add_module(FRAMES_LAYER, self)
        network.register_forward_pre_hook(self.fold)
        network.register_forward_hook(self.unfold)
        if self.attention is not None and last is not None:
            last.register_forward_pre_hook(self.keep)

    def fold(self, network: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """Before a pass: clips (B, T, 3, H, W) become images (B·T, 3, H, W); images stay, as clips of one frame.

        Features, tensors (B, T, …) of clips, become those of B·T frames.
        """
        images = inputs[0]
        if isinstance(images, list):
            self.frames = images[0].shape[1]
            return ([one.flatten(0, 1) for one in images], *inputs[1:])
        self.frames = images.shape[1] if images.ndim == 5 else 1
        return (images.flatten(0, 1), *inputs[1:]) if images.ndim == 5 else None

    def keep(self, layer: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        """Before the last layer: keeps the frames' vectors, (B·T, C)."""
        self.vectors = inputs[0]

    def unfold(self, network: nn.Module, inputs: Any, outputs: Any) -> Any:
        """After a pass: the frames' logits (B·T, K), or a tuple of them, become the clips', (B, K)."""
        weights = None
        if self.attention is not None:
            assert self.vectors is not None  # the last layer is called in each pass
            weights = self.attention(self._by_clip(self.vectors))
            self.map(weights)
            self.vectors = None
        if isinstance(outputs, tuple):
            return tuple(self._pooled(one, weights) for one in outputs)
        return self._pooled(outputs, weights)

    def _by_clip(self, rows: torch.Tensor) -> torch.Tensor:
        return rows.unflatten(0, (rows.shape[0] // self.frames, self.frames))

    def _pooled(self, logits: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
        by_clip = self._by_clip(logits)
        if weights is not None:
            return (by_clip * weights.unsqueeze(2)).sum(1)
        return by_clip.amax(1) if self.pooling == "max" else by_clip.mean(1)


def see_clips(network: nn.Module, config: NetworkConfig) -> nn.Module:
    """The network itself, which from now on takes clips (B, T, 3, side, side), too, for any number of frames.

    This is done by hooks, not by a module around it, so that layers keep their names: initial weights follow from
    them, and files of weights fit.

    Args:
        network: A network of images.
        config: Its config, whose ``frames`` says how frames become one.

    Raises:
        InputError: attention is asked for, and the network has no linear last layer called ``output``.
    """
    last = _last_layer(network)
    if config.frames == "attention" and last is None:
        raise InputError(
            "model.frames: attention looks at what a linear layer called output gets, and this network does not end "
            "with one; use mean or max"
        )
    FramePooling(config.frames, last.in_features if last is not None else 0).see(network, last)
    return network


def frame_pooling(network: nn.Module) -> FramePooling | None:
    """The module that makes one of the logits of a network's frames; None for a network of images."""
    pooling = getattr(network, FRAMES_LAYER, None)
    return pooling if isinstance(pooling, FramePooling) else None


def of_samples(weights: torch.Tensor, count: int) -> torch.Tensor:
    """The weights (count, P) of samples: of clips, whose frames have (count · T, P), the means over their frames."""
    return weights if len(weights) == count else weights.unflatten(0, (count, -1)).mean(1)


def _last_layer(network: nn.Module) -> nn.Linear | None:
    """The network's layer ``output``, or its head's, if it is linear."""
    for owner in (network, getattr(network, "head", None)):
        if isinstance(last := getattr(owner, "output", None), nn.Linear):
            return last
    return None
