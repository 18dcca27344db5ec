"""HAN's attention: a hidden layer and a context vector (Yang et al. 2016, section 2.2)."""

import torch
from torch import nn

__all__ = ["ContextAttention"]


class ContextAttention(nn.Module):
    """HAN's attention: vectors (…, P, C) → weights that sum to one, float32 (…, P).

    Args:
        channels: The length of a vector, C.
        temperature: The divisor of the scores.
    """

    def __init__(self, channels: int, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.hidden = nn.Linear(channels, channels)
        self.context = nn.Linear(channels, 1, bias=False)  # a bias would shift all scores alike
        nn.init.zeros_(self.context.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores = self.context(self.hidden(x).tanh()).squeeze(-1)
        return torch.softmax(scores.float() / self.temperature, dim=-1)
