"""What is trained of a backbone, and what stays as its weights are."""

import pytest
import torch
from trunks import images, network

from emotune.config.backbone import BackboneConfig
from emotune.config.heads import PatchesHeadConfig
from emotune.config.input_spec import InputSpec
from emotune.core.errors import InputError
from emotune.models.dropout import SampleDropout, set_dropout_seeds
from emotune.models.networks.backbone_network import backbone_network


def trained(tune: object) -> tuple[set[str], set[str]]:
    """The parameters that have a gradient after a pass, and the layers in training mode, of the blocks 0 to 2."""
    built = network("mean", {"norm": True, "dropout": 0.5}, tune=tune).train()
    set_dropout_seeds(built, torch.arange(3))
    built(images()).sum().backward()
    gradients = {name for name, parameter in built.named_parameters() if parameter.grad is not None}
    training = {
        name for name, module in built.named_modules()
        if module.training and isinstance(module, torch.nn.BatchNorm2d | SampleDropout)
    }  # fmt: skip
    blocks = {f"backbone.network.blocks.{n}": str(n) for n in range(3)}
    return (
        {blocks.get(name[: len("backbone.network.blocks.0")], "head") for name in gradients},
        {blocks.get(name[: len("backbone.network.blocks.0")], "head") for name in training},
    )


@pytest.mark.parametrize(
    ("tune", "expected"),
    [("all", {"0", "1", "2", "head"}), ({"last": 1}, {"2", "head"}), ({"last": 2}, {"1", "2", "head"}),
     ("head", {"head"})],
    ids=["all", "last 1", "last 2", "head"],
)  # fmt: skip
def test_what_is_not_tuned_has_no_gradient_and_stays_in_evaluation_mode(tune: object, expected: set[str]):
    assert trained(tune) == (expected, expected)


def test_a_frozen_backbone_keeps_the_statistics_of_its_batch_normalisation_and_has_no_graph():
    built = network("mean", {"norm": True}, tune="head")
    before = {name: value.clone() for name, value in built.state_dict().items()}
    expected = built(images())
    built.train()
    assert all(not one.requires_grad for one in built.features(images()))
    assert torch.equal(built(images()), expected), "a frozen backbone computes in training as in evaluation"
    assert all(torch.equal(before[name], value) for name, value in built.state_dict().items())


def test_features_have_an_image_in_each_row_and_the_head_gives_its_logits_from_them():
    for head in ("mean", {"name": "patches", "levels": [1, 2]}, {"name": "multi_level", "levels": 3, "units": 8}):
        built = network(head)
        features = built.features(images())
        assert {len(one) for one in features} == {3}
        torch.testing.assert_close(built.head([one[1:2] for one in features]), built.head(features)[1:2])


def test_patches_that_a_network_of_one_size_refuses_name_the_option_that_helps():
    pytest.importorskip("timm")
    config = BackboneConfig(backbone="timm:vit_tiny_patch16_224", head=PatchesHeadConfig())
    network = backbone_network(3, config, InputSpec(side=224, resize=256)).eval()
    with pytest.raises(InputError, match="patches: resized"):
        network(torch.zeros(1, 3, 224, 224))
