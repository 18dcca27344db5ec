import pytest
import torch

from emotune.models.mldr import MldrNet, pyramid


@pytest.mark.parametrize("grid", [1, 2, 4])
def test_patches_tile_the_picture_exactly(grid: int):
    x = torch.randn(2, 3, 227, 227)
    patches = pyramid(x, grid)
    side = -(-227 // grid)
    assert patches.shape == (2 * grid**2, 3, side, side)
    rows = [torch.cat(list(row), dim=2) for row in patches[: grid**2].unflatten(0, (grid, grid))]
    whole = torch.cat(rows, dim=1)
    assert torch.equal(whole[:, :227, :227], x[0])
    if grid > 1:  # 227 has no divisor: the border is repeated
        assert torch.equal(whole[:, 227, :227], x[0, :, 226])
        assert torch.equal(whole[:, :227, 227], x[0, :, :, 226])


def test_a_change_in_one_patch_changes_only_that_patch():
    x = torch.zeros(1, 3, 227, 227)
    x[0, :, 120, 60] = 1  # row 2, column 1 of four by four
    changed = pyramid(x, 4).flatten(1).any(1)
    assert changed.nonzero().flatten().tolist() == [2 * 4 + 1]


def test_the_logits_are_the_mean_of_three_levels_and_a_levels_the_mean_of_its_patches():
    torch.manual_seed(0)
    network = MldrNet(8, width=0.0625, weight_init="he").eval()
    x = torch.randn(2, 3, 227, 227)
    coarse = torch.stack([network.aesthetics(pyramid(picture[None], 2)).mean(0) for picture in x])
    fine = torch.stack([network.low_level(pyramid(picture[None], 4)).mean(0) for picture in x])
    torch.testing.assert_close(network(x), (network.semantics(x) + coarse + fine) / 3, rtol=1e-4, atol=1e-5)


def test_the_three_networks_are_of_decreasing_depth():
    network = MldrNet(8, width=0.0625)
    depths = [
        sum(isinstance(m, torch.nn.Conv2d) for m in part.modules())
        for part in (network.semantics, network.aesthetics, network.low_level)
    ]
    assert depths == [5, 4, 2]
