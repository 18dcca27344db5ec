import pytest
import torch
from torch import nn
from torchvision.models import alexnet

from emotune.config.model import AlexNetConfig
from emotune.models.networks.alexnet import AlexNet, normalisation


@pytest.mark.parametrize(
    ("lrn", "alpha", "k"),
    [("sum", 5e-4, 2.0), ("mean", 1e-4, 2.0), ("caffe", 1e-4, 1.0)],  # torch divides alpha by size, as caffe does
)
def test_every_reading_of_the_normalisation_is_torchs_layer_with_the_alpha_and_k_that_it_names(lrn, alpha, k):
    x = 30 * torch.randn(2, 12, 7, 7)
    torch.testing.assert_close(normalisation(lrn)(x), nn.LocalResponseNorm(5, alpha=alpha, beta=0.75, k=k)(x))


@pytest.mark.parametrize("lrn", ["sum", "mean", "caffe", "none"])
def test_the_normalisation_stands_behind_the_relu_of_conv1_and_conv2_only(lrn: str):
    layers = [type(m).__name__ for m in AlexNet(8, AlexNetConfig(width=0.0625, lrn=lrn)).trunk.convolutions]
    norm = "Identity" if lrn == "none" else "LocalResponseNorm"
    assert layers == [*(["Conv2d", "ReLU", norm, "MaxPool2d"] * 2), *(["Conv2d", "ReLU"] * 3), "MaxPool2d"]


@pytest.mark.parametrize("backbone", ["alexnet", "alexnet_owt"])
def test_the_map_before_fc6_has_six_by_six_positions(backbone: str):
    network = AlexNet(8, AlexNetConfig(width=0.25, backbone=backbone))
    assert network.trunk.convolutions(torch.zeros(1, 3, 227, 227)).shape == (1, 64, 6, 6)


@pytest.mark.parametrize("side", [224, 227])
def test_alexnet_owt_is_torchvisions(side: int):
    torch.manual_seed(0)
    theirs = alexnet(weights=None, num_classes=5).eval()
    with torch.device("meta"):
        ours = AlexNet(5, AlexNetConfig(backbone="alexnet_owt")).eval()
    ours.load_state_dict(dict(zip(ours.state_dict(), theirs.state_dict().values(), strict=True)), assign=True)
    x = torch.randn(1, 3, side, side)
    with torch.inference_mode():
        assert ours.trunk.convolutions(x).shape == (1, 256, 6, 6)
        assert torch.equal(ours(x), theirs(x))


def test_dropout_stands_behind_the_hidden_layers_in_ksh12_and_before_them_in_owt():
    def order(backbone: str) -> list[str]:
        return [type(m).__name__ for m in AlexNet(8, AlexNetConfig(width=0.0625, backbone=backbone)).trunk.fc]

    assert order("alexnet") == ["Flatten", *(["Linear", "ReLU", "SampleDropout"] * 2)]
    assert order("alexnet_owt") == ["Flatten", *(["SampleDropout", "Linear", "ReLU"] * 2)]


@pytest.mark.parametrize("backbone", ["alexnet", "alexnet_owt"])
def test_ksh12_starts_the_biases_of_its_section_5_at_one(backbone: str):
    network = AlexNet(8, AlexNetConfig(width=0.25, backbone=backbone))
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    linears = [m for m in network.modules() if isinstance(m, nn.Linear)]
    ones = [bool((m.bias == 1).all()) for m in (*convolutions, *linears)]
    zeros = [bool((m.bias == 0).all()) for m in (*convolutions, *linears)]
    assert ones == [False, True, False, True, True, True, True, False]
    assert zeros == [not one for one in ones]


def test_signals_of_a_narrow_network_start_with_the_variance_of_the_papers():
    torch.manual_seed(0)
    x = torch.randn(4, 3, 227, 227)
    wide, narrow = (AlexNet(8, AlexNetConfig(width=width)).eval() for width in (1.0, 0.25))
    with torch.inference_mode():
        ratio = narrow.trunk.convolutions(x).std() / wide.trunk.convolutions(x).std()
    assert 0.6 < ratio < 1.6
