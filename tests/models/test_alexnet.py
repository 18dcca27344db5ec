import torch
from torch import nn

from emotune.models.alexnet import AlexNet


def test_the_map_before_fc6_has_six_by_six_positions():
    network = AlexNet(8, width=0.25)
    assert network.trunk.convolutions(torch.zeros(1, 3, 227, 227)).shape == (1, 64, 6, 6)


def test_ksh12_starts_the_biases_of_its_section_5_at_one():
    network = AlexNet(8, width=0.25)
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    linears = [m for m in network.modules() if isinstance(m, nn.Linear)]
    ones = [bool((m.bias == 1).all()) for m in (*convolutions, *linears)]
    zeros = [bool((m.bias == 0).all()) for m in (*convolutions, *linears)]
    assert ones == [False, True, False, True, True, True, True, False]
    assert zeros == [not one for one in ones]


def test_signals_of_a_narrow_network_start_with_the_variance_of_the_papers():
    torch.manual_seed(0)
    x = torch.randn(4, 3, 227, 227)
    wide, narrow = AlexNet(8).eval(), AlexNet(8, width=0.25).eval()
    with torch.inference_mode():
        ratio = narrow.trunk.convolutions(x).std() / wide.trunk.convolutions(x).std()
    assert 0.6 < ratio < 1.6
