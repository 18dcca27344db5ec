"""Images of a batch are mixed as MixUp and CutMix say; who with whom depends on seed, epoch and step only."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from emotune.config.input_spec import InputSpec
from emotune.data.mixing import Mixing, Mixture

BATCH = np.array([7, 3, 12, 0, 5, 9])


def drawn(mixing: Mixing, count: int = 400) -> list[Mixture]:
    return [mixing.draw(BATCH, epoch=step % 4, step=step) for step in range(count)]


def test_partners_are_the_batch_in_another_order_the_same_for_all_options_of_a_seed():
    mixtures = drawn(Mixing(0.2, 0, seed=5))
    assert all(sorted(mixture.partners) == sorted(BATCH) for mixture in mixtures)
    for other in (Mixing(1, 0, 5), Mixing(0, 1, 5), Mixing(0.3, 1, 5)):
        assert all(np.array_equal(m.partners, o.partners) for m, o in zip(mixtures, drawn(other), strict=True))
    orders = {tuple(mixture.partners) for mixture in [*mixtures, *drawn(Mixing(0.2, 0, seed=6))]}
    assert len(orders) > 400  # of 720
    again = drawn(Mixing(0.2, 0, seed=5))
    assert [m.share for m in again] == [m.share for m in mixtures]


@pytest.mark.parametrize(("alpha", "spread"), [(0.2, 0.42), (1, 0.29), (8, 0.12), (1e-30, 0.5)])
def test_shares_have_the_spread_of_their_beta_distribution(alpha: float, spread: float):
    shares = np.array([mixture.share for mixture in drawn(Mixing(alpha, 0, seed=0), 2000)])
    assert shares.mean() == pytest.approx(0.5, abs=0.04)
    assert shares.std() == pytest.approx(spread, abs=0.02)


@pytest.mark.parametrize("side", [InputSpec.side, 64])
def test_cutmix_takes_a_box_from_the_partner_and_its_share_is_what_is_left(side: int):
    mixtures = drawn(Mixing(0, 1, seed=0, side=side))
    assert len({mixture.box for mixture in mixtures}) > 300
    for mixture in mixtures[:50]:
        mixed, partners = torch.ones(2, 3, side, side), torch.zeros(2, 3, side, side)
        mixture.mix(mixed, partners)
        assert set(mixed.unique().tolist()) <= {0.0, 1.0}
        assert mixed.mean().item() == pytest.approx(mixture.share, abs=1e-4)


def test_mixup_is_the_weighted_mean():
    images, partners = torch.full((2, 3, 4, 4), 3.0), torch.full((2, 3, 4, 4), -1.0)
    Mixture(BATCH, 0.75).mix(images, partners)
    assert torch.equal(images, torch.full((2, 3, 4, 4), 2.0))


def test_with_both_half_of_the_batches_are_mixed_by_each():
    both = Mixing(0.2, 1, seed=0)
    boxes = [mixture.box is not None for mixture in drawn(both)]
    assert 0.4 < np.mean(boxes) < 0.6
    assert all(m.box is None for m in drawn(replace(both, cutmix=0)))
    assert all(m.box is not None for m in drawn(replace(both, mixup=0)))
