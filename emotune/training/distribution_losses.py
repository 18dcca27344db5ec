"""The losses of `emotune.config.losses`, and what a network's outputs mean where they are no logits."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F

from emotune.config.labels import POSITIVE, wheel_of
from emotune.config.losses import CnnrLoss, EmdLoss, JcdlLoss, KlLoss, NamedLoss, PolarityLoss
from emotune.config.train import TrainConfig

__all__ = ["Readout", "clipped_log_shares", "make_named_loss", "readout"]

Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""The same as `emotune.training.loss.Loss`."""
Readout = Callable[[torch.Tensor], torch.Tensor]
"""A network's outputs (B, K) → logits (B, K), whose softmax is the predicted distribution."""


def make_named_loss(loss: NamedLoss, classes: Sequence[str]) -> Loss:
    """The function of a loss.

    Args:
        loss: Its config.
        classes: The K class names, in the order of the network's outputs.

    Raises:
        ValueError: the classes are not on the wheel, see `emotune.config.losses.class_problem`.
    """
    match loss:
        case KlLoss():
            return _kl
        case JcdlLoss():
            return partial(_jcdl, weight=loss.weight)
        case CnnrLoss():
            return _squared_differences
        case EmdLoss():
            return partial(_emd, order=[list(classes).index(name) for name in wheel_of(classes, loss.wheel)])
        case PolarityLoss():
            return partial(_polarity, positive=[name in POSITIVE for name in classes], weight=loss.weight)
        case _:
            raise TypeError(f"train.loss: {loss.name} is no loss of classes or distributions")


def readout(train: TrainConfig) -> Readout | None:
    """The function that makes logits of the outputs of a network trained with a loss; None: they are logits."""
    return clipped_log_shares if isinstance(train.loss, CnnrLoss) else None


def clipped_log_shares(outputs: torch.Tensor) -> torch.Tensor:
    """The logarithms of outputs (B, K) that are clipped at 0 and divided by their sum; all equal if that is 0.

    Outputs that are not finite give NaN.

    >>> clipped_log_shares(torch.tensor([[-1.0, 3.0, 1.0], [-1.0, -2.0, 0.0]])).exp().round(decimals=2).tolist()
    [[0.0, 0.75, 0.25], [0.33000001311302185, 0.33000001311302185, 0.33000001311302185]]
    """
    shares = outputs.clamp(min=0) + 0 * outputs  # NaN if they are infinite
    shares = torch.where(shares.sum(1, keepdim=True) == 0, torch.ones_like(shares), shares)
    return shares.log() - shares.sum(1, keepdim=True).log()


def _kl(logits: torch.Tensor, target_probs: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(logits, target_probs, reduction="none") - torch.special.entr(target_probs).sum(1)


def _jcdl(logits: torch.Tensor, target_probs: torch.Tensor, weights: torch.Tensor, *, weight: float) -> torch.Tensor:
    leads = (target_probs == target_probs.amax(1, keepdim=True)).to(target_probs.dtype)
    mixed = (1 - weight) * target_probs + weight * leads / leads.sum(1, keepdim=True)
    return F.cross_entropy(logits, mixed, reduction="none")


def _squared_differences(outputs: torch.Tensor, target_probs: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    return (outputs - target_probs).square().mean(1)


def _emd(logits: torch.Tensor, target_probs: torch.Tensor, weights: torch.Tensor, *, order: list[int]) -> torch.Tensor:
    """The distance on a circle: of the sorted differences of cumulative sums, the larger half minus the smaller one."""
    differences = (logits.softmax(1) - target_probs)[:, order].cumsum(1).sort(1).values
    half = len(order) // 2
    return differences[:, -half:].sum(1) - differences[:, :half].sum(1)


def _polarity(
    logits: torch.Tensor, target_probs: torch.Tensor, weights: torch.Tensor, *, positive: list[bool], weight: float
) -> torch.Tensor:
    is_positive = torch.tensor(positive, device=logits.device)
    differs = is_positive[logits.argmax(1)] != is_positive[target_probs.argmax(1)]
    return F.cross_entropy(logits, target_probs, reduction="none") * (1 + weight * differs)
