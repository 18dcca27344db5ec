"""The losses of dimensions: their values, and the same gradient however a batch is divided among ranks."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from emotune.config.losses import CccLoss, MseLoss
from emotune.runs.predictions import concordance
from emotune.training.dimension_losses import dimension_loss

GENERATOR = torch.Generator().manual_seed(0)
TARGETS = torch.rand(24, 2, generator=GENERATOR) * 2 - 1
OUTPUTS = 0.4 * TARGETS + 0.3 * torch.rand(24, 2, generator=GENERATOR)
WEIGHTS = torch.ones(24)


def own(tensor: torch.Tensor) -> torch.Tensor:
    return tensor


def batch_loss(parts: list[slice]) -> tuple[float, torch.Tensor]:
    """The loss of a batch that ranks share, and its gradient, as `emotune.training.step` adds them up."""
    moments = [torch.stack([torch.ones(24, 2), TARGETS, OUTPUTS, TARGETS**2, OUTPUTS**2, TARGETS * OUTPUTS]).double()]
    outputs, value = OUTPUTS.clone().requires_grad_(), 0.0
    for part in parts:
        loss = dimension_loss(CccLoss(), lambda _: moments[0].sum(1))
        losses = loss(outputs[part], TARGETS[part], WEIGHTS[part])
        share = (losses / len(TARGETS)).sum()  # an image's share of the global batch
        share.backward()
        value += share.item()
    assert outputs.grad is not None
    return value, outputs.grad


def test_the_loss_of_concordance_is_one_minus_its_mean():
    losses = dimension_loss(CccLoss(), own)(OUTPUTS, TARGETS, WEIGHTS)
    expected = 1 - concordance(TARGETS.numpy(), OUTPUTS.numpy()).mean()
    assert losses.shape == (24,) and losses.tolist() == pytest.approx([expected] * 24, rel=1e-5)


@pytest.mark.parametrize("cuts", [[9], [1, 2], [0, 12, 24]])
def test_ranks_together_have_the_gradient_of_the_whole_batch(cuts):
    bounds = [0, *cuts, 24]
    whole, gradient = batch_loss([slice(0, 24)])
    divided, shared = batch_loss([slice(*pair) for pair in pairwise(bounds)])
    assert divided == pytest.approx(whole, rel=1e-5)
    assert torch.allclose(shared, gradient, atol=1e-7)
    outputs = OUTPUTS.double().requires_grad_()
    means, spread = outputs.mean(0), outputs.var(0, correction=0) + TARGETS.double().var(0, correction=0)
    covariance = ((outputs - means) * (TARGETS - TARGETS.mean(0))).mean(0)
    (1 - (2 * covariance / (spread + (means - TARGETS.double().mean(0)) ** 2)).mean()).backward()
    assert outputs.grad is not None and torch.allclose(gradient.double(), outputs.grad, atol=1e-6)


def test_constant_outputs_and_batches_of_one_have_finite_gradients():
    for given, targets in ((torch.zeros(5, 2), TARGETS[:5]), (OUTPUTS[:1], TARGETS[:1]), (TARGETS[:1], TARGETS[:1])):
        outputs = given.clone().requires_grad_()
        dimension_loss(CccLoss(), own)(outputs, targets, WEIGHTS[: len(outputs)]).sum().backward()
        assert outputs.grad is not None and outputs.grad.isfinite().all()


def test_the_squared_error_is_the_mean_over_dimensions():
    losses = dimension_loss(MseLoss(), own)(OUTPUTS, TARGETS, WEIGHTS)
    assert losses.numpy() == pytest.approx(np.square((OUTPUTS - TARGETS).numpy()).mean(1))
