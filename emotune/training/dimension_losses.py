"""Losses of predicted dimensions: the squared error, and one minus the concordance correlation of a batch."""

from collections.abc import Callable

import torch

from emotune.config.losses import CccLoss, MseLoss

__all__ = ["dimension_loss"]

Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""The same as `emotune.training.loss.Loss`, of outputs and targets (B, D) on scales from −1 to 1."""
SMALLEST = 1e-12
"""The smallest denominator: all predictions of a batch may equal all ratings."""


def dimension_loss(config: MseLoss | CccLoss, total: Callable[[torch.Tensor], torch.Tensor]) -> Loss:
    """The function of a loss.

    Args:
        config: The loss.
        total: The function that gives the sum of all ranks' tensors on each rank, `World.sum`.
    """
    if isinstance(config, MseLoss):
        return _squared_error

    def concordance(outputs: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        loss, images = _batch_loss(outputs, targets, total)
        # Weighted by their shares of the global batch, these sum to the loss, and their gradients to its gradient.
        return (loss.detach() + (loss - loss.detach()) * images / max(len(outputs), 1)).float().expand(len(outputs))

    return concordance


def _squared_error(outputs: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    return (outputs - targets).square().mean(1)


def _batch_loss(
    outputs: torch.Tensor, targets: torch.Tensor, total: Callable[[torch.Tensor], torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    """One minus the mean CCC of the global batch, differentiable in this rank's outputs, and its number of images.

    CCC is from sums over all ranks, in double precision. What other ranks add is a constant for this one, so the sum of
    all ranks' gradients is the gradient of the whole batch.
    """
    x, y = targets.double(), outputs.double()
    own = torch.stack([torch.ones_like(x), x, y, x * x, y * y, x * y]).sum(1)  # (6, D)
    images, sum_x, sum_y, sum_xx, sum_yy, sum_xy = own + (total(own.detach().clone()) - own.detach())
    mean_x, mean_y = sum_x / images, sum_y / images
    spread = sum_xx / images - mean_x**2 + sum_yy / images - mean_y**2
    covariance = sum_xy / images - mean_x * mean_y
    ccc = 2 * covariance / (spread + (mean_x - mean_y) ** 2).clamp(min=SMALLEST)
    return 1 - ccc.mean(), images[0].detach()
