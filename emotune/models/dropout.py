"""Dropout (Srivastava et al. 2014) with masks that follow from a seed per image, whatever the order of batches.

A mask is a hash of the image's seed, of the layer's dotted path and of the unit. So it stays the same when a batch is
divided among ranks or into smaller ones, when it is computed on another device or after an interruption, and in every
network that has a layer of this path. A layer that is called several times in a pass has another mask in each call.
"""

import hashlib
import math
from functools import lru_cache

import torch
from torch import nn

from emotune.core.errors import InputError

__all__ = ["SampleAlphaDropout", "SampleDropout", "set_dropout_seeds"]

IN_CACHE = 2**18
"""The number of values whose hashes, of 8 bytes, a CPU computes at a time: ten times as fast as all at once."""

SELU_MINIMUM = -1.0507009873554805 * 1.6732632423543772
"""The limit of SELU for negative values, -λα, to which alpha dropout sets what it drops."""


class SampleDropout(nn.Module):
    """Dropout: in training, each value is set to zero with probability ``p``, or else divided by 1 - p.

    The input has as many rows as there are seeds, or a multiple of that; then the rows of one image, such as its
    patches, follow each other. `set_dropout_seeds` must be called before every training pass, because a pass without
    seeds could not be repeated.

    Args:
        p: The probability.
        whole_channels: Whether values of a channel are dropped together, as in `torch.nn.Dropout2d` (Tompson et al.
            2015).
        inplace: Whether the result also replaces the input.
    """

    def __init__(self, p: float, *, whole_channels: bool = False, inplace: bool = False) -> None:
        super().__init__()
        self.p = p
        self.whole_channels = whole_channels
        self.inplace = inplace
        self.path = ""
        self.seeds: torch.Tensor | None = None
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The values with some of them dropped: (R, …) → (R, …), where R is a multiple of the number of seeds.

        Raises:
            InputError: the first dimension is not such a multiple, or there are no channels to be dropped as a whole.
        """
        if not self.training or self.p == 0:
            return x
        values = x * 0 if self.p == 1 else self._drop(x, self._kept(x))
        return x.copy_(values) if self.inplace else values

    def _drop(self, x: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
        return (x * (kept / (1 - self.p))).to(x.dtype)  # a rounded 1 / (1 - p) would change the mean

    def _kept(self, x: torch.Tensor) -> torch.Tensor:
        """The mask of kept values, bool: of x's shape, or (R, C, 1, …) for whole channels."""
        seeds = self._seeds_of_this_call()
        images = seeds.shape[0]
        rows = x.shape[0] // max(1, images) if x.ndim else 0  # the last batch may have no images for a rank
        if not x.ndim or x.shape[0] != rows * images:
            raise InputError(
                f'the dropout layer "{self.path}" gets a tensor {tuple(x.shape)} for {images} images; its first '
                "dimension must be the images, or a multiple of them with the rows of one image beside each other"
            )
        if self.whole_channels and x.ndim < 3:
            raise InputError(
                f'the dropout layer "{self.path}" drops whole channels and gets a tensor {tuple(x.shape)} without '
                "positions; use nn.Dropout there"
            )
        shape = (*x.shape[:2], *[1] * (x.ndim - 2)) if self.whole_channels else x.shape
        units = _mix(_numbers(rows * math.prod(shape[1:]), seeds))
        at_once = images
        if x.device.type == "cpu" and not torch.compiler.is_compiling():
            at_once = IN_CACHE // max(1, len(units))
        limit = round(self.p * 2**24)
        parts = [(_mix(part[:, None] + units) & 0xFFFFFF) >= limit for part in seeds.split(max(1, at_once))]
        return torch.cat(parts).view(shape)  # (B, rows · D) → (R, …)

    def _seeds_of_this_call(self) -> torch.Tensor:
        if self.seeds is None:
            raise RuntimeError("dropout in training needs a seed per image: call set_dropout_seeds first")
        # Within a backward pass, activation checkpointing repeats a call, which must have the mask that it had.
        if self.calls and torch._C._current_graph_task_id() != -1:
            if self.calls > 1:
                raise InputError(
                    f'the dropout layer "{self.path}" is called {self.calls} times in a pass and lies in a part with '
                    "activation checkpointing; give each call a layer of its own"
                )
            return self.seeds
        seeds = _mix(self.seeds + self.calls) if self.calls else self.seeds
        self.calls += 1
        return seeds

    def extra_repr(self) -> str:
        return f"p={self.p}"


class SampleAlphaDropout(SampleDropout):
    """Alpha dropout (Klambauer et al. 2017, section 3): dropped values become SELU's minimum, not zero.

    Then all values are scaled and shifted so that mean 0 and variance 1 stay what they are.
    """

    def _drop(self, x: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
        scale = ((1 - self.p) * (1 + self.p * SELU_MINIMUM**2)) ** -0.5
        return scale * (torch.where(kept, x, SELU_MINIMUM) - self.p * SELU_MINIMUM)


def set_dropout_seeds(network: nn.Module, seeds: torch.Tensor) -> None:
    """Gives each dropout layer its own seeds for the next pass.

    Args:
        network: The network whose `SampleDropout` layers get seeds that depend on their dotted paths in it.
        seeds: The seeds of the images in the batch, int64 (B,).
    """
    for path, layer in network.named_modules():
        if isinstance(layer, SampleDropout) and layer.p:
            layer.path, layer.calls = path, 0
            layer.seeds = _mix(seeds + _path_hash(path))


def _numbers(count: int, seeds: torch.Tensor) -> torch.Tensor:
    """The numbers from 0, int64 (count,), on the device of the seeds."""
    if not torch.compiler.is_compiling():
        return torch.arange(count, device=seeds.device)
    # The compiler takes products of `torch.arange`, or of ones that it knows, for positions in memory, which must not
    # be larger than 64 bits; these ones it does not know.
    return (seeds[:1] * 0 + 1).expand(count).cumsum(0) - 1


@lru_cache
def _path_hash(path: str) -> int:
    """A layer's path as an int64."""
    return int.from_bytes(hashlib.sha256(path.encode()).digest()[:8], "big", signed=True)


def _mix(x: torch.Tensor) -> torch.Tensor:
    """Every int64 mixed by SplitMix64's finaliser (Steele, Lea, Flood 2014), in wrapping arithmetic."""
    x = x * -0x61C8864680B583EB
    x.bitwise_xor_(_shift(x, 30)).mul_(-0x40A7B892E31B1A47)
    x.bitwise_xor_(_shift(x, 27)).mul_(-0x6B2FB644ECCEEE15)
    return x.bitwise_xor_(_shift(x, 31))


def _shift(x: torch.Tensor, bits: int) -> torch.Tensor:
    """The numbers shifted to the right and filled with zeros, as unsigned numbers are."""
    return (x >> bits).bitwise_and_((1 << (64 - bits)) - 1)
