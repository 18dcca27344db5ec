import pytest
import torch

from emotune.config.model import AlexNetConfig, AttentionConfig
from emotune.models.networks.alexnet import AlexNet
from emotune.models.networks.attention import AttentionAlexNet, SpatialAttention, record_attention


def attention(**options) -> SpatialAttention:
    torch.manual_seed(5)
    return SpatialAttention(16, AttentionConfig(**options))


@pytest.mark.parametrize("reach", ["shared", "full"])
@pytest.mark.parametrize("score", ["linear", "tanh"])
def test_weights_over_the_positions_sum_to_one(reach: str, score: str):
    weights = attention(reach=reach, score=score).weights(torch.randn(3, 16, 6, 6))
    assert weights.shape == (3, 36)
    torch.testing.assert_close(weights.sum(1), torch.ones(3))


@pytest.mark.parametrize("score", ["linear", "tanh"])
@pytest.mark.parametrize("reach", ["shared", "full"])
@pytest.mark.parametrize("backbone", ["alexnet", "alexnet_owt"])
def test_at_step_0_the_attention_network_is_alexnet(score: str, reach: str, backbone: str):
    torch.manual_seed(6)
    attending = AttentionAlexNet(8, AttentionConfig(width=0.0625, score=score, reach=reach, backbone=backbone)).eval()
    plain = AlexNet(8, AlexNetConfig(width=0.0625, backbone=backbone)).eval()
    missing = plain.load_state_dict(
        {n: v for n, v in attending.state_dict().items() if "attention" not in n}, strict=False
    )
    assert not missing.missing_keys
    x = torch.randn(2, 3, 227, 227)
    assert torch.equal(attending(x), plain(x))


@pytest.mark.parametrize("backbone", ["alexnet", "alexnet_owt"])
def test_weights_move_with_the_evidence_in_the_image(backbone: str):
    torch.manual_seed(7)
    config = AttentionConfig(width=0.0625, weight_init="he", backbone=backbone)
    trunk = AttentionAlexNet(8, config).eval().trunk
    torch.nn.init.normal_(trunk.attention.score.weight)
    image = torch.zeros(1, 3, 227, 227)
    image[:, :, 78:86, 78:86] = 10 * torch.randn(3, 8, 8)
    moved = image.roll((64, 32), dims=(2, 3))  # a position is 32 pixels
    with torch.inference_mode():
        before, after = (trunk.attention.weights(trunk.convolutions(x)).view(6, 6).log() for x in (image, moved))
    assert before.std() > 0.01
    before, after = before[:4, :5], after[2:, 1:]  # whose sums differ by what has left the image
    torch.testing.assert_close(before - before[0, 0], after - after[0, 0], rtol=1e-3, atol=1e-4)


def test_shared_weights_follow_the_evidence_when_it_moves():
    layer = attention()
    x = torch.randn(1, 16, 6, 6)
    moved = x.roll((2, 3), dims=(2, 3))
    before = layer.weights(x).unflatten(1, (6, 6)).roll((2, 3), dims=(1, 2))
    torch.testing.assert_close(layer.weights(moved).unflatten(1, (6, 6)), before)
    assert not torch.allclose(layer.weights(moved), layer.weights(x))


def test_the_map_is_each_position_times_its_weight_times_36():
    layer, x = attention(), torch.randn(2, 16, 6, 6)
    expected = x * layer.weights(x).view(2, 1, 6, 6) * 36
    torch.testing.assert_close(layer(x), expected)
    layer.scale = "raw"
    torch.testing.assert_close(layer(x), expected / 36)


def test_the_sum_is_hans_weighted_sum():
    layer, x = attention(output="sum", scale="raw"), torch.randn(2, 16, 6, 6)
    torch.testing.assert_close(layer(x), torch.einsum("bp,bcp->bc", layer.weights(x), x.flatten(2)))


def test_a_lower_temperature_sharpens():
    soft, sharp, x = attention(), attention(temperature=0.3), torch.randn(4, 16, 6, 6)
    assert (sharp.weights(x).max(1).values > soft.weights(x).max(1).values).all()


@pytest.mark.parametrize("reach", ["shared", "full"])
def test_recorded_weights_are_those_of_the_first_pass_and_nothing_is_recorded_afterwards(reach: str):
    layer, (x, y) = attention(reach=reach, temperature=0.3), torch.randn(2, 3, 16, 6, 6)
    network = torch.nn.ModuleDict({"deep": torch.nn.Sequential(layer)})
    with record_attention(network) as recorded:
        assert recorded == {}
        layer(x)
        layer(y)
    layer(y)
    assert list(recorded) == ["deep.0"]
    assert torch.equal(recorded["deep.0"], layer.weights(x))
    assert not torch.equal(recorded["deep.0"], layer.weights(y))
    with record_attention(AlexNet(8, AlexNetConfig(width=0.0625))) as recorded:
        assert recorded == {}
