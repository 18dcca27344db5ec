"""What heads compute, against what they are to be equal to, and their weights."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from trunks import CLASSES, SMALL, config, images, network, parameters

from emotune.config.heads import HEAD_CLASSES
from emotune.core.errors import InputError
from emotune.models.build import build, build_for_inspection
from emotune.models.dropout import set_dropout_seeds
from emotune.models.networks.attention import record_attention
from emotune.models.networks.backbone_network import BackboneNetwork
from emotune.models.networks.mldr import aggregate, pyramid

HEADS: list[Any] = [
    "mean", "max", "attention", "dual", "multi_level", "patches", "han", "wscnet",
    {"name": "attention", "reach": "full", "score": "tanh", "output": "map", "scale": "positions", "heads": 3},
    {"name": "dual", "attention": "both", "heads": 2}, {"name": "dual", "attention": "none", "output": "map"},
    {"name": "dual", "fusion": "product"},
    {"name": "multi_level", "levels": 2, "channels": 5, "units": 7, "fusion": "concat"},
    {"name": "patches", "levels": [3, 1], "patches": "resized", "aggregation": "noisy-or", "fusion": "concat"},
    {"name": "han", "attention": "patches", "levels": [2, 3], "patches": "resized"},
    {"name": "wscnet", "maps_per_class": 2, "dropout": 0.5},
]  # fmt: skip


def usable(head: Any) -> Any:
    """The backbone has three maps, and MldrNet v2 has four levels."""
    return {"name": "multi_level", "levels": 3, "units": 32} if head == "multi_level" else head


def looking(head: Any) -> BackboneNetwork:
    """A network whose attention is not at its start any more."""
    built = network(head)
    for name, parameter in built.head.named_parameters():
        if "score" in name or "context" in name:
            torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(2))
    return built


def outputs(built: BackboneNetwork, count: int = 3) -> torch.Tensor:
    with torch.inference_mode():
        return built(images(count))


def copied(to: BackboneNetwork, of: BackboneNetwork) -> BackboneNetwork:
    """The network with the other one's output layer."""
    output = getattr(to.head, "output", None) or to.head.outputs[0]
    output.load_state_dict(of.head.output.state_dict())
    return to


def test_every_head_is_tried():
    assert {usable(h)["name"] if isinstance(usable(h), dict) else h for h in HEADS} == {k.name for k in HEAD_CLASSES}


@pytest.mark.parametrize("head", HEADS, ids=str)
def test_a_head_gives_logits_in_evaluation_and_gradients_in_training_and_is_described_without_memory(head: Any):
    built = looking(usable(head))
    logits = outputs(built)
    assert logits.shape == (3, CLASSES)
    assert len(outputs(built, 0)) == 0, "a rank's share of the last batch may be empty"
    torch.testing.assert_close(torch.cat([outputs(built)[:0], built(images()[:1])]).detach(), logits[:1])
    built.train()
    set_dropout_seeds(built, torch.arange(3))
    given = built(images())
    given = given if isinstance(given, tuple) else (given,)
    loss = sum((F.cross_entropy(one, torch.tensor([0, 1, 2])) for one in given), torch.zeros(()))
    loss.backward()
    assert all(one.grad is not None and one.grad.isfinite().all() for one in built.parameters())
    inspected = build_for_inspection(config(usable(head)), CLASSES, SMALL)
    assert parameters(inspected) == parameters(built)


def test_attention_begins_as_the_mean_whatever_its_reading():
    expected = outputs(network("mean"))
    for options in ({}, {"score": "tanh"}, {"reach": "full"}, {"temperature": 0.2}):
        torch.testing.assert_close(outputs(network({"name": "attention", **options})), expected)
    assert not torch.allclose(outputs(looking("attention")), expected)


def test_the_parts_that_two_heads_share_begin_equal():
    mean = network("mean").state_dict()
    for head in ("max", "attention", "han", "dual", "wscnet"):  # the last two have a larger output layer
        other = network(head).state_dict()
        shared = [name for name in mean if "backbone" in name or head not in ("dual", "wscnet")]
        assert all(torch.equal(mean[name], other[name]) for name in shared)
    again = build(config("mean"), CLASSES, seed=1, input_spec=SMALL).state_dict()
    assert all(torch.equal(mean[name], again[name]) for name in mean)


