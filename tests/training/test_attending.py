"""What is recorded of attention is what the network did, and recording it changes nothing."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from running import ALONE, changed, first, history, start, trained, weights
from safetensors.torch import load_file

from emotune.config.model import AttentionConfig, DualBranchConfig, ModelConfig
from emotune.config.resources import Resources
from emotune.config.run import RunConfig
from emotune.data.augment import crop_and_normalise, evaluation_crops
from emotune.data.read.batches import Batch, open_split
from emotune.models.build import build
from emotune.runs.directory import ATTENTION, WEIGHTS
from emotune.training.evaluate import evaluate
from emotune.training.precision import autocast
from emotune.training.step import take_step

NARROW = {"width": 0.0625, "weight_init": "he"}
MODELS: list[ModelConfig] = [
    AttentionConfig(**NARROW), AttentionConfig(**NARROW, reach="full", score="tanh", output="sum", temperature=0.3),
    DualBranchConfig(**NARROW, attention="both"),
]  # fmt: skip


def attending(model: ModelConfig) -> torch.nn.Module:
    """A network whose score layers are not at zero any more, so that it weighs positions differently."""
    torch.manual_seed(0)
    network = build(model, 8).to(memory_format=torch.channels_last).eval()
    for name, parameter in network.named_parameters():
        if "score" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return network


def plainly(network: torch.nn.Module, batch: Batch, crops: int, precision: str) -> torch.Tensor:
    """The logits of each crop, (crops, B, K), with nothing that looks on."""
    with torch.inference_mode(), autocast(ALONE.device, precision):
        views = evaluation_crops(len(batch.indices), crops)
        return torch.stack([network(crop_and_normalise(batch.images, view, batch.indices)).float() for view in views])


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("model", MODELS, ids=["attention", "other readings", "both branches"])
def test_recording_attention_does_not_alter_a_bit_of_the_logits(run: RunConfig, model: ModelConfig, precision: str):
    network, split = attending(model), first(open_split(run.dataset, "test"), 12)
    (batch,) = split.evaluation_batches(50)
    expected = plainly(network, batch, 1, precision)[0]
    found = evaluate(network, split, ALONE, precision=precision)
    assert np.array_equal(found.logits, expected.numpy())
    assert not any(module._forward_hooks for module in network.modules()), "nothing looks on afterwards"
    layers = {"AttentionConfig": ["trunk.attention"], "DualBranchConfig": ["trunk.attention", "second.attention"]}
    assert list(found.attention) == layers[type(model).__name__]
    for values in found.attention.values():
        assert (values.shape, values.dtype) == ((12, 36), np.float32)
        np.testing.assert_allclose(values.sum(1), 1, atol=1e-6)
        assert (values.max(1) > 1.01 / 36).all()


def test_the_weights_are_those_that_the_network_used_on_the_centre_crop(run: RunConfig):
    network, split = attending(MODELS[0]), first(open_split(run.dataset, "test"), 12)
    (batch,) = split.evaluation_batches(50)
    found = evaluate(network, split, ALONE, crops=10).attention["trunk.attention"]
    used = []
    attention = network.trunk.attention
    attention.register_forward_hook(lambda layer, inputs, output: used.append((output / inputs[0]).nanmean(1)))
    plainly(network, batch, 10, "float32")
    np.testing.assert_allclose(used[0].flatten(1) / 36, found, rtol=1e-4)
    assert not np.allclose(used[1].flatten(1) / 36, found, rtol=1e-4)


def test_a_run_leaves_the_weights_of_every_test_image_and_layer_and_their_entropy_in_every_epoch(
    run: RunConfig, tmp_path: Path
):
    run = changed(replace(run, model=MODELS[2]), precision="bf16", test_crops=5)
    _, predictions = trained(run, tmp_path)
    frame = pd.read_parquet(tmp_path / run.id / ATTENTION)
    ids = predictions["sample_id"].tolist()
    assert list(frame) == ["sample_id", "layer", "weights"]
    assert frame["sample_id"].tolist() == ids * 2
    assert frame["layer"].tolist() == ["trunk.attention"] * len(ids) + ["second.attention"] * len(ids)
    network = build(run.model, 8).to(memory_format=torch.channels_last)
    network.load_state_dict(load_file(tmp_path / run.id / WEIGHTS))
    test, val = (open_split(run.dataset, split) for split in ("test", "val"))
    again = evaluate(network, test, ALONE, precision="bf16").attention
    assert np.array_equal(np.stack(frame["weights"]), np.concatenate(list(again.values())))
    entropies = [entry["attention_entropy"] for entry in history(tmp_path, run)]
    noted = np.stack(list(evaluate(network, val, ALONE, precision="bf16").attention.values())).astype(float)
    assert entropies[-1] == pytest.approx(-(noted * np.log(noted)).sum(2).mean())
    assert all(0 < entropy < math.log(36) for entropy in entropies)


def test_the_entropy_of_weights_that_are_all_the_same_is_the_logarithm_of_their_number(run: RunConfig):
    fresh = build(MODELS[0], 8)
    outputs = evaluate(fresh, first(open_split(run.dataset, "val"), 3), ALONE)
    assert outputs.attention_entropy == pytest.approx(math.log(36))
    (weights,) = outputs.attention.values()
    weights[:] = np.eye(36)[:3]
    assert outputs.attention_entropy == 0
    weights[0] = 1 / 36
    assert outputs.attention_entropy == pytest.approx(math.log(36) / 3)


@pytest.mark.slow  # compiled twice
def test_compiled_steps_go_on_as_before_when_attention_was_recorded_between_them(run: RunConfig):
    """Compiled code does not know of what looks on for a while."""
    run = replace(changed(run, dropout=0.5, lr=0.001), model=MODELS[0])
    val, found = first(open_split(run.dataset, "val"), 5), []
    for looks in (False, True):
        begun = start(run, resources=Resources(compile=True))
        for number, batch in enumerate(begun.batches):
            take_step(begun.state, batch, begun.randomness, 0.001)
            if looks and number == 1:
                assert evaluate(begun.state.result, val, ALONE).attention
                begun.state.network.train()
            if number == 3:
                break
        found.append(weights(begun.state.network))
    assert torch.equal(*found)
