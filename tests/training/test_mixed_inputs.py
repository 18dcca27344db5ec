"""The network sees the same mixed images whatever the number of ranks, of pieces and of decoded shards."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from running import ALONE, AUGMENTED, changed, start

from emotune.config.resources import Resources
from emotune.config.run import RunConfig
from emotune.data.mixing import make_mixing
from emotune.data.read.batches import Split, open_split
from emotune.training.epoch_randomness import draw_randomness
from emotune.training.step import TrainState, backward, network_inputs


def seen(run: RunConfig, split: Split, ranks: int = 1, accumulate: int = 1, **options) -> dict[int, list[torch.Tensor]]:
    """For each image, the inputs that the network gets for it in the first batches of the second epoch."""
    state = start(run, resources=Resources(accumulate=accumulate), split=split).state
    randomness, inputs = draw_randomness(run, 1, len(split)), {}
    mixing = make_mixing(run.train, run.stream("augment"))
    for rank in range(ranks):
        batches = split.training_batches(
            7, run.stream("order"), 1, rank=rank, world_size=ranks, mixing=mixing, **options
        )
        for batch, _ in zip(batches, range(3), strict=False):
            rows = watched(state, lambda state, batch=batch: backward(state, batch, randomness))
            for index, row in zip(batch.indices.tolist(), rows, strict=True):
                inputs.setdefault(index, []).append(row)
    return inputs


def watched(state: TrainState, step) -> torch.Tensor:
    pieces: list[torch.Tensor] = []
    handle = state.network.register_forward_pre_hook(lambda module, inputs: pieces.append(inputs[0]))
    step(state)
    handle.remove()
    assert all(piece.is_contiguous(memory_format=torch.channels_last) for piece in pieces)
    return torch.cat(pieces)


def require_same(found: dict[int, list[torch.Tensor]], expected: dict[int, list[torch.Tensor]]) -> None:
    assert found.keys() == expected.keys()
    assert all(torch.equal(*pair) for index in found for pair in zip(found[index], expected[index], strict=True))


def test_ranks_and_pieces_see_the_bits_of_one_rank(run: RunConfig):
    run, split = changed(run, **AUGMENTED), open_split(run.dataset, "train")
    alone = seen(run, split)
    assert len(alone) == 21
    require_same(seen(run, split, ranks=2), alone)
    require_same(seen(run, split, ranks=3, accumulate=2), alone)


@pytest.mark.parametrize("order", ["images", "shards"])
def test_images_that_are_not_decoded_are_mixed_as_decoded_ones(run: RunConfig, order: str):
    run = changed(run, mixup=0.4, cutmix=1.0, order=order)
    decoded, indexed = (open_split(run.dataset, "train", decoded=d, order=run.train.order) for d in (None, ()))
    require_same(seen(run, indexed, ranks=2, order=order), seen(run, decoded, order=order))


def test_a_mixed_input_is_the_mixture_of_its_images_own_inputs(run: RunConfig):
    plain, split = changed(run, augment="randaugment"), open_split(run.dataset, "train")
    mixed = seen(changed(plain, mixup=1.0), split)
    state = start(plain, ALONE, split=split).state
    everything = list(map(torch.from_numpy, split.images.take(np.arange(len(split)))))
    inputs = network_inputs(state, everything, np.arange(len(split)), draw_randomness(plain, 1, len(split)))
    mixing = make_mixing(replace(plain.train, mixup=1.0), plain.stream("augment"))
    batch = next(split.training_batches(7, plain.stream("order"), 1, mixing=mixing))
    assert batch.mixture
    share, partners = batch.mixture.share, batch.mixture.partners.tolist()
    assert 0.01 < share < 0.99
    for index, partner in zip(batch.indices.tolist(), partners, strict=True):
        expected = share * inputs[index] + (1 - share) * inputs[partner]
        torch.testing.assert_close(mixed[index][0], expected, rtol=0, atol=1e-5)
