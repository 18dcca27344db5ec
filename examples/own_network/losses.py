"""A loss of one's own: a function that gives the loss of each image of a batch."""

import torch


def focal(logits: torch.Tensor, target_probs: torch.Tensor, weights: torch.Tensor, gamma: float = 2.0) -> torch.Tensor:
    """The focal loss (Lin et al. 2017) of each image, (B,), from logits and target distributions, both (B, classes)."""
    log_probs = logits.log_softmax(1)
    return -(target_probs * (1 - log_probs.exp()) ** gamma * log_probs).sum(1)
