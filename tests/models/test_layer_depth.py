"""The layers above each parameter, for networks of this package and for others."""

import pytest
import torch
import torchvision
from torch import nn

from emotune.config.model import AlexNetConfig, AttentionConfig, DualBranchConfig, MldrConfig, MldrV2Config
from emotune.core.errors import InputError
from emotune.models.build import build, build_for_inspection
from emotune.models.layer_depth import layers_above

ALEXNET = [7, 6, 5, 4, 3, 2, 1]  # conv1 … conv5, fc6, fc7
ATTENDING = [8, 7, 6, 5, 4, 3, 2, 1]  # also the score layer, between conv5 and fc6
TOWERS = [[7, 6, 5, 4, 3, 2, 1, 0], [5, 4, 3, 2, 1, 0], [3, 2, 1, 0]]
NETWORKS = {
    "alexnet": (AlexNetConfig(), [*ALEXNET, 0]),
    "owt": (AlexNetConfig(backbone="alexnet_owt"), [*ALEXNET, 0]),
    "attention": (AttentionConfig(), [*ATTENDING, 0]),
    "tanh": (AttentionConfig(score="tanh", reach="full"), [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]),
    "dual": (DualBranchConfig(), [*ATTENDING, *ALEXNET, 0]),
    "shared": (DualBranchConfig(convolutions="shared", attention="both"), [*ATTENDING, 3, 2, 1, 0]),
    "mldr": (MldrConfig(), [above for tower in TOWERS for above in tower]),
    "concat": (MldrConfig(fusion="concat"), [above + 1 for tower in TOWERS for above in tower] + [0]),
    "mldr_v2": (MldrV2Config(), [*range(11, 3, -1), 3, 3, 3, 3, 2, 1, 2, 1, 2, 1, 2, 1, 0]),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_of_every_network_is_counted_from_the_output(name: str):
    config, expected = NETWORKS[name]
    above = layers_above(build_for_inspection(config, 8))
    assert [count for parameter, count in above.items() if parameter.endswith("weight")] == expected
    biases = {parameter: count for parameter, count in above.items() if parameter.endswith("bias")}
    assert biases == {parameter: above[parameter.replace("bias", "weight")] for parameter in biases}
    assert len(above) == 2 * len(expected)


def test_a_network_is_left_as_it_was():
    network = build(AlexNetConfig(width=1 / 32), 8, seed=1)
    network.trunk.eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    assert layers_above(network) == layers_above(build_for_inspection(AlexNetConfig(), 8))
    assert (network.training, network.trunk.training) == (True, False)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_normalisations_and_the_shortcuts_of_a_resnet_are_on_the_level_of_the_convolutions_before_them():
    above = layers_above(torchvision.models.resnet18())
    assert (above["conv1.weight"], above["bn1.weight"], above["bn1.bias"]) == (17, 17, 17)
    assert (above["layer4.0.conv1.weight"], above["layer4.0.conv2.weight"]) == (4, 3)
    assert above["layer4.0.downsample.0.weight"] == above["layer4.0.downsample.1.bias"] == 3
    assert above["layer4.1.bn2.weight"] == above["layer4.1.conv2.weight"] == 1
    assert above["fc.weight"] == above["fc.bias"] == 0


def test_embeddings_of_a_vision_transformer_are_on_the_level_of_the_patches():
    above = layers_above(
        torchvision.models.VisionTransformer(227, 227, num_layers=2, num_heads=2, hidden_dim=8, mlp_dim=8)
    )
    assert above["class_token"] == above["encoder.pos_embedding"] == above["conv_proj.weight"] == 9
    block = "encoder.layers.encoder_layer_1"
    parts = ("self_attention.in_proj_weight", "self_attention.out_proj.weight", "mlp.0.weight", "mlp.3.weight")
    assert [above[f"{block}.{part}"] for part in parts] == [4, 3, 2, 1]
    assert above["heads.head.weight"] == 0


class Tangled(nn.Module):
    """Changes its input, and registers its layers in another order than it uses them, one twice and one never."""

    def __init__(self) -> None:
        super().__init__()
        self.output = nn.Linear(4, 2)
        self.never = nn.Linear(4, 4)
        self.twice = nn.Linear(4, 4)
        self.first = nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 8, stride=8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.output(self.twice(self.twice(self.first(x.sub_(0.5)).amax((2, 3))).relu_()))


def test_the_order_of_use_counts_and_not_that_of_registration():
    assert {name: count for name, count in layers_above(Tangled()).items() if not name.endswith("bias")} == {
        "output.weight": 0,
        "never.weight": 0,
        "twice.weight": 2,  # the longest way
        "first.parametrizations.weight.original0": 3,
        "first.parametrizations.weight.original1": 3,
    }


class Detached(nn.Module):
    """A network whose first layers get no gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.output = nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.output(x.detach().mean((2, 3)))


def test_a_network_whose_layers_cannot_be_counted_is_refused():
    with pytest.raises(InputError, match=r"train\.layer_decay"):
        layers_above(Detached())