def test_several_attention_layers_are_concatenated_and_recorded_by_their_names():
    built = looking({"name": "attention", "heads": 3, "output": "sum"})
    with record_attention(built) as weights, torch.inference_mode():
        logits = built(images())
        (x,) = built.features(images())
    assert list(weights) == ["head.attention.0", "head.attention.1", "head.attention.2"]
    vectors = [torch.einsum("bp,bcp->bc", one, x.flatten(2)) for one in weights.values()]
    torch.testing.assert_close(built.head.output(torch.cat(vectors, dim=1)), logits)


@pytest.mark.parametrize("heads", [1, 3])
def test_the_control_of_the_dual_head_has_all_its_parameters_but_those_of_the_score(heads: int):
    dual, control = (network({"name": "dual", "attention": one, "heads": heads}) for one in ("spatial", "none"))
    assert parameters(dual) - parameters(control) == heads * (8 + 1)  # a layer from 8 channels to a score, with bias
    assert torch.equal(dual.head.output.weight, control.head.output.weight)
    torch.testing.assert_close(outputs(dual), outputs(control))  # until attention learns


def test_the_vectors_of_the_dual_head_are_fused_as_its_option_says():
    weights = looking({"name": "dual", "fusion": "sum"})
    (x,) = weights.features(images())
    attended, plain = weights.head.attention(x), x.mean(dim=(2, 3))
    torch.testing.assert_close(weights.head.output(attended + plain).detach(), outputs(weights))


@pytest.mark.parametrize("fusion", ["mean", "max", "concat"])
def test_multi_level_is_mldrnet_v2s_fusion_calculated_step_by_step(fusion: str):
    built = network({"name": "multi_level", "levels": 3, "channels": 5, "units": 7, "fusion": fusion})
    head = built.head
    with torch.inference_mode():
        fine, middle, last = built.features(images())
        assert [one.shape[1:] for one in (fine, middle, last)] == [(4, 16, 16), (6, 8, 8), (8, 4, 4)]
        top = head.laterals[2](last)
        below = head.laterals[1](middle) + top.repeat_interleave(2, 2).repeat_interleave(2, 3)
        bottom = head.laterals[0](fine) + below.repeat_interleave(2, 2).repeat_interleave(2, 3)
        vectors = []
        for fc, level in zip(head.fc, (bottom, below, top), strict=True):
            hidden = F.relu(F.linear(level.mean(dim=(2, 3)), fc[0].weight, fc[0].bias))
            vectors.append(F.relu(F.linear(hidden, fc[3].weight, fc[3].bias)))
        fused = {"mean": sum(vectors) / 3, "max": torch.stack(vectors).amax(0), "concat": torch.cat(vectors, 1)}[fusion]
        torch.testing.assert_close(head.output(fused), outputs(built))


def test_a_pyramid_of_one_patch_is_the_mean():
    mean = network("mean")
    assert torch.equal(outputs(copied(network({"name": "patches", "levels": [1]}), mean)), outputs(mean))


@pytest.mark.parametrize("aggregation", ["mean", "max", "logsumexp", "noisy-or"])
def test_patches_get_logits_of_their_own_that_are_aggregated_and_fused(aggregation: str):
    built = network({"name": "patches", "levels": [1, 2], "aggregation": aggregation})
    with torch.inference_mode():
        whole, parts = images(), pyramid(images(), 2)  # (B, 3, 64, 64) and (4 · B, 3, 32, 32)
        one = built.head.outputs[0](built.backbone(whole)[-1].mean(dim=(2, 3))).unflatten(0, (-1, 1))
        four = built.head.outputs[1](built.backbone(parts)[-1].mean(dim=(2, 3))).unflatten(0, (-1, 4))
        expected = (aggregate(one, aggregation) + aggregate(four, aggregation)) / 2
    torch.testing.assert_close(outputs(built), expected)


def test_resized_patches_have_the_size_of_the_networks_input():
    seen: list[tuple[int, ...]] = []
    built = network({"name": "patches", "patches": "resized"})
    built.backbone.register_forward_pre_hook(lambda module, inputs: seen.append(tuple(inputs[0].shape)))
    outputs(built, 2)
    assert seen == [(2, 3, 64, 64), (8, 3, 64, 64), (32, 3, 64, 64)]


def test_han_begins_as_the_mean_over_positions_and_patches():
    mean = network("mean")
    han = network({"name": "han", "levels": [1, 2]})
    with torch.inference_mode():
        whole, parts = mean.backbone(images())[-1], mean.backbone(pyramid(images(), 2))[-1]
        vectors = torch.cat([whole.mean(dim=(2, 3))[:, None], parts.mean(dim=(2, 3)).unflatten(0, (-1, 4))], dim=1)
        torch.testing.assert_close(outputs(han), mean.head.output(vectors.mean(1)))
    assert parameters(han) - parameters(mean) == 2 * (8 * 8 + 8 + 8), "each level: a hidden layer and a context vector"


