"""Masks that follow from images."""

import pytest
import torch
from torch import nn

from emotune.models.dropout import SampleDropout, set_dropout_seeds


def masks(seeds: list[int], p: float = 0.5, width: int = 64, rows: int = 1) -> torch.Tensor:
    layer = SampleDropout(p)
    set_dropout_seeds(layer, torch.tensor(seeds))
    return layer(torch.ones(len(seeds) * rows, width))


def test_a_mask_belongs_to_its_image_wherever_it_stands_in_a_batch():
    together = masks([3, 1, 2])
    assert torch.equal(together[[1, 2, 0]], torch.cat([masks([1]), masks([2]), masks([3])]))
    assert not torch.equal(together[0], together[1])


def test_patches_of_an_image_have_masks_of_their_own_that_move_with_it():
    patches = masks([7, 8], rows=4)
    assert len({tuple(row.tolist()) for row in patches}) == 8
    assert torch.equal(masks([8, 7], rows=4), patches[[4, 5, 6, 7, 0, 1, 2, 3]])


@pytest.mark.parametrize("p", [0.1, 0.5, 0.7])
def test_values_are_dropped_with_the_probability_and_the_others_scaled_so_that_the_mean_stays(p: float):
    seen = masks(list(range(400)), p, 1000)
    assert (seen == 0).float().mean().item() == pytest.approx(p, abs=0.003)
    torch.testing.assert_close(seen[seen != 0].unique(), torch.tensor([1 / (1 - p)]))
    # Neither by unit nor by image: standard errors are 0.025 and 0.016.
    assert ((seen == 0).float().mean(0) - p).abs().max() < 0.12
    assert ((seen == 0).float().mean(1) - p).abs().max() < 0.08


def test_neighbouring_images_and_units_have_independent_masks():
    kept = (masks(list(range(1000)), width=256) != 0).double() - 0.5
    assert (kept[1:] * kept[:-1]).mean().abs() < 0.004  # standard error 0.0005
    assert (kept[:, 1:] * kept[:, :-1]).mean().abs() < 0.004


def test_layers_of_a_network_have_masks_of_their_own():
    network = nn.ModuleList([SampleDropout(0.5), SampleDropout(0.5)])
    set_dropout_seeds(network, torch.tensor([5]))
    first, second = (layer(torch.ones(1, 64)) for layer in network)
    assert not torch.equal(first, second)


def test_a_layer_of_the_same_path_has_the_same_masks_whatever_else_the_network_holds():
    alone = nn.ModuleDict({"fc": SampleDropout(0.5)})
    among = nn.ModuleDict({"first": SampleDropout(0.5), "fc": SampleDropout(0.5), "last": nn.Linear(2, 2)})
    for network in (alone, among):
        set_dropout_seeds(network, torch.tensor([5, -7]))
    ones = torch.ones(2, 64)
    assert torch.equal(alone["fc"](ones), among["fc"](ones))
    assert not torch.equal(among["first"](ones), among["fc"](ones))


def test_nothing_is_dropped_when_testing_and_training_without_seeds_is_refused():
    layer, x = SampleDropout(0.5), torch.randn(2, 8)
    with pytest.raises(RuntimeError, match="set_dropout_seeds"):
        layer(x)
    assert torch.equal(layer.eval()(x), x)
    assert torch.equal(SampleDropout(0.0)(x), x)


def test_masks_stay_what_they_are():
    """A run that goes on after an update must go on with the same masks."""
    kept = (masks([1, 2], width=16) != 0).int().tolist()
    assert ["".join(map(str, row)) for row in kept] == ["1110100110101000", "0011111000100011"]
