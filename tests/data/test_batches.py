"""Every picture comes once in an epoch, in an order that seed and epoch alone decide."""

import numpy as np
import pytest

from emotune.data.batches import epoch_batches, share, steps_per_epoch

SIZES = [(1, 1), (1, 50), (50, 50), (51, 50), (101, 50), (99, 7), (100, 1), (7, 100)]


@pytest.mark.parametrize(("pictures", "batch_size"), SIZES)
def test_every_epoch_is_a_permutation(pictures, batch_size):
    for epoch in range(3):
        batches = epoch_batches(pictures, batch_size, seed=5, epoch=epoch)
        assert sorted(np.concatenate(batches).tolist()) == list(range(pictures))


@pytest.mark.parametrize(("pictures", "batch_size"), SIZES)
def test_batches_are_as_many_as_the_steps_differ_by_one_at_most_and_none_is_too_large(pictures, batch_size):
    sizes = [len(batch) for batch in epoch_batches(pictures, batch_size, seed=5, epoch=0)]
    assert len(sizes) == steps_per_epoch(pictures, batch_size) == int(np.ceil(pictures / batch_size))
    assert max(sizes) - min(sizes) <= 1
    assert 1 <= min(sizes) <= max(sizes) <= batch_size


def test_the_order_depends_on_seed_and_epoch_and_on_nothing_else():
    def order(seed: int, epoch: int, batch_size: int = 10) -> list[int]:
        return np.concatenate(epoch_batches(100, batch_size, seed, epoch)).tolist()

    assert order(1, 2) == order(1, 2) == order(1, 2, batch_size=33)
    orders = {tuple(order(seed, epoch)) for seed in range(4) for epoch in range(4)}
    assert len(orders) == 16
    assert tuple(range(100)) not in orders


def test_a_seed_may_have_all_63_bits():
    assert not np.array_equal(epoch_batches(50, 50, 2**63 - 1, 0)[0], epoch_batches(50, 50, 2**63 - 2, 0)[0])


@pytest.mark.parametrize("world_size", [1, 2, 3, 5])
@pytest.mark.parametrize("size", [1, 4, 34, 50])
def test_the_ranks_shares_of_a_batch_are_disjoint_complete_and_nearly_equal(world_size, size):
    batch = np.random.default_rng(0).permutation(1000)[:size]
    shares = [share(batch, rank, world_size) for rank in range(world_size)]
    assert sorted(np.concatenate(shares).tolist()) == sorted(batch.tolist())
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
