"""Dropout (Srivastava et al. 2014) whose masks belong to images, not to a generator's history.

A mask is a hash of a seed per image, of the layer's dotted path and of the unit, so that it is the same however a
batch is shared out over ranks, cut into smaller ones or computed on another device, after any interruption, and in
every network that has a layer of this path.
"""

import hashlib
from functools import lru_cache

import torch
from torch import nn

__all__ = ["SampleDropout", "set_dropout_seeds"]


class SampleDropout(nn.Module):
    """Dropout of probability ``p``: in training, each value is zero with it, or else divided by 1 - p.

    The input has as many rows as there are seeds, or a multiple: then the rows of one image, such as its patches,
    follow each other. Without seeds (`set_dropout_seeds`) a training pass is refused: it would not be repeatable.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self.seeds: torch.Tensor | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(R, D) → (R, D), R a multiple of the number of seeds."""
        if not self.training or self.p == 0:
            return x
        if self.seeds is None:
            raise RuntimeError("dropout in training needs a seed per image: call seed_masks first")
        rows = x.shape[0] // max(1, self.seeds.shape[0])  # a rank may have none of the last images
        numbers = torch.arange(rows * x.shape[1], device=x.device)
        bits = _mix(self.seeds[:, None] + _mix(numbers)).view(x.shape)  # (B, rows · D) → (R, D)
        kept = (bits & 0xFFFFFF) >= round(self.p * 2**24)
        return (x * (kept / (1 - self.p))).to(x.dtype)  # a rounded 1 / (1 - p) would alter the mean

    def extra_repr(self) -> str:
        return f"p={self.p}"


def set_dropout_seeds(network: nn.Module, seeds: torch.Tensor) -> None:
    """Gives each dropout layer of the network seeds of its own for the next pass.

    Args:
        network: Its `SampleDropout` layers are told apart by their dotted paths in it; one that branches share has one.
        seeds: Of the images in the batch, int64 (B,).
    """
    for path, layer in network.named_modules():
        if isinstance(layer, SampleDropout):
            layer.seeds = _mix(seeds + _number(path))


@lru_cache
def _number(path: str) -> int:
    """An int64 of a layer's path."""
    return int.from_bytes(hashlib.sha256(path.encode()).digest()[:8], "big", signed=True)


def _mix(x: torch.Tensor) -> torch.Tensor:
    """SplitMix64's finaliser (Steele, Lea, Flood 2014) of every int64, in wrapping arithmetic."""
    x = x * -0x61C8864680B583EB
    x = (x ^ _shift(x, 30)) * -0x40A7B892E31B1A47
    x = (x ^ _shift(x, 27)) * -0x6B2FB644ECCEEE15
    return x ^ _shift(x, 31)


def _shift(x: torch.Tensor, bits: int) -> torch.Tensor:
    """Shifted right with zeros, as unsigned numbers are."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)
