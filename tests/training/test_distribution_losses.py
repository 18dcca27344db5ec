"""Losses on distributions against formulas in double precision, and runs that are trained with them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from running import changed, trained

from emotune.config.labels import MIKELS, POSITIVE, wheel_of
from emotune.config.losses import CnnrLoss, EmdLoss, GaussianTargets, JcdlLoss, KlLoss, NamedLoss, PolarityLoss
from emotune.config.run import RunConfig
from emotune.data.annotations import gaussian_on_wheel, training_targets
from emotune.runs.distribution_measures import emd_circle, kl_divergence
from emotune.training.distribution_losses import clipped_log_shares, make_named_loss

WHEEL = wheel_of(MIKELS)
ORDER = [MIKELS.index(name) for name in WHEEL]
ALL: list[NamedLoss] = [KlLoss(), JcdlLoss(), EmdLoss(), CnnrLoss(), PolarityLoss()]


def example(count: int = 64, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and targets, some with empty classes and some one-hot, float64 (N, 8)."""
    generator = np.random.default_rng(seed)
    targets = generator.multinomial(11, generator.dirichlet(np.full(8, 0.6), size=count)) / 11
    return torch.from_numpy(generator.normal(size=(count, 8)) * 2).requires_grad_(), torch.from_numpy(targets)


