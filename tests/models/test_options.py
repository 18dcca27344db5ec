"""What holds for every network under every value of each of its options."""

import dataclasses
import re
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

import pytest
import torch
from torch import nn

from emotune.config.model import AlexNetConfig, AttentionConfig, DualBranchConfig, MldrConfig, MldrV2Config
from emotune.models.build import build
from emotune.models.dropout import set_dropout_seeds
from emotune.models.networks.attention import SpatialAttention

KINDS = (AlexNetConfig, AttentionConfig, DualBranchConfig, MldrConfig, MldrV2Config)
NUMBERS = {  # values other than the default, of options that are no choice between words
    "width": [0.0625], "dropout": [0.0], "temperature": [0.3], "depths": [(1, 3, 5), (2, 2, 2)],
    "levels": [(1, 3, 6), (1, 1, 2), (4, 2, 1)],
}  # fmt: skip
TOGETHER = [
    AttentionConfig(reach="full", score="tanh", output="sum", backbone="alexnet_owt"),
    DualBranchConfig(attention="none", convolutions="shared", fusion="product"),
    DualBranchConfig(attention="both", convolutions="shared", output="sum", backbone="alexnet_owt"),
    MldrConfig(levels=(2,), depths=(5,)),
    MldrConfig(levels=(1, 22), depths=(5, 5), lrn="none"),
    MldrConfig(patches="resized", levels=(1, 2), depths=(1, 4), aggregation="noisy-or", fusion="concat"),
]


def single_changes() -> list[tuple[Any, str, Any]]:
    """(kind, option, value) for every value of every option that is not its default."""
    found = []
    for kind in KINDS:
        for name, hint in get_type_hints(kind).items():
            if name == "frames":  # of clips, see tests/models/networks/test_clips.py
                continue
            values = get_args(hint) if get_origin(hint) is not None else ()
            for value in NUMBERS.get(name, values):
                if value != getattr(kind, name):
                    found.append((kind, name, value))
    return found


CHANGES = single_changes()
CONFIGS = [kind() for kind in KINDS] + [kind(**{name: value}) for kind, name, value in CHANGES] + TOGETHER


def config_id(config: Any) -> str:
    changed = [f.name for f in dataclasses.fields(config) if getattr(config, f.name) != f.default]
    return "-".join([config.name, *(f"{name}={getattr(config, name)}" for name in changed)])


@cache
def images(count: int = 2) -> torch.Tensor:
    return torch.randn(count, 3, 227, 227, generator=torch.Generator().manual_seed(0))


def narrow(config: Any, weight_init: str = "he", **changes: Any) -> nn.Module:
    """The config's network, 1/32 as wide; attention looks, as after some training."""
    torch.manual_seed(1)
    network = build(dataclasses.replace(config, width=1 / 32, **{"weight_init": weight_init, **changes}), 5)
    for module in network.modules():
        if isinstance(module, SpatialAttention):
            nn.init.normal_(module.score.weight, generator=torch.Generator().manual_seed(2))
    return network


def test_every_option_is_tried():
    tried = {(kind, name) for kind, name, _ in CHANGES}
    assert tried == {
        (kind, f.name) for kind in KINDS for f in dataclasses.fields(kind) if f.name not in ("name", "frames")
    }


@pytest.mark.parametrize("config", CONFIGS, ids=config_id)
def test_at_full_width_the_network_fits_together(config):
    with torch.device("meta"):
        network = build(config, 8).eval()
        assert network(torch.empty(3, 3, 227, 227)).shape == (3, 8)


@pytest.mark.parametrize("config", CONFIGS, ids=config_id)
def test_every_parameter_gets_a_gradient(config):
    network = narrow(config, config.weight_init, dropout=0.0)
    x = torch.cat([images(2), images(2).roll(1, 0).flip(2)])
    nn.functional.cross_entropy(network(x), torch.tensor([0, 1, 2, 3])).backward()
    without = [n for n, p in network.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
    assert without == []
    silent = [n for n, p in network.named_parameters() if not p.grad.abs().sum()]
    # A bias of the score layer shifts all scores alike, which a softmax does not feel.
    assert [n for n in silent if not n.endswith("score.bias")] == []


@pytest.mark.parametrize("config", CONFIGS, ids=config_id)
def test_an_image_gets_the_same_logits_alone_and_in_a_batch_in_training_too(config):
    network = narrow(config)
    seeds = torch.tensor([11, 12])
    set_dropout_seeds(network, seeds)
    with torch.no_grad():
        together = network(images())
        for number, image in enumerate(images()):
            set_dropout_seeds(network, seeds[number : number + 1])
            torch.testing.assert_close(network(image[None])[0], together[number], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("config", CONFIGS, ids=config_id)
def test_mixed_precision_gives_nearly_the_same_logits(config):
    network = narrow(config).eval()
    with torch.inference_mode():
        exact = network(images())
        with torch.autocast("cpu", torch.bfloat16):
            mixed = network(images()).float()
    assert torch.isfinite(mixed).all()
    assert (mixed - exact).abs().max() < 0.05 * max(1.0, exact.abs().max().item())


ALL_OF_A_TRUNK = r"(trunk|second)\.(convolutions|fc)\.\d+\.(weight|bias)"
OTHER_PARAMETERS = {  # of which parameters an option changes name, number or shape; all others change none
    "backbone": ALL_OF_A_TRUNK,
    "reach": r"trunk\.attention\.score\..*",
    "score": r"trunk\.attention\.hidden\..*",
    "output": r"trunk\.fc\.1\.weight",
    "attention": r"(trunk|second)\.attention\..*",
    "convolutions": r"second\.convolutions\..*",
    "fusion": r"output\..*",
    "levels": r"towers\.\d\.(0\.fc\.1|14)\.weight",  # the first fully connected layer after a map
    "patches": r"towers\.1\.14\.weight",
    "depths": r"towers\..*",
    "width": r".*",
}  # fmt: skip


@pytest.mark.parametrize(("kind", "name", "value"), CHANGES, ids=lambda part: getattr(part, "__name__", str(part)))
def test_an_option_changes_the_parameters_that_it_is_about_and_no_others(kind, name, value):
    with torch.device("meta"):
        before, after = (
            {n: p.shape for n, p in build(config, 8).named_parameters()} for config in (kind(), kind(**{name: value}))
        )
    changed = {n for n in before.keys() | after.keys() if before.get(n) != after.get(n)}
    assert [n for n in changed if not re.fullmatch(OTHER_PARAMETERS.get(name, "none"), n)] == []


STARTS_ALIKE = (MldrConfig, "fusion", "concat")  # as the mean, the default


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [change for change in CHANGES if change[1] != "width" and change != STARTS_ALIKE],
    ids=lambda part: getattr(part, "__name__", str(part)),
)
def test_an_option_changes_the_logits_and_not_the_weights_that_a_seed_draws(kind, name, value):
    changed = kind(**{name: value})
    networks = [narrow(config, config.weight_init) for config in (kind(), changed)]
    if name not in (*OTHER_PARAMETERS, "weight_init"):
        before, after = (network.state_dict() for network in networks)
        assert before.keys() == after.keys()
        assert all(torch.equal(before[key], after[key]) for key in before)
    logits = []
    for network in networks:
        set_dropout_seeds(network, torch.tensor([1, 2]))
        with torch.no_grad():
            logits.append(network.train(name == "dropout")(images()))
    assert not torch.allclose(*logits, rtol=1e-6, atol=0)
