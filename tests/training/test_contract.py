"""What a network of the user's own must do is tried before anything is spent; the message names the clause."""

from dataclasses import replace

import pytest
import torch
import trunks
from study_files import DATA

from emotune.config.backbone import BackboneCode, BackboneConfig
from emotune.config.model import CodeConfig
from emotune.config.resources import Resources
from emotune.config.run import RunConfig
from emotune.config.train import TrainConfig
from emotune.core.errors import InputError
from emotune.models.build import build
from emotune.models.cost import cost
from emotune.models.dropout import SampleDropout
from emotune.training.contract import check_contract, check_division, try_user_code

HEAD = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, classes, size=4):
        super().__init__()
        self.body = nn.Conv2d(3, size, 9, stride=9)
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(size, classes)
"""
FORWARD = """
    def forward(self, images):
        return self.head(self.dropout(self.body(images).mean((2, 3))))
"""
INIT = {
    "unused": "        self.unused = nn.Linear(2, 2)\n",
    "unregistered": "        self.secret = torch.randn(classes)\n",
    "numpy": "        import numpy\n        self.extra = nn.Parameter(torch.tensor(numpy.random.rand(5)))\n",
    "empty": "        self.requires_grad_(False)\n",
    "raises": "        self.nothing\n",
}
RESULT = {
    "shape": "x.mean(1)",
    "tuple": "(x, x)",
    "integer": "(x * 100).long()",
    "nan": "x / (x.sum() * 0)",
    "detached": "x.detach()",
    "python's random": "x * __import__('random').random() if self.training else x",
    "backward": "torch.sigmoid(x).add_(1).mul_(torch.sigmoid(x).mul_(x))",
    "empty share": "x.view(len(x), -1)",
    "random": "x + torch.rand(())",
    "mixed": "x - x.mean(0)",
    "unregistered": "x + self.secret",
    "numpy": "x + self.extra.float()",
    "raises in forward": "x[:, 99999]",
}
TOLD = {
    "unused": ["unused.weight", "unused.bias"],
    "unregistered": ["state_dict"],
    "numpy": ["same way", "extra"],
    "empty": ["gradient"],
    "raises": ["line 11", "nothing"],
    "shape": ["(2,)", "(2, 5)"],
    "tuple": ["tuple"],
    "integer": ["int64"],
    "nan": ["finite"],
    "detached": ["gradient"],
    "python's random": ["random"],
    "backward": ["backward"],
    "empty share": ["(0, 3, 227, 227)", "line 14"],
    "random": ["evaluation"],
    "mixed": ["alone"],
    "raises in forward": ["line 14", "IndexError"],
}


def network(text: str, **options) -> CodeConfig:
    return CodeConfig(code="net.py:Net", source=text, options=options)


def test_a_network_that_keeps_the_contract_is_built_from_its_seed_with_seeded_dropout():
    config = network(HEAD + FORWARD, size=6)
    assert not check_contract(config, 5).training
    first, again, other = (build(config, 5, seed) for seed in (1, 1, 2))
    assert isinstance(first.dropout, SampleDropout)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(first.body.weight, other.body.weight)
    assert cost(config, 5).parameters == 6 * (3 * 81 + 1) + 5 * 7


@pytest.mark.parametrize("case", list(TOLD))
def test_a_broken_clause_is_named_with_the_code(case: str):
    text = HEAD + INIT.get(case, "") + FORWARD
    if case in RESULT:
        text = text.replace("return self.head(", "x = self.head(") + f"        return {RESULT[case]}\n"
    with pytest.raises(InputError) as caught:
        check_contract(network(text), 5)
    assert "net.py:Net" in str(caught.value) and all(part in str(caught.value) for part in TOLD[case]), caught.value


def test_code_that_gives_no_module_is_refused():
    with pytest.raises(InputError, match=r"torch\.nn\.Module"):
        check_contract(CodeConfig(code="net.py:make", source="def make(classes):\n    return classes\n"), 5)


def run_of(model: CodeConfig) -> RunConfig:
    return RunConfig(dataset=DATA, seed=0, model=model, train=TrainConfig())


def test_a_network_may_change_its_input_and_have_its_activations_computed_again():
    text = HEAD + FORWARD.replace("self.body(images)", "checkpoint(self.body, images.mul_(2), use_reentrant=False)")
    text = text.replace("import torch\n", "import torch\nfrom torch.utils.checkpoint import checkpoint\n", 1)
    assert len(try_user_code(run_of(network(text)), 5, Resources(workers=2, accumulate=2))) == 1


def test_what_depends_on_how_a_batch_is_divided_is_refused_or_noted():
    centred = "self.body(images - images.mean(0) if self.training else images)"
    mixed = network(HEAD + FORWARD.replace("self.body(images)", centred))
    draws = network(
        HEAD + FORWARD.replace("self.body(images)", "nn.functional.dropout(self.body(images), 0.5, self.training)")
    )
    assert len(try_user_code(run_of(draws), 5, Resources(workers=2))) == 2
    with pytest.raises(InputError, match="workers"):
        try_user_code(run_of(mixed), 5, Resources(workers=2))
    assert len(try_user_code(run_of(mixed), 5, Resources())) == 2
    normalised = network(
        (HEAD + FORWARD).replace(
            "nn.Conv2d(3, size, 9, stride=9)", "nn.Sequential(nn.Conv2d(3, size, 9, stride=9), nn.BatchNorm2d(size))"
        )
    )
    assert len(try_user_code(run_of(normalised), 5, Resources(workers=2))) == 1
    with pytest.raises(InputError, match="accumulate"):
        try_user_code(run_of(normalised), 5, Resources(accumulate=2))


def test_a_backbone_is_tried_with_its_head_and_the_message_names_its_key():
    for head in ("mean", "wscnet", {"name": "patches", "levels": [1, 2]}):
        check_contract(trunks.config(head, {"norm": True}), 5, trunks.SMALL)
    unused = replace(
        trunks.config("mean"),
        backbone=BackboneCode(code="a.py:Trunk", source=trunks.SOURCE.replace("maps.append(x)", "maps = [x.detach()]")),
    )
    with pytest.raises(InputError, match=r"^model\.backbone: a\.py:Trunk .*blocks"):
        check_contract(unused, 5, trunks.SMALL)


def test_backbones_of_libraries_are_checked_for_layers_that_divided_batches_would_change():
    run = RunConfig(
        dataset=DATA, seed=0, model=BackboneConfig(backbone="torchvision:efficientnet_b0"), train=TrainConfig(),
        input=trunks.SMALL,
    )  # fmt: skip
    (line,) = check_division(run, 5, Resources())
    assert "stochastic_depth" in line
    with pytest.raises(InputError):
        check_division(run, 5, Resources(accumulate=2))
    frozen = replace(run, model=BackboneConfig(backbone="torchvision:efficientnet_b0", tune="head"))
    assert check_division(frozen, 5, Resources(accumulate=2)) == []
