"""Masks that follow from images."""

import math

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from emotune.core.errors import InputError
from emotune.models import dropout
from emotune.models.dropout import SampleAlphaDropout, SampleDropout, set_dropout_seeds


def masks(seeds: list[int], p: float = 0.5, width: int = 64, rows: int = 1) -> torch.Tensor:
    layer = SampleDropout(p)
    set_dropout_seeds(layer, torch.tensor(seeds, dtype=torch.int64))
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


@pytest.mark.parametrize("shape", [(3,), (3, 4, 5), (6, 4, 5, 2), (12, 7, 2, 3, 2)])
def test_inputs_of_any_shape_have_the_masks_of_their_rows(shape: tuple[int, ...]):
    layer, seeds = SampleDropout(0.5), torch.tensor([4, 5, 6])
    set_dropout_seeds(layer, seeds)
    seen = layer(torch.ones(shape))
    assert torch.equal(seen.reshape(3, -1), masks([4, 5, 6], width=math.prod(shape) // 3))


def test_whole_channels_are_dropped_together():
    layer = SampleDropout(0.3, whole_channels=True)
    set_dropout_seeds(layer, torch.tensor([4, 5]))
    seen = layer(torch.ones(4, 16, 3, 5))
    assert torch.equal(seen, seen[..., :1, :1].expand_as(seen))
    assert torch.equal(seen[..., 0, 0], masks([4, 5], 0.3, width=16, rows=2))


@pytest.mark.parametrize(("whole_channels", "shape"), [(False, (5, 8)), (False, ()), (True, (4, 8))])
def test_an_input_that_is_no_batch_of_images_is_refused_by_the_layers_name(whole_channels: bool, shape: tuple):
    network = nn.ModuleDict({"head": SampleDropout(0.5, whole_channels=whole_channels)})
    set_dropout_seeds(network, torch.tensor([4, 5]))
    with pytest.raises(InputError, match='"head"'):
        network["head"](torch.ones(shape))


def test_a_layer_that_is_called_twice_drops_other_units_and_the_same_ones_in_the_next_pass():
    layer, ones = SampleDropout(0.5), torch.ones(2, 64)
    passes = []
    for _ in range(2):
        set_dropout_seeds(layer, torch.tensor([4, 5]))
        passes.append([layer(ones), layer(ones)])
    assert torch.equal(passes[0][0], masks([4, 5]))
    assert ((passes[0][0] != 0) == (passes[0][1] != 0)).float().mean().item() == pytest.approx(0.5, abs=0.15)
    assert all(torch.equal(one, other) for one, other in zip(*passes, strict=True))


def test_activation_checkpointing_repeats_the_mask():
    layer, gradients = SampleDropout(0.5), []
    for recomputed in (False, True):
        x = torch.ones(2, 64, requires_grad=True)
        set_dropout_seeds(layer, torch.tensor([4, 5]))
        y = checkpoint(lambda x: layer(x) ** 2, x, use_reentrant=False) if recomputed else layer(x) ** 2
        y.sum().backward()
        gradients.append(x.grad)
    assert torch.equal(*gradients)
    set_dropout_seeds(layer, torch.tensor([4, 5]))
    y = checkpoint(lambda x: layer(layer(x)) ** 2, torch.ones(2, 64, requires_grad=True), use_reentrant=False)
    with pytest.raises(InputError, match="a layer of its own"):
        y.sum().backward()


def test_alpha_dropout_is_torchs_with_masks_of_images_and_keeps_mean_and_variance():
    layer, seeds = SampleAlphaDropout(0.3), torch.arange(200)
    set_dropout_seeds(layer, seeds)
    x = torch.randn(200, 500, generator=torch.Generator().manual_seed(0))
    seen = layer(x)
    assert (seen.mean().item(), seen.std().item()) == (pytest.approx(0, abs=0.02), pytest.approx(1, abs=0.02))
    set_dropout_seeds(layer, seeds)
    kept = layer(torch.full_like(x, 9.0))
    dropped = nn.AlphaDropout(0.3)(torch.full_like(x, 9.0))
    torch.testing.assert_close(kept.unique(), dropped.unique())
    assert (kept == kept.min()).float().mean().item() == pytest.approx(0.3, abs=0.01)


def test_everything_may_be_dropped_and_the_input_replaced():
    for layer in (SampleDropout(1.0), SampleAlphaDropout(1.0), SampleDropout(0.5, inplace=True)):
        set_dropout_seeds(layer, torch.tensor([4, 5]))
        x = torch.ones(2, 64)
        seen = layer(x)
        assert torch.equal(seen, masks([4, 5]) if layer.inplace else torch.zeros(2, 64))
        assert torch.equal(x, seen) == layer.inplace


def test_a_large_input_has_the_masks_of_its_parts(monkeypatch: pytest.MonkeyPatch):
    whole = masks([1, 2, 3, 4, 5], width=40)
    monkeypatch.setattr(dropout, "IN_CACHE", 90)  # two images
    assert torch.equal(masks([1, 2, 3, 4, 5], width=40), whole)
    assert masks([], width=40).shape == (0, 40)


@pytest.mark.slow
@pytest.mark.parametrize("whole_channels", [False, True])
def test_compiled_masks_are_those_that_are_not(whole_channels: bool):
    network = nn.Sequential(SampleDropout(0.5, whole_channels=whole_channels))
    x = torch.ones(8, 8, 4, 4).to(memory_format=torch.channels_last)
    torch.compiler.reset()
    seen = []
    for forward in (network, torch.compile(network)):
        set_dropout_seeds(network, torch.arange(8))
        seen.append(forward(x))
    assert torch.equal(*seen)
