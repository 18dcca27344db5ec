import pytest
import torch

from emotune.models.attention import SpatialAttention
from emotune.models.dual_branch import DualBranch


def test_the_control_differs_by_the_attention_layer_only():
    dual, control = DualBranch(8, width=0.0625), DualBranch(8, width=0.0625, attention="none")
    extra = set(dual.state_dict()) - set(control.state_dict())
    assert extra == {"first.attention.score.weight", "first.attention.score.bias"}
    assert set(control.state_dict()) < set(dual.state_dict())


def test_only_the_first_branch_attends():
    dual = DualBranch(8, width=0.0625)
    assert isinstance(dual.first.attention, SpatialAttention)
    assert not [m for m in dual.second.modules() if isinstance(m, SpatialAttention)]


@pytest.mark.parametrize("branch", ["first", "second"])
def test_the_output_rests_on_both_branches_which_share_nothing(branch: str):
    torch.manual_seed(0)
    dual = DualBranch(8, width=0.0625, weight_init="he").eval()
    x = torch.randn(1, 3, 227, 227)
    before = dual(x)
    with torch.no_grad():
        for parameter in getattr(dual, branch).parameters():
            parameter.zero_()
    assert not torch.allclose(dual(x), before)
    pointers = [{p.data_ptr() for p in part.parameters()} for part in (dual.first, dual.second)]
    assert not pointers[0] & pointers[1]
