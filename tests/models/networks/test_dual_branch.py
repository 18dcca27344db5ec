import pytest
import torch
from torch import nn

from emotune.config.model import DualBranchConfig
from emotune.models.networks.attention import SpatialAttention
from emotune.models.networks.dual_branch import DualBranch


def dual_branch(**options) -> DualBranch:
    return DualBranch(8, DualBranchConfig(width=0.0625, **options))


def attending(network: nn.Module) -> bool:
    return any(isinstance(module, SpatialAttention) for module in network.modules())


def test_the_control_differs_by_the_attention_layer_only():
    dual, control = dual_branch(), dual_branch(attention="none")
    extra = set(dual.state_dict()) - set(control.state_dict())
    assert extra == {"trunk.attention.score.weight", "trunk.attention.score.bias"}
    assert set(control.state_dict()) < set(dual.state_dict())


@pytest.mark.parametrize(
    ("attention", "first", "second"), [("spatial", True, False), ("both", True, True), ("none", False, False)]
)
@pytest.mark.parametrize("convolutions", ["separate", "shared"])
def test_the_branches_that_the_option_names_attend(attention: str, first: bool, second: bool, convolutions: str):
    dual = dual_branch(attention=attention, convolutions=convolutions)
    assert (attending(dual.trunk), attending(dual.second)) == (first, second)


def test_shared_convolutions_are_one_stack_that_runs_once_and_learns_from_both_branches():
    torch.manual_seed(0)
    dual = dual_branch(weight_init="he", dropout=0.0, convolutions="shared")
    runs = []
    dual.trunk.convolutions.register_forward_hook(lambda *_: runs.append(1))
    x = torch.randn(1, 3, 227, 227)
    dual(x).square().sum().backward()
    assert len(runs) == 1
    names = [name for name, _ in dual.named_parameters()]
    assert not [name for name in names if name.startswith("second.convolutions")]
    assert {name for name in names if name.startswith("second.")} == {
        f"second.fc.{layer}.{kind}" for layer in (1, 4) for kind in ("weight", "bias")
    }
    for branch in (dual.trunk, dual.second):  # the gradient of each branch alone reaches them
        alone = torch.autograd.grad(
            dual(x).square().sum(), [*branch.fc.parameters(), *dual.trunk.convolutions.parameters()]
        )
        assert all(gradient.abs().sum() > 0 for gradient in alone)


@pytest.mark.parametrize(
    ("fusion", "expected"),
    [
        ("concat", [[1.0, -2.0, 3.0, -4.0]]), ("sum", [[4.0, -6.0]]), ("max", [[3.0, -2.0]]), ("product", [[3.0, 8.0]]),
    ],
)  # fmt: skip
def test_the_vectors_of_the_branches_are_fused_as_the_option_says(fusion: str, expected: list[list[float]]):
    dual = dual_branch(fusion=fusion)
    dual.trunk.after_convolutions = lambda x: torch.tensor([[1.0, -2.0]])
    dual.second.after_convolutions = lambda x: torch.tensor([[3.0, -4.0]])
    dual.output = nn.Identity()
    assert dual(torch.zeros(1, 3, 227, 227)).tolist() == expected


@pytest.mark.parametrize("branch", ["trunk", "second"])
def test_the_output_rests_on_both_branches_which_share_nothing(branch: str):
    torch.manual_seed(0)
    dual = dual_branch(weight_init="he").eval()
    x = torch.randn(1, 3, 227, 227)
    before = dual(x)
    with torch.no_grad():
        for parameter in getattr(dual, branch).parameters():
            parameter.zero_()
    assert not torch.allclose(dual(x), before)
    pointers = [{p.data_ptr() for p in part.parameters()} for part in (dual.trunk, dual.second)]
    assert not pointers[0] & pointers[1]
