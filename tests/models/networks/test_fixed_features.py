"""The features of a frozen backbone are the same bits in whichever batches images come."""

import pytest
import torch
from trunks import images, network

from emotune.models.networks.backbone_network import HeadNetwork
from emotune.models.networks.fixed_features import BATCH, in_batches, rounded

HEADS = ("mean", "max", "attention", {"name": "patches", "levels": [1, 2]}, {"name": "multi_level", "levels": 2})


@pytest.mark.parametrize("head", HEADS, ids=str)
def test_features_do_not_depend_on_the_batch(head: object):
    built = network(head, tune="head")
    given = images(2 * BATCH["cpu"] + 3)
    whole = built.features(given)
    for count in (0, 1, BATCH["cpu"], BATCH["cpu"] + 1):
        for one, part in zip(whole, built.features(given[:count]), strict=True):
            assert part.dtype == torch.float16
            assert part.stride()[1:] == one.stride()[1:]
            assert torch.equal(one[:count], part)
    with torch.no_grad():
        assert torch.equal(HeadNetwork(built)(whole), built(given))


@pytest.mark.parametrize("pooling", ["mean", "max", None])
def test_heads_that_pool_get_pooled_values_rounded_once(pooling: str | None):
    (kept,) = rounded([images()], pooling)
    expected = {"mean": images().mean((2, 3)), "max": images().amax((2, 3)), None: images()}[pooling]
    assert torch.equal(kept.squeeze(), expected.half())


def test_every_batch_has_the_fixed_size():
    sizes: list[int] = []

    def compute(batch: torch.Tensor) -> list[torch.Tensor]:
        sizes.append(len(batch))
        assert batch.is_contiguous(memory_format=torch.channels_last)
        return rounded([batch])

    in_batches(compute, images(20, side=8))
    assert sizes == [BATCH["cpu"]] * 2
    meta = network("mean", tune="head").to("meta").features(images(20).to("meta"))
    assert meta[0].shape[0] == 20
