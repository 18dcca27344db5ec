"""First weights that belong to a seed and a parameter."""

from collections.abc import Mapping
from functools import partial
from itertools import combinations

import pytest
import torch
import torchvision
from torch import nn

from emotune.config.model import (
    AlexNetConfig,
    AttentionConfig,
    DualBranchConfig,
    MldrConfig,
    MldrV2Config,
    ModelConfig,
)
from emotune.models.build import build, build_for_inspection
from emotune.models.initialisation import initialise_by_path

NARROW = {"width": 0.0625, "weight_init": "he"}
NETWORKS = [
    AlexNetConfig(**NARROW),
    AttentionConfig(**NARROW, score="tanh"),
    DualBranchConfig(**NARROW),
    DualBranchConfig(**NARROW, attention="none", convolutions="shared"),
    MldrConfig(**NARROW, fusion="concat"),
    MldrV2Config(**NARROW),
]


def parameters(config: ModelConfig, seed: int = 1) -> dict[str, torch.Tensor]:
    return dict(build(config, 8, seed).named_parameters())


def test_what_two_networks_have_in_common_begins_equal_bit_for_bit():
    every = [parameters(config) for config in NETWORKS]
    shared = 0
    for one, other in combinations(every, 2):
        for path in one.keys() & other.keys():
            if one[path].shape == other[path].shape:
                assert torch.equal(one[path], other[path]), path
                shared += 1
    alexnets_trunk = {path for path in every[0] if path.startswith("trunk.")}
    assert all(alexnets_trunk <= own.keys() for own in every[:4]), "these are AlexNet and more"
    assert shared >= 6 * len(alexnets_trunk)


def test_parameters_of_one_shape_other_seeds_and_other_paths_are_independent():
    one, other = parameters(NETWORKS[3]), parameters(NETWORKS[3], seed=2)
    drawn = [p.flatten()[:1500] for own in (one, other) for p in own.values() if p.dim() > 1 and p.numel() >= 1500]
    assert len(drawn) > 10
    found = torch.corrcoef(torch.stack(drawn).double()).abs().fill_diagonal_(0)
    assert found.max() < 5 / 1500**0.5


@pytest.mark.parametrize("config", NETWORKS, ids=lambda config: config.name)
def test_each_parameter_has_the_distribution_that_its_network_prescribes(config: ModelConfig):
    torch.manual_seed(0)
    usual, found = dict(build(config, 8).named_parameters()), parameters(config)
    assert list(found) == list(usual)
    for path, expected in usual.items():
        if len(expected.unique()) <= 2:  # zeros, ones, or the identity
            assert torch.equal(found[path], expected), path
        elif expected.numel() > 500:
            assert found[path].std().item() == pytest.approx(expected.std().item(), rel=4 / expected.numel() ** 0.5)
            assert found[path].mean().abs() < 5 * found[path].std() / expected.numel() ** 0.5


def test_neither_the_state_of_the_generator_before_nor_an_outline_matters():
    first = parameters(NETWORKS[1])
    torch.rand(7)
    again = parameters(NETWORKS[1])
    assert all(torch.equal(first[path], again[path]) for path in first)
    assert all(parameter.is_meta for parameter in build_for_inspection(NETWORKS[1], 8).parameters())


class Own(nn.Module):
    """Draws as users' networks do: later scaled, out of place, twice, into a buffer, orthogonally."""

    def __init__(self, more: bool) -> None:
        super().__init__()
        if more:
            self.before = nn.Linear(5, 7)
        self.linear = nn.Linear(16, 16)
        self.scaled = nn.Parameter(0.02 * torch.randn(16, 16) + 1)
        self.product = nn.Parameter(torch.randn(16, 16) * torch.randn(16, 16))
        self.cut = nn.Parameter(nn.init.trunc_normal_(torch.empty(16, 16), std=0.5))
        self.orthogonal = nn.Parameter(torch.empty(16, 16))
        nn.init.orthogonal_(self.orthogonal)
        self.register_buffer("features", torch.rand(16, 16))
        self.norm = nn.BatchNorm1d(16)
        self.tied = nn.Linear(16, 16)
        self.tied.weight = self.linear.weight


def test_any_way_of_drawing_is_followed_to_its_parameter():
    one, more, other = (
        dict(initialise_by_path(partial(Own, more), seed).state_dict())
        for more, seed in ((False, 1), (True, 1), (False, 2))
    )
    for name, values in one.items():
        assert torch.equal(values, more[name]), name
        assert torch.equal(values, other[name]) == name.startswith("norm."), name
    torch.testing.assert_close(one["orthogonal"] @ one["orthogonal"].T, torch.eye(16))
    assert one["cut"].std().item() == pytest.approx(0.5, abs=0.1)
    assert one["scaled"].mean().item() == pytest.approx(1, abs=0.01)
    factor = torch.corrcoef(torch.stack([one["product"].abs().flatten(), one["scaled"].flatten()]))[0, 1]
    assert factor.abs() < 0.3
    assert (one["product"] < 0).any(), "two draws, not the square of one"


def test_a_backbone_of_torchvision_begins_by_path_too():
    whole = partial(torchvision.models.mobilenet_v3_small, num_classes=8)
    wider = partial(torchvision.models.mobilenet_v3_small, num_classes=9)
    one, other, next_seed = (
        dict(initialise_by_path(*of).named_parameters()) for of in ((whole, 1), (wider, 1), (whole, 2))
    )
    alike = {path for path in one if one[path].shape == other[path].shape}
    assert one.keys() - alike == {"classifier.3.weight", "classifier.3.bias"}
    assert all(torch.equal(one[path], other[path]) for path in alike)
    assert _weights_alike(one, next_seed) == set()


def _weights_alike(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> set[str]:
    return {path for path in one if one[path].dim() > 1 and torch.equal(one[path], other[path])}


def test_a_network_that_is_not_built_in_the_same_way_twice_is_refused():
    sizes = iter((2, 3))

    def construct() -> nn.Module:
        return nn.Sequential(*(nn.Linear(2, 2) for _ in range(next(sizes))))

    with pytest.raises(RuntimeError, match="twice"):
        initialise_by_path(construct, 1)
