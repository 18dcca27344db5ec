"""What holds for every network."""

from typing import get_type_hints

import pytest
import torch

from emotune.config.model import AlexNetConfig, AttentionConfig, DualBranchConfig, MldrConfig, MldrV2Config
from emotune.models.build import MODELS, build

CONFIGS = {kind.name: kind for kind in (AlexNetConfig, AttentionConfig, DualBranchConfig, MldrConfig, MldrV2Config)}
NARROW = 0.0625


def parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_there_is_a_config_for_every_network():
    assert set(CONFIGS) == set(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_a_network_is_constructed_from_its_own_config(name: str):
    hint = get_type_hints(MODELS[name].__init__)["config"]
    assert hint is CONFIGS[name]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (AlexNetConfig(), 56_901_000),  # KSH12 with 8 classes
        (AttentionConfig(), 56_901_000 + 257),  # one layer 256 → 1
        (AttentionConfig(score="tanh"), 56_901_000 + 66_049),  # HAN: 256 → 256, then 256 → 1
        (AttentionConfig(reach="full"), 56_901_000 + 9216 * 36 + 36),
        # Two trunks (AlexNet without its output layer) and one output layer on 8192.
        (DualBranchConfig(), 2 * (56_901_000 - 32_776) + 257 + 8192 * 8 + 8),
        (DualBranchConfig(attention="none"), 2 * (56_901_000 - 32_776) + 8192 * 8 + 8),
        (DualBranchConfig(attention="both"), 2 * (56_901_000 - 32_776) + 2 * 257 + 8192 * 8 + 8),
        (DualBranchConfig(fusion="sum"), 2 * (56_901_000 - 32_776) + 257 + 4096 * 8 + 8),
        # One stack of convolutions of KSH12's: 2,334,080 parameters.
        (DualBranchConfig(convolutions="shared"), 2 * (56_901_000 - 32_776) - 2_334_080 + 257 + 8192 * 8 + 8),
        # torchvision's, which has 61,100,840 with 1000 classes.
        (AlexNetConfig(backbone="alexnet_owt"), 61_100_840 - 992 * 4097),
        (MldrConfig(levels=(1,), depths=(5,)), 56_901_000),  # AlexNet itself
        (MldrConfig(), 56_901_000 + 34_944 + 307_456 + 885_120 + 442_624 + 1025 * 4096 + 4097 * 8
         + 34_944 + 307_456 + 257 * 4096 + 4097 * 8),
        (MldrV2Config(), 3 * 121 * 128 + 25 * (128 * 256 + 256 * 384 + 384 * 512) + 1280
         + 128**2 + 256**2 + 384**2 + 512**2 + 1280 + 1280 * 128 + 4 * 128
         + 4 * (129 * 1024 + 1025 * 1024) + 1025 * 8),
    ],
    ids=str,
)  # fmt: skip
def test_parameters_are_as_many_as_the_papers_say(config, expected: int):
    with torch.device("meta"):
        assert parameters(build(config, 8)) == expected


@pytest.mark.parametrize("name", MODELS)
def test_the_same_seed_draws_the_same_weights_and_another_seed_others(name: str):
    def first(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return next(build(CONFIGS[name](width=NARROW), 8).parameters())

    assert torch.equal(first(3), first(3))
    assert not torch.equal(first(3), first(4))


def test_width_multiplies_channels_and_units():
    half = build(AlexNetConfig(width=0.5), 8)
    convolutions = [m.out_channels for m in half.modules() if isinstance(m, torch.nn.Conv2d)]
    assert convolutions == [48, 128, 192, 192, 128]
    assert [m.out_features for m in half.modules() if isinstance(m, torch.nn.Linear)] == [2048, 2048, 8]
