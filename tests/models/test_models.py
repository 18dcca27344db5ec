"""What holds for every network."""

import dataclasses
import inspect

import pytest
import torch

from emotune.model_config import AlexNetConfig, AttentionConfig, DualBranchConfig, MldrConfig
from emotune.models import MODELS, build

CONFIGS = {kind.name: kind for kind in (AlexNetConfig, AttentionConfig, DualBranchConfig, MldrConfig)}
NARROW = 0.0625


def pictures(count: int = 2) -> torch.Tensor:
    return torch.randn(count, 3, 227, 227, generator=torch.Generator().manual_seed(0))


def parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_there_is_a_config_for_every_network():
    assert set(CONFIGS) == set(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_config_fields_are_the_constructors_arguments_with_the_same_defaults(name: str):
    config = {f.name: f.default for f in dataclasses.fields(CONFIGS[name]) if f.name != "name"}
    arguments = inspect.signature(MODELS[name]).parameters
    assert config == {n: p.default for n, p in arguments.items() if p.kind is inspect.Parameter.KEYWORD_ONLY}


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
    ],
    ids=str,
)
def test_parameters_are_as_many_as_the_papers_say(config, expected: int):
    with torch.device("meta"):
        assert parameters(build(config, 8)) == expected


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("weight_init", ["ksh12", "he"])
def test_every_parameter_gets_a_gradient(name: str, weight_init: str):
    torch.manual_seed(1)
    network = build(CONFIGS[name](width=NARROW, weight_init=weight_init, dropout=0.0), 8)
    torch.nn.functional.cross_entropy(network(pictures()), torch.tensor([0, 1])).backward()
    without = [n for n, p in network.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
    assert without == []
    silent = [n for n, p in network.named_parameters() if not p.grad.abs().sum()]
    # A bias of the score layer shifts all scores alike, which a softmax does not feel.
    assert [n for n in silent if not n.endswith("score.bias")] == []


@pytest.mark.parametrize("name", MODELS)
def test_a_picture_gets_the_same_logits_alone_and_in_a_batch(name: str):
    torch.manual_seed(2)
    network = build(CONFIGS[name](width=NARROW, weight_init="he"), 5).eval()
    batch = pictures(3)
    alone = torch.cat([network(picture[None]) for picture in batch])
    assert network(batch).shape == (3, 5)
    torch.testing.assert_close(network(batch), alone, rtol=1e-4, atol=1e-5)


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
