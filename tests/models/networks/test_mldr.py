import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from emotune.config.model import AlexNetConfig, MldrConfig
from emotune.models.networks.alexnet import AlexNet
from emotune.models.networks.mldr import MldrNet, aggregate, pyramid, tower


def mldr(**options) -> MldrNet:
    return MldrNet(8, MldrConfig(width=0.0625, **options))


@pytest.mark.parametrize("grid", [1, 2, 3, 4, 22])
def test_patches_tile_the_image_exactly(grid: int):
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
    network = mldr(weight_init="he").eval()
    semantics, aesthetics, low_level = network.towers
    x = torch.randn(2, 3, 227, 227)
    coarse = torch.stack([aesthetics(pyramid(image[None], 2)).mean(0) for image in x])
    fine = torch.stack([low_level(pyramid(image[None], 4)).mean(0) for image in x])
    torch.testing.assert_close(network(x), (semantics(x) + coarse + fine) / 3, rtol=1e-4, atol=1e-5)


def depths(network: nn.Module) -> list[int]:
    return [sum(isinstance(module, nn.Conv2d) for module in part.modules()) for part in network.towers]


def test_the_three_networks_are_of_decreasing_depth_unless_others_are_asked_for():
    assert depths(mldr()) == [5, 4, 2]
    assert depths(mldr(levels=(4, 2, 1, 3), depths=(1, 2, 3, 4))) == [1, 2, 3, 4]


def test_depth_5_on_the_whole_image_is_alexnet():
    torch.manual_seed(0)
    network, plain = mldr(levels=(1,), depths=(5,)).eval(), AlexNet(8, AlexNetConfig(width=0.0625)).eval()
    plain.load_state_dict(dict(zip(plain.state_dict(), network.state_dict().values(), strict=True)))
    x = torch.randn(2, 3, 227, 227)
    assert torch.equal(network(x), plain(x))


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("side", [227, 114, 76, 57, 29, 11])
def test_every_depth_takes_patches_of_every_size(depth: int, side: int):
    with torch.device("meta"):
        network = tower(depth, side, 8, MldrConfig()).eval()
        assert network(torch.empty(4, 3, side, side)).shape == (4, 8)


def test_resized_patches_are_the_patches_at_227_pixels():
    torch.manual_seed(0)
    network = mldr(weight_init="he", levels=(2,), depths=(5,), patches="resized").eval()
    x = torch.randn(1, 3, 227, 227)
    patches = F.interpolate(x[:, :, :114, :114], size=(227, 227), mode="bilinear", align_corners=False)
    seen: list[torch.Tensor] = []
    network.towers[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    network(x)
    assert seen[0].shape == (4, 3, 227, 227)
    torch.testing.assert_close(seen[0][:1], patches)


LOGITS = torch.tensor([[[2.0, -1.0, 0.5], [0.0, 3.0, -2.0]]])  # one bag of two patches, three classes


def test_patches_are_aggregated_as_the_option_says():
    p = LOGITS.softmax(2)
    torch.testing.assert_close(aggregate(LOGITS, "mean"), torch.tensor([[1.0, 1.0, -0.75]]))
    torch.testing.assert_close(aggregate(LOGITS, "max"), torch.tensor([[2.0, 3.0, 0.5]]))
    torch.testing.assert_close(aggregate(LOGITS, "logsumexp"), LOGITS.exp().mean(1).log())
    torch.testing.assert_close(aggregate(LOGITS, "noisy-or").exp(), 1 - (1 - p).prod(1))


@pytest.mark.parametrize("aggregation", ["mean", "max", "logsumexp", "noisy-or"])
def test_the_order_of_patches_does_not_matter(aggregation: str):
    torch.manual_seed(0)
    bags = 5 * torch.randn(3, 16, 8)
    torch.testing.assert_close(aggregate(bags, aggregation), aggregate(bags[:, torch.randperm(16)], aggregation))


@pytest.mark.parametrize("aggregation", ["mean", "max", "logsumexp", "noisy-or"])
def test_a_bag_of_one_patch_has_the_patchs_probabilities(aggregation: str):
    torch.testing.assert_close(aggregate(LOGITS[:, :1], aggregation).softmax(1), LOGITS[:, 0].softmax(1))


@pytest.mark.parametrize("aggregation", ["mean", "max", "logsumexp", "noisy-or"])
@pytest.mark.parametrize("size", [0.0, 30.0, 300.0, 1e4])
def test_aggregates_and_their_gradients_stay_finite_whatever_the_logits(aggregation: str, size: float):
    torch.manual_seed(0)
    bags = (size * torch.randn(4, 16, 8)).requires_grad_()
    logits = aggregate(bags, aggregation)
    F.cross_entropy(logits, torch.arange(4)).backward()
    assert torch.isfinite(logits).all()
    assert torch.isfinite(bags.grad).all()


def test_noisy_or_keeps_apart_what_no_patch_is_likely_to_show():
    bag = torch.tensor([[[0.0, -200.0, -210.0], [0.0, -200.0, -210.0]]])
    expected = torch.tensor([[0.0, math.log(2) - 200, math.log(2) - 210]])
    torch.testing.assert_close(aggregate(bag, "noisy-or"), expected)


@pytest.mark.parametrize(("fusion", "fuse"), [("max", torch.amax), ("min", torch.amin), ("concat", torch.mean)])
def test_levels_are_fused_as_the_option_says_and_concatenation_starts_as_their_mean(fusion: str, fuse):
    torch.manual_seed(0)
    network = mldr(weight_init="he", fusion=fusion).eval()
    x = torch.randn(2, 3, 227, 227)
    levels = [network.level(x, grid, part) for grid, part in zip((1, 2, 4), network.towers, strict=True)]
    torch.testing.assert_close(network(x), fuse(torch.stack(levels), dim=0), rtol=1e-4, atol=1e-5)
    if fusion == "concat":
        with torch.no_grad():
            network.output.weight[:, :16] = 0  # all but the third level's logits
        torch.testing.assert_close(network(x), levels[2] / 3, rtol=1e-4, atol=1e-5)
