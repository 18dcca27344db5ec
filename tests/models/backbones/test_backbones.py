"""Backbones give the maps that their library's own classifier pools, without that classifier, stage by stage."""

from typing import Any

import pytest
import timm
import torch
import torchvision
from torch import nn

from emotune.config.backbone import BackboneCode, BackboneConfig, LastStages
from emotune.config.input_spec import InputSpec
from emotune.core.errors import InputError
from emotune.models.backbones.backbone import Backbone
from emotune.models.backbones.build import build_backbone, library_network
from emotune.models.initialisation import initialise_by_path

IMAGES = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))

QUICK = ["resnet18", "shufflenet_v2_x0_5", "squeezenet1_1"]
TORCHVISION = [
    *QUICK, "alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "efficientnet_v2_s", "maxvit_t", "mnasnet0_5",
    "mobilenet_v2", "mobilenet_v3_small", "regnet_x_400mf", "regnet_y_400mf", "resnet50", "swin_t", "swin_v2_t",
    "vgg11_bn", "vit_b_32",
]  # fmt: skip
"""A small network of each kind; the others have more or wider layers of the same."""

TIMM = ["test_convnext", "test_efficientnet", "test_resnet", "test_vit"]
MORE_TIMM = [
    "cait_xxs24_224", "convnext_atto", "deit_tiny_distilled_patch16_224", "efficientvit_b0", "eva02_tiny_patch14_224",
    "hrnet_w18_small", "mambaout_femto", "mixer_s32_224", "mobilenetv3_small_050", "mobilenetv4_conv_small",
    "poolformer_s12", "repvit_m0_9", "resnet18", "swin_tiny_patch4_window7_224", "tf_efficientnet_lite0",
    "vit_small_patch14_dinov2", "vit_tiny_patch16_224",
]  # fmt: skip


def slow(names: list[str], quick: list[str]) -> list[Any]:
    return [name if name in quick else pytest.param(name, marks=pytest.mark.slow) for name in names]


def built(name: str, side: int, levels: int = 1) -> tuple[Backbone, nn.Module]:
    """The backbone, and its library's network with the same weights, in evaluation."""
    config = BackboneConfig(backbone=name)
    backbone = build_backbone(config, InputSpec(side=side, resize=side), levels).eval()
    network = library_network(name, side)[0].eval()
    for parameter in network.parameters():
        if parameter.ndim > 1 and not parameter.any():  # a classifier that begins with zeros would hide differences
            nn.init.normal_(parameter)
    left_out = network.state_dict().keys() - backbone.network.state_dict().keys()
    assert left_out or not getattr(network, "num_classes", 1000)  # some networks have no classifier
    assert not backbone.network.load_state_dict({k: v for k, v in network.state_dict().items() if k not in left_out})[0]
    return backbone, network


def own_logits(network: Any, last: torch.Tensor) -> torch.Tensor:
    """What the classifier of a network of torchvision makes of the last map."""
    if hasattr(network, "avgpool"):
        last = network.avgpool(last)
    elif not isinstance(network, torchvision.models.SqueezeNet | torchvision.models.MaxVit):
        last = nn.functional.adaptive_avg_pool2d(last, 1)
    names = ("SqueezeNet", "MaxVit", "ConvNeXt")  # their classifiers flatten maps themselves
    flat = last if type(network).__name__ in names else last.flatten(1)
    head = next(getattr(network, name) for name in ("classifier", "fc", "head") if hasattr(network, name))
    return head(flat).flatten(1)


@torch.no_grad()
@pytest.mark.parametrize("name", slow(TORCHVISION, QUICK))
def test_the_last_map_gives_torchvisions_own_logits(name: str):
    side = 224 if name == "maxvit_t" else 64  # which takes no other
    images = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    backbone, network = built(f"torchvision:{name}", side)
    (last,) = backbone(images)
    assert last.shape == (2, *backbone.channels, *backbone.sizes[0])
    if name.startswith("vit_"):
        seen: list[torch.Tensor] = []
        network.get_submodule("encoder").register_forward_hook(lambda layer, inputs, output: seen.append(output))
        network(images)
        torch.testing.assert_close(last.flatten(2).transpose(1, 2), seen[0][:, 1:])
    else:
        torch.testing.assert_close(own_logits(network, last), network(images))


