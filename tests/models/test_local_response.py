"""Local response normalisation, against torch's layer, finite differences and the formula."""

import pytest
import torch
from torch import nn

from emotune.models.local_response import LocalResponseNorm


@pytest.mark.parametrize("channels", [6, 12, 96])
def test_local_response_norm_is_torchs_and_so_is_its_gradient(channels: int):
    x = 10 * torch.randn(2, channels, 7, 7, dtype=torch.float64)
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    y = LocalResponseNorm()(ours)
    expected = nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)(theirs)
    torch.testing.assert_close(y, expected)
    y.square().sum().backward()
    expected.square().sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


@pytest.mark.parametrize(("size", "beta", "k"), [(5, 0.75, 1.0), (3, 0.75, 2.0), (5, 0.5, 2.0)])
def test_its_gradient_is_that_of_finite_differences(size: int, beta: float, k: float):
    torch.manual_seed(0)
    x = (5 * torch.randn(1, 7, 2, 2, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(LocalResponseNorm(size, 0.01, beta, k), x)


def test_every_setting_is_that_of_the_formula():
    a = torch.randn(9, dtype=torch.float64) * 10
    found = LocalResponseNorm(3, 0.02, 0.6, 1.5)(a.view(1, 9, 1, 1)).flatten()
    sums = torch.stack([a[max(0, c - 1) : c + 2].square().sum() for c in range(9)])
    torch.testing.assert_close(found, a / (1.5 + 0.02 * sums) ** 0.6)


def test_under_autocast_it_stays_in_the_type_of_its_input_and_close_to_float32():
    x = 20 * torch.rand(2, 16, 5, 5)
    exact = LocalResponseNorm()(x)
    with torch.autocast("cpu", torch.bfloat16):
        assert LocalResponseNorm()(x).dtype == torch.float32
        rough = LocalResponseNorm()(x.bfloat16())
    assert rough.dtype == torch.bfloat16
    torch.testing.assert_close(rough.float(), exact, rtol=0.03, atol=0.01)