def test_hans_weights_are_its_two_softmaxes():
    built = looking({"name": "han", "levels": [2], "temperature": 0.5})
    head = built.head
    with torch.inference_mode():
        x = built.features(images())[0].flatten(3).transpose(2, 3)  # (B, 4, P, C)

        def weights(layer: Any, vectors: torch.Tensor) -> torch.Tensor:
            return torch.softmax(layer.context(torch.tanh(layer.hidden(vectors)))[..., 0] / 0.5, dim=-1)

        within = weights(head.positions, x)
        patches = torch.einsum("bpi,bpic->bpc", within, x)
        among = weights(head.patches, patches)
        expected = head.output(torch.einsum("bp,bpc->bc", among, patches))
        with record_attention(built) as recorded:
            torch.testing.assert_close(built(images()), expected)
    # Four patches of 2×2 positions each, which are the quarters of a map of 4×4.
    joint = (within * among[:, :, None]).unflatten(2, (2, 2)).unflatten(1, (2, 2))
    torch.testing.assert_close(recorded["head.map"], joint.transpose(2, 3).reshape(len(joint), 16))


def test_hans_map_spreads_weights_of_other_levels_over_the_areas_that_they_are_of():
    built = looking({"name": "han", "levels": [1, 3]})  # maps of 4×4, and 9 of 2×2
    with record_attention(built) as recorded, torch.inference_mode():
        built(images())
    (weights,) = recorded.values()
    assert weights.shape == (3, 36)
    torch.testing.assert_close(weights.sum(1), torch.ones(3))
    even = network({"name": "han", "levels": [1, 3]})
    with record_attention(even) as recorded, torch.inference_mode():
        even(images())
    torch.testing.assert_close(recorded["head.map"], torch.full((3, 36), 1 / 36))
    with record_attention(built) as rough, torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        built(images())
    torch.testing.assert_close(rough["head.map"].sum(1), torch.ones(3))


def test_wscnet_with_detection_weights_of_zero_sees_no_weighted_map():
    built = network("wscnet")
    torch.nn.init.zeros_(built.head.detection.weight)
    torch.nn.init.zeros_(built.head.detection.bias)
    with torch.inference_mode():
        pooled = built.features(images())[0].mean(dim=(2, 3))
        expected = built.head.output(torch.cat([pooled, torch.zeros_like(pooled)], dim=1))
    assert torch.equal(outputs(built), expected)


def test_wscnets_gradients_are_those_of_its_formulas():
    """Against the derivatives, calculated by hand, of v = mean of maps over k and positions, and of M = Σ v·E / K."""
    head = network("wscnet").head.double().train()
    x = torch.randn(2, 8, 4, 4, dtype=torch.float64)
    weight, bias = head.detection.weight[:, :, 0, 0], head.detection.bias
    (logits, detected), k = head([x]), 4
    into_logits, into_detected = torch.randn_like(logits), torch.randn_like(detected)
    torch.autograd.backward([logits, detected], [into_logits, into_detected])
    with torch.no_grad():
        evidence = (torch.einsum("oc,bchw->bohw", weight, x) + bias[:, None, None]).unflatten(1, (CLASSES, k)).mean(2)
        v = evidence.mean(dim=(2, 3))
        torch.testing.assert_close(detected, v)
        positions = 16
        into_m = torch.einsum("bk,kc,bchw->bhw", into_logits, head.output.weight[:, 8:], x) / positions
        into_v = into_detected + torch.einsum("bhw,bkhw->bk", into_m, evidence) / CLASSES
        into_evidence = into_m[:, None] * v[:, :, None, None] / CLASSES + into_v[:, :, None, None] / positions
        into_maps = into_evidence.repeat_interleave(k, dim=1) / k
    torch.testing.assert_close(head.detection.bias.grad, into_maps.sum(dim=(0, 2, 3)))
    torch.testing.assert_close(head.detection.weight.grad[:, :, 0, 0], torch.einsum("bohw,bchw->oc", into_maps, x))


def test_attention_over_a_single_position_is_refused():
    for head in ("attention", "dual"):
        with pytest.raises(InputError):
            build(config(head), CLASSES, input_spec=type(SMALL)(side=16, resize=16))
