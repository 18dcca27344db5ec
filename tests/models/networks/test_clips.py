"""A network of clips computes each frame as an image, and makes one prediction of all of them."""

import copy
from dataclasses import replace

import pytest
import torch

from emotune.config.backbone import BackboneConfig
from emotune.config.input_spec import InputSpec
from emotune.config.model import AlexNetConfig, AttentionConfig, DualBranchConfig, MldrConfig, MldrV2Config
from emotune.core.errors import InputError
from emotune.models.build import build
from emotune.models.cost import cost
from emotune.models.dropout import set_dropout_seeds
from emotune.models.networks.attention import record_attention
from emotune.models.networks.clips import FRAMES_LAYER

CLIPS = InputSpec(frames=3)
SMALL = {"width": 1 / 32, "weight_init": "he"}


def clips(count=2, frames=3):
    return torch.randn(count, frames, 3, 227, 227, generator=torch.Generator().manual_seed(0))


def network(config, input_spec=CLIPS):
    return build(config, 5, seed=0, input_spec=input_spec).eval()


def of_frames(config, x):
    """The logits of each frame, (B, T, K), by the network of images."""
    return network(config, InputSpec())(x.flatten(0, 1)).unflatten(0, x.shape[:2])


@pytest.mark.parametrize(
    "config",
    [
        AlexNetConfig(**SMALL),
        AttentionConfig(**SMALL),
        DualBranchConfig(**SMALL),
        MldrConfig(**SMALL),
        MldrV2Config(width=1 / 32),
        BackboneConfig(backbone="timm:test_resnet", head="wscnet"),
    ],
    ids=lambda config: config.name,
)
@torch.inference_mode()
def test_mean_and_max_are_those_of_the_logits_of_the_frames(config):
    x = clips()
    logits = of_frames(config, x)
    torch.testing.assert_close(network(config)(x), logits.mean(1), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(network(replace(config, frames="max"))(x), logits.amax(1), atol=1e-4, rtol=1e-4)


@torch.inference_mode()
def test_attention_is_the_mean_at_first_and_then_weighs_what_the_last_layer_gets():
    config = replace(AlexNetConfig(**SMALL), frames="attention")
    ours, x = network(config), clips()
    torch.testing.assert_close(ours(x), of_frames(AlexNetConfig(**SMALL), x).mean(1), atol=1e-4, rtol=1e-4)
    attention = getattr(ours, FRAMES_LAYER).attention
    torch.nn.init.normal_(attention.context.weight, generator=torch.Generator().manual_seed(1))
    h = ours.trunk(x.flatten(0, 1)).unflatten(0, (2, 3))
    a = torch.softmax(
        torch.tanh(h @ attention.hidden.weight.T + attention.hidden.bias) @ attention.context.weight[0], 1
    )
    assert a.std() > 0.01
    torch.testing.assert_close(ours(x), ours.output((h * a.unsqueeze(2)).sum(1)), atol=1e-4, rtol=1e-4)
    with record_attention(ours) as weights:
        ours(x)
    torch.testing.assert_close(weights[f"{FRAMES_LAYER}.map"], a)


@torch.inference_mode()
def test_the_order_of_frames_is_not_seen_and_their_number_is_free():
    for frames in ("mean", "max", "attention"):
        ours, x = network(replace(AlexNetConfig(**SMALL), frames=frames)), clips()
        torch.testing.assert_close(ours(x[:, [2, 0, 1]]), ours(x), atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(ours(x[:, :1]), ours(x[:, 0]), atol=1e-5, rtol=1e-4)
        assert ours(clips(2, 7)).shape == (2, 5)
        assert ours(x[:0]).shape == (0, 5)


def test_layers_have_the_names_and_initial_weights_that_they_have_in_the_network_of_images():
    config = AlexNetConfig(**SMALL)
    images, mean = network(config, InputSpec()).state_dict(), network(config).state_dict()
    assert images.keys() == mean.keys()
    assert all(torch.equal(images[name], mean[name]) for name in images)
    added = network(replace(config, frames="attention")).state_dict().keys() - images.keys()
    assert {name.partition(".")[0] for name in added} == {FRAMES_LAYER}


def test_a_copy_and_a_training_pass_work_on_their_own():
    config = replace(AlexNetConfig(**SMALL, dropout=0.3), frames="attention")
    one, x = network(config).train(), clips()
    other = copy.deepcopy(one)
    for each in (one, other):
        set_dropout_seeds(each, torch.tensor([7, 8]))
        each(x).square().sum().backward()
    gradients = [{name: p.grad for name, p in each.named_parameters()} for each in (one, other)]
    assert all(value is not None for value in gradients[0].values())
    assert all(torch.equal(value, gradients[1][name]) for name, value in gradients[0].items())
    assert gradients[0][f"{FRAMES_LAYER}.attention.context.weight"].abs().max() > 0
    assert getattr(one, FRAMES_LAYER) is not getattr(other, FRAMES_LAYER)


def test_dropout_masks_follow_from_the_clip_whatever_the_batch():
    one, x = network(AlexNetConfig(**SMALL, dropout=0.5)).train(), clips()
    set_dropout_seeds(one, torch.tensor([7, 8]))
    both = one(x)
    for row in range(2):
        set_dropout_seeds(one, torch.tensor([7 + row]))
        torch.testing.assert_close(one(x[row : row + 1]), both[row : row + 1], atol=1e-4, rtol=1e-4)


def test_attention_needs_a_last_layer():
    with pytest.raises(InputError, match=r"model\.frames: attention"):
        network(MldrConfig(**SMALL, frames="attention"))


def test_a_clip_costs_as_much_as_its_frames():
    config = AlexNetConfig(**SMALL)
    image, clip = cost(config, 5), cost(config, 5, CLIPS)
    assert clip.parameters == image.parameters
    assert clip.forward_flops == 3 * image.forward_flops
