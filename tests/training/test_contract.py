"""What a network of the user's own must do is tried before anything is spent; the message names the clause."""

import pytest
import torch

from emotune.config.model import CodeConfig
from emotune.core.errors import InputError
from emotune.models.build import build
from emotune.models.cost import cost
from emotune.models.dropout import SampleDropout
from emotune.training.contract import check_contract

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
