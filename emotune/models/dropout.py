"""Dropout (Srivastava et al. 2014) with masks that follow from a seed per image, whatever the order of batches.

A mask is a hash of the image's seed, of the layer's dotted path and of the unit. So it stays the same when a batch is
divided among ranks or into smaller ones, when it is computed on another device or after an interruption, and in every
network that has a layer of this path.
"""

import hashlib
from functools import lru_cache

import torch
from torch import nn

__all__ = ["SampleDropout", "set_dropout_seeds"]


class SampleDropout(nn.Module):
    """Dropout: in training, each value is set to zero with probability ``p``, or else divided by 1 - p.

    The input has as many rows as there are seeds, or a multiple of that; then the rows of one image, such as its
    patches, follow each other. `set_dropout_seeds` must be called before every training pass, because a pass without
    seeds could not be repeated.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self.seeds: torch.Tensor | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The values with some of them dropped: (R, D) → (R, D), where R is a multiple of the number of seeds."""
        if not self.training or self.p == 0:
            return x
        if self.seeds is None:
            raise RuntimeError("dropout in training needs a seed per image: call set_dropout_seeds first")
        rows = x.shape[0] // max(1, self.seeds.shape[0])  # the last batch may have no images for a rank
        numbers = torch.arange(rows * x.shape[1], device=x.device)
        bits = _mix(self.seeds[:, None] + _mix(numbers)).view(x.shape)  # (B, rows · D) → (R, D)
        kept = (bits & 0xFFFFFF) >= round(self.p * 2**24)
        return (x * (kept / (1 - self.p))).to(x.dtype)  # a rounded 1 / (1 - p) would change the mean

    def extra_repr(self) -> str:
        return f"p={self.p}"


def set_dropout_seeds(network: nn.Module, seeds: torch.Tensor) -> None:
    """Gives each dropout layer its own seeds for the next pass.

    Args:
        network: The network whose `SampleDropout` layers get seeds that depend on their dotted paths in it.
        seeds: The seeds of the images in the batch, int64 (B,).
    """
    for path, layer in network.named_modules():
        if isinstance(layer, SampleDropout):
            layer.seeds = _mix(seeds + _path_hash(path))


@lru_cache
def _path_hash(path: str) -> int:
    """A layer's path as an int64."""
    return int.from_bytes(hashlib.sha256(path.encode()).digest()[:8], "big", signed=True)


def _mix(x: torch.Tensor) -> torch.Tensor:
    """Every int64 mixed by SplitMix64's finaliser (Steele, Lea, Flood 2014), in wrapping arithmetic."""
    x = x * -0x61C8864680B583EB
    x = (x ^ _shift(x, 30)) * -0x40A7B892E31B1A47
    x = (x ^ _shift(x, 27)) * -0x6B2FB644ECCEEE15
    return x ^ _shift(x, 31)


def _shift(x: torch.Tensor, bits: int) -> torch.Tensor:
    """The numbers shifted to the right and filled with zeros, as unsigned numbers are."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)
