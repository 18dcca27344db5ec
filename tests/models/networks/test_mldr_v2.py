import pytest
import torch
from torch import nn

from emotune.config.model import MldrV2Config
from emotune.models.networks.mldr_v2 import MldrNetV2


def test_the_layers_are_those_of_the_re_implementation():
    with torch.device("meta"):
        network = MldrNetV2(8, MldrV2Config())
    convolutions = [
        (m.in_channels, m.out_channels, m.kernel_size[0], m.padding[0])
        for m in network.blocks.modules() if isinstance(m, nn.Conv2d)
    ]  # fmt: skip
    assert convolutions == [
        (3, 128, 11, 5), (128, 128, 1, 0), (128, 256, 5, 2), (256, 256, 1, 0),
        (256, 384, 5, 2), (384, 384, 1, 0), (384, 512, 5, 2), (512, 512, 1, 0),
    ]  # fmt: skip
    assert [(m.in_channels, m.out_channels) for m in network.laterals] == [(n, 128) for n in (128, 256, 384, 512)]
    linears = [(m.in_features, m.out_features) for m in network.modules() if isinstance(m, nn.Linear)]
    assert linears == [(128, 1024), (1024, 1024)] * 4 + [(1024, 8)]


@pytest.mark.parametrize("fusion", ["mean", "max", "concat"])
def test_the_four_levels_vectors_are_fused_as_the_option_says(fusion: str):
    network = MldrNetV2(8, MldrV2Config(width=1 / 32, fusion=fusion)).eval()
    vectors: list[torch.Tensor] = []
    for fc in network.fc:
        fc.register_forward_hook(lambda _, inputs, output: vectors.append(output))
    network.output = nn.Identity()
    fused = network(torch.randn(2, 3, 227, 227))
    expected = {
        "mean": torch.stack(vectors).mean(0), "max": torch.stack(vectors).amax(0), "concat": torch.cat(vectors, 1),
    }  # fmt: skip
    torch.testing.assert_close(fused, expected[fusion])


def test_a_level_depends_on_those_above_it_and_not_on_those_below():
    torch.manual_seed(0)
    network = MldrNetV2(8, MldrV2Config(width=1 / 32)).eval()
    inputs: list[torch.Tensor] = []
    for fc in network.fc:
        fc.register_forward_pre_hook(lambda _, arguments: inputs.append(arguments[0]))
    x = torch.randn(1, 3, 227, 227)
    network(x)
    with torch.no_grad():
        network.laterals[2].bias += 1.0  # the third level, counted from the image
    network(x)
    changed = [not torch.allclose(before, after) for before, after in zip(inputs[:4], inputs[4:], strict=True)]
    assert changed == [True, True, True, False]