@torch.no_grad()
@pytest.mark.parametrize("name", slow(TIMM + MORE_TIMM, TIMM))
def test_the_last_map_is_what_timms_own_classifier_pools(name: str):
    side = timm.create_model(name, pretrained=False).pretrained_cfg["input_size"][-1]
    backbone, network = built(f"timm:{name}", side)
    images = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    (last,) = backbone(images)
    assert last.shape == (2, *backbone.channels, *backbone.sizes[0])
    own: Any = network
    features = own.forward_features(images)
    if features.ndim == 3:
        positions = last[0, 0].numel()
        torch.testing.assert_close(last.flatten(2).transpose(1, 2), features[:, -positions:])
        assert features.shape[1] - positions == getattr(network, "num_prefix_tokens", features.shape[1] - positions)
    else:
        torch.testing.assert_close(last if last.shape == features.shape else last.permute(0, 2, 3, 1), features)
    torch.testing.assert_close(own.forward_head(features), own(images))


@pytest.mark.parametrize("name", ["torchvision:resnet18", "timm:test_resnet", "timm:test_vit"])
def test_every_layer_is_in_the_first_stage_that_needs_it(name: str):
    side = 160
    backbone, _ = built(name, side, levels=3)
    images = torch.rand(1, 3, side, side)
    assert [tuple(one.shape[1:]) for one in backbone(images)] == [
        (channels, *size) for channels, size in zip(backbone.channels, backbone.sizes, strict=True)
    ]
    stages = backbone.stages()
    modules = [module for stage in stages for module in stage]
    assert len(modules) == len(set(modules)) == len(list(backbone.network.modules()))
    for layer in stages[-1]:
        for parameter in layer.parameters(recurse=False):
            nn.init.normal_(parameter)
    before, after = built(name, side, levels=3)[0], backbone
    before.load_state_dict({k: v for k, v in after.state_dict().items()})
    for layer in before.stages()[-1]:
        for parameter in layer.parameters(recurse=False):
            nn.init.zeros_(parameter)
    with torch.no_grad():
        same = [torch.equal(one, other) for one, other in zip(before.eval()(images), after.eval()(images), strict=True)]
    assert same == [True, True, False]


def test_every_parameter_is_used_and_drawn_from_its_name():
    config, spec = BackboneConfig(backbone="timm:test_efficientnet"), InputSpec(side=64, resize=64)

    def construct() -> nn.Module:
        return build_backbone(config, spec, 1)

    one, other = initialise_by_path(construct, 3), initialise_by_path(construct, 3)
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))
    one(IMAGES)[0].sum().backward()
    assert all(parameter.grad is not None for parameter in one.parameters())


OWN = """
from torch import nn

class Trunk(nn.Module):
    def __init__(self, channels=4):
        super().__init__()
        self.a, self.drop = nn.Conv2d(3, channels, 3, stride=2, padding=1), nn.Dropout(0.1)
        self.b = nn.Conv2d(channels, 8, 3, stride=2, padding=1)

    def forward(self, x):
        x = self.a(x)
        return [x, self.b(self.drop(x))]

def single(channels=4):
    return nn.Conv2d(3, channels, 3, stride=4)

def pooled():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
"""


def own(name: str, levels: int = 1, last: int = 1, **options: Any) -> Backbone:
    code = BackboneCode(code=f"nets.py:{name}", source=OWN, options=options)
    config = BackboneConfig(backbone=code, tune=LastStages(last=last))
    return build_backbone(config, InputSpec(side=64, resize=64), levels)


def test_a_users_own_backbone_is_measured_by_a_forward_pass():
    trunk = own("Trunk", levels=2, channels=6)
    assert (trunk.channels, trunk.sizes) == ((6, 8), ((32, 32), (16, 16)))
    assert [tuple(one.shape) for one in trunk.eval()(IMAGES)] == [(2, 6, 32, 32), (2, 8, 16, 16)]
    assert trunk.stages()[1] == [trunk.network.b]
    single = own("single")
    assert (single.channels, single.sizes, len(single.stages())) == ((4,), ((16, 16),), 1)


def test_what_gives_no_maps_or_too_few_is_refused():
    with pytest.raises(InputError, match=r"nets\.py:pooled gives \[?\(2, 4\)"):
        own("pooled")
    with pytest.raises(InputError, match="gives 1 maps"):
        own("single", levels=2)
    with pytest.raises(InputError, match="has 2 stages"):
        own("Trunk", last=3)
    with pytest.raises(InputError, match="resnet18 has 5 maps"):
        build_backbone(BackboneConfig(backbone="torchvision:resnet18"), InputSpec(side=64, resize=64), 6)
    with pytest.raises(InputError, match="timm:crossvit_9_240"):
        build_backbone(BackboneConfig(backbone="timm:crossvit_9_240"), InputSpec(side=240, resize=240), 1)
