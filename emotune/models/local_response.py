"""Local response normalisation: KSH12 (Krizhevsky, Sutskever, Hinton 2012), section 3.3.

b = a / (k + α Σ a²)^β, with the sum over ``size`` neighbouring channels. torch's layer divides α by ``size`` and the
paper does not, so this gives the numbers of ``torch.nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2)``. On a CPU it
is several times as fast (``benchmarks/lrn.py``), because the sum over channels is a 1×1 convolution with a band of
ones, the power with β = 3/4 is two square roots, and the gradient is written out.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd.function import once_differentiable

__all__ = ["LocalResponseNorm"]


class LocalResponseNorm(nn.Module):
    """Local response normalisation: (B, C, H, W) → (B, C, H, W), calculated in the type of its input.

    Args:
        size: The number of channels in a neighbourhood, n, which is odd.
        alpha: The factor on the sum of squares, α.
        beta: The exponent, β.
        k: The number added to the sum.
    """

    def __init__(self, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0) -> None:
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _Normalise.apply(x, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha:g}, beta={self.beta:g}, k={self.k:g}"


class _Normalise(torch.autograd.Function):
    """With d = k + α Σ a² and s = d^-β, the formula b = a s and its gradient ∂L/∂a = g s - 2 α β a Σ (g a s / d)."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, size: int, alpha: float, beta: float, k: float) -> torch.Tensor:
        band = _band(x, size)
        with _without_autocast(x.device.type):  # autocast would change the type in the middle of the formula
            denominator = F.conv2d(x * x, band * alpha, bias=x.new_full((x.shape[1],), k))
        scale = _power(denominator, beta)
        ctx.save_for_backward(x, denominator, scale, band)
        ctx.factor = -2 * alpha * beta
        return x * scale

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]  # torch passes its arguments by position
        ctx: Any, gradient: torch.Tensor
    ) -> tuple[torch.Tensor | None, ...]:
        x, denominator, scale, band = ctx.saved_tensors
        scaled = gradient * scale
        spread = F.conv2d((scaled * x).div_(denominator), band * ctx.factor)
        return scaled.addcmul_(x, spread), None, None, None, None


def _without_autocast(device: str) -> AbstractContextManager[Any]:
    return torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext()


def _band(x: torch.Tensor, size: int) -> torch.Tensor:
    """A matrix that is one where two channels are neighbours and else zero: (C, C, 1, 1)."""
    index = torch.arange(x.shape[1], device=x.device)
    return ((index[:, None] - index).abs() <= size // 2).to(x.dtype)[:, :, None, None]


def _power(x: torch.Tensor, beta: float) -> torch.Tensor:
    """The power x^-β; for β = 3/4, two square roots take a third of the time of a general power."""
    if beta == 0.75:
        root = x.rsqrt()
        return root.sqrt().mul_(root)
    return x.pow(-beta)