def losses_of(loss: NamedLoss, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return make_named_loss(loss, MIKELS)(logits, targets, torch.ones(len(targets)))


def gradient(losses: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    return torch.autograd.grad(losses.sum(), logits, retain_graph=True)[0]


def test_kl_is_the_measure_and_has_the_gradient_of_the_cross_entropy():
    logits, targets = example()
    losses = losses_of(KlLoss(), logits, targets)
    np.testing.assert_allclose(
        losses.detach().numpy(), kl_divergence(targets.numpy(), logits.detach().softmax(1).numpy()), atol=1e-8
    )
    plain = F.cross_entropy(logits, targets, reduction="none")
    torch.testing.assert_close(gradient(losses, logits), gradient(plain, logits))
    certain = targets.clamp(min=1e-12).log()
    assert losses_of(KlLoss(), certain, targets).abs().max() < 1e-9


@pytest.mark.parametrize("weight", [0.2, 0.7, 1.0])
def test_jcdl_is_the_weighted_sum_of_two_losses_and_of_their_gradients(weight: float):
    logits, targets = example()
    unique = (targets == targets.amax(1, keepdim=True)).sum(1) == 1
    logits, targets = logits[unique].detach().requires_grad_(), targets[unique]
    losses = losses_of(JcdlLoss(weight=weight), logits, targets)
    both = (1 - weight) * F.cross_entropy(logits, targets, reduction="none") + weight * F.cross_entropy(
        logits, targets.argmax(1), reduction="none"
    )
    torch.testing.assert_close(losses, both)
    one_hot = F.one_hot(targets.argmax(1), 8)
    expected = logits.detach().softmax(1) - ((1 - weight) * targets + weight * one_hot)
    torch.testing.assert_close(gradient(losses, logits), expected)


def test_classes_that_tie_share_the_weight_of_the_classification():
    logits = torch.zeros(1, 8, dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([[0.4, 0.4, 0.2, 0, 0, 0, 0, 0]], dtype=torch.float64)
    found = gradient(losses_of(JcdlLoss(weight=0.5), logits, targets), logits)
    expected = torch.tensor([[0.45, 0.45, 0.1, 0, 0, 0, 0, 0]], dtype=torch.float64)
    torch.testing.assert_close(1 / 8 - found, expected)


def test_emd_is_the_measure_and_its_gradient_that_of_finite_differences():
    logits, targets = example()
    losses = losses_of(EmdLoss(), logits, targets)
    expected = emd_circle(targets.numpy(), logits.detach().softmax(1).numpy(), ORDER)
    np.testing.assert_allclose(losses.detach().numpy(), expected, atol=1e-12)
    found, step = gradient(losses, logits).numpy(), 1e-7
    for column in range(8):
        moved = logits.detach().clone()
        moved[:, column] += step
        above = emd_circle(targets.numpy(), moved.softmax(1).numpy(), ORDER)
        np.testing.assert_allclose(found[:, column], (above - expected) / step, atol=1e-5)


def test_the_order_of_the_wheel_is_an_option():
    logits, targets = example()
    other = (*WHEEL[1:4], WHEEL[0], *WHEEL[4:])
    assert not torch.allclose(losses_of(EmdLoss(), logits, targets), losses_of(EmdLoss(wheel=other), logits, targets))
    turned = (*WHEEL[3:], *WHEEL[:3])
    torch.testing.assert_close(
        losses_of(EmdLoss(), logits, targets), losses_of(EmdLoss(wheel=turned[::-1]), logits, targets)
    )


def test_the_polarity_penalty_counts_only_where_polarities_differ():
    logits, targets = example()
    plain = F.cross_entropy(logits, targets, reduction="none")
    positive = torch.tensor([name in POSITIVE for name in MIKELS])
    differs = positive[logits.argmax(1)] != positive[targets.argmax(1)]
    assert 0 < differs.sum() < len(differs)
    torch.testing.assert_close(losses_of(PolarityLoss(weight=0.5), logits, targets), plain * (1 + 0.5 * differs))


def test_outputs_of_the_regression_become_shares():
    outputs = torch.tensor([[0.5, -0.2, 1.5], [-1.0, -2.0, 0.0], [0.0, 0.0, 2.0]], dtype=torch.float64)
    logits = clipped_log_shares(outputs)
    expected = torch.tensor([[0.25, 0, 0.75], [1 / 3, 1 / 3, 1 / 3], [0, 0, 1]], dtype=torch.float64)
    torch.testing.assert_close(logits.softmax(1), expected)
    torch.testing.assert_close(logits.exp(), expected)
    for broken in (np.nan, np.inf, -np.inf):
        assert clipped_log_shares(torch.tensor([[broken, 1.0, 2.0]])).isnan().any()


@pytest.mark.parametrize("loss", ALL, ids=lambda loss: loss.name)
def test_losses_are_finite_per_image_and_defined_for_no_images(loss: NamedLoss):
    logits, targets = example()
    extreme = (logits.detach() * 100).requires_grad_()
    losses = losses_of(loss, extreme, targets)
    assert losses.shape == (64,) and losses.isfinite().all() and gradient(losses, extreme).isfinite().all()
    torch.testing.assert_close(torch.cat([losses_of(loss, extreme[k : k + 1], targets[k : k + 1]) for k in range(64)]),
                               losses)  # fmt: skip
    assert losses_of(loss, extreme[:0], targets[:0]).shape == (0,)


@pytest.mark.parametrize("loss", ALL, ids=lambda loss: loss.name)
def test_each_loss_falls_in_training_and_vanishes_or_is_small_at_the_target(loss: NamedLoss):
    _, targets = example(16)
    logits = torch.zeros_like(targets, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.05)
    values = []
    for _ in range(400):
        optimizer.zero_grad()
        mean = losses_of(loss, logits, targets).mean()
        mean.backward()
        optimizer.step()
        values.append(mean.item())
    entropy = torch.special.entr(targets).sum(1).mean().item()
    lowest = 0.0 if loss.name in ("kl", "emd", "cnnr") else entropy
    assert values[-1] < values[0] and (loss.name == "jcdl" or values[-1] == pytest.approx(lowest, abs=0.06))


def test_a_run_with_regression_stores_shares(run: RunConfig, tmp_path: Path):
    record, predictions = trained(changed(run, loss=CnnrLoss(), epochs=1, lr=0.001), tmp_path)
    logits = predictions.filter(like="logit_").to_numpy(np.float64)
    assert (logits <= 1e-6).all() and np.isneginf(logits).any()
    np.testing.assert_allclose(np.exp(logits).sum(axis=1), 1, atol=1e-5)
    assert np.isfinite(record["last_epoch"]["val_loss"])


@pytest.mark.parametrize("loss", [EmdLoss(), PolarityLoss(), KlLoss(), JcdlLoss()], ids=lambda loss: loss.name)
def test_a_run_is_trained_with_each_loss(run: RunConfig, tmp_path: Path, loss: NamedLoss):
    plain, _ = trained(changed(run, targets=GaussianTargets(), epochs=1), tmp_path)
    record, predictions = trained(changed(run, loss=loss, targets=GaussianTargets(), epochs=1), tmp_path)
    assert record["last_epoch"]["train_loss"] != plain["last_epoch"]["train_loss"]
    assert isinstance(predictions, pd.DataFrame) and np.isfinite(predictions.filter(like="logit_")).all(axis=None)


@pytest.mark.parametrize(("sigma", "epsilon"), [(1.0, 0.1), (0.45, 0.0), (3.0, 0.5)])
def test_targets_on_the_wheel_depend_on_steps_and_polarity(sigma: float, epsilon: float):
    targets = gaussian_on_wheel(MIKELS, GaussianTargets(sigma=sigma, epsilon=epsilon)).astype(float)
    np.testing.assert_allclose(targets.sum(axis=1), 1, rtol=1e-6)
    assert (targets.argmax(axis=1) == np.arange(8)).all()
    for row, label in enumerate(MIKELS):
        for column, other in enumerate(MIKELS):
            steps = abs(WHEEL.index(label) - WHEEL.index(other))
            weight = np.exp(-(min(steps, 8 - steps) ** 2) / (2 * sigma**2))
            weight = weight if (label in POSITIVE) == (other in POSITIVE) else epsilon
            assert targets[row, column] / targets[row, row] == pytest.approx(weight, rel=1e-5, abs=1e-9)


def test_targets_of_labels_need_no_votes_and_soft_targets_are_the_votes():
    votes = [{"awe": 8.0, "fear": 3.0}, {"anger": 11.0}]
    soft = training_targets(["awe", "anger"], votes, MIKELS, "soft")
    assert soft[0, [MIKELS.index("awe"), MIKELS.index("fear")]].tolist() == pytest.approx([8 / 11, 3 / 11])
    np.testing.assert_allclose(soft.sum(axis=1), 1, rtol=1e-6)
    wheel = training_targets(["awe", "anger"], [{}, {}], MIKELS, GaussianTargets())
    np.testing.assert_array_equal(wheel, gaussian_on_wheel(MIKELS, GaussianTargets())[[MIKELS.index("awe"), 1]])
