"""Each seed stream decides about what it is named after, and about nothing else."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from running import changed, start, trained, weights, without_times
from torch import nn

from emotune.config.run import RunConfig
from emotune.models.dropout import SampleDropout, set_dropout_seeds
from emotune.training import loop
from emotune.training.epoch_randomness import draw_randomness
from emotune.training.step import StepResult, network_inputs, take_step


@dataclass
class StepInputs:
    """The random inputs of a run's steps, and its predictions."""

    init: list[np.ndarray]
    order: list[np.ndarray]
    augment: list[np.ndarray]
    dropout: list[np.ndarray]
    predictions: pd.DataFrame


def step_inputs(run: RunConfig, pool: Path, monkeypatch: pytest.MonkeyPatch) -> StepInputs:
    inputs = StepInputs([], [], [], [], pd.DataFrame())

    def watched(state: Any, batch: Any, randomness: Any, lr: float) -> StepResult:
        if not inputs.init:
            inputs.init.append(weights(state.network).numpy())
        inputs.order.append(batch.indices)
        inputs.augment += [randomness.crops.boxes, randomness.crops.flipped]
        inputs.augment += [randomness.augment_seeds, randomness.erasing_seeds]
        inputs.dropout.append(randomness.dropout_seeds)
        return take_step(state, batch, randomness, lr)

    monkeypatch.setattr(loop, "take_step", watched)
    inputs.predictions = trained(run, pool)[1]
    return inputs


@pytest.mark.parametrize("changed_stream", ["init", "order", "augment", "dropout"])
def test_another_seed_of_a_stream_changes_what_it_should_and_nothing_else(
    run: RunConfig, changed_stream: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run = changed(run, epochs=1, crop="resized")
    before = step_inputs(run, tmp_path / "a", monkeypatch)
    stream = RunConfig.stream
    monkeypatch.setattr(RunConfig, "stream", lambda self, name: stream(self, name) + (name == changed_stream))
    after = step_inputs(run, tmp_path / "b", monkeypatch)
    for name in ("init", "order", "augment", "dropout"):
        pairs = list(zip(getattr(before, name), getattr(after, name), strict=True))
        equal = [np.array_equal(*pair) for pair in pairs]
        assert not any(equal) if name == changed_stream else all(equal), name
    assert not before.predictions.equals(after.predictions)


def test_variants_that_differ_only_in_training_begin_equal_and_drop_the_same_units(run: RunConfig):
    run = changed(run, dropout=0.5)
    slow = replace(changed(run, lr=0.001, weight_decay=0.01), variant="slow")
    twin = replace(run, replicate=1)
    networks = [start(one).state.network for one in (run, slow, twin)]
    begun = [weights(network) for network in networks]
    assert [torch.equal(begun[0], other) for other in begun[1:]] == [True, False]
    masks = [dropped(*pair) for pair in zip(networks, (run, slow, twin), strict=True)]
    assert [torch.equal(masks[0], other) for other in masks[1:]] == [True, False]


def test_variants_of_a_seed_erase_the_same_rectangles_whatever_else_happens_to_their_images(run: RunConfig):
    plain = changed(run, random_erasing=0.5)
    gone = []
    for one in (plain, changed(plain, augment="randaugment"), replace(plain, seed=1)):
        begun = start(one)
        images, indices = begun.images.images.take(np.arange(16)), np.arange(16)
        inputs = network_inputs(begun.state, list(map(torch.from_numpy, images)), indices, begun.randomness)
        gone.append(inputs == 0)
    assert gone[0].any()
    assert [torch.equal(gone[0], other) for other in gone[1:]] == [True, False]


def dropped(network: nn.Module, run: RunConfig) -> torch.Tensor:
    """Which units are dropped behind fc6 for the first images."""
    set_dropout_seeds(network, torch.from_numpy(draw_randomness(run, 0, 4).dropout_seeds))
    layer = next(module for module in network.modules() if isinstance(module, SampleDropout))
    return layer(torch.ones(4, 256)) == 0


def test_what_a_variant_is_called_does_not_change_a_bit_of_its_run(run: RunConfig, tmp_path: Path):
    run = changed(run, dropout=0.5, epochs=1)
    other = replace(run, variant="another-name")
    (record, predictions), (second, again) = trained(run, tmp_path / "a"), trained(other, tmp_path / "b")
    assert predictions.equals(again)
    assert record["weights"] == second["weights"]
    assert without_times(record) == without_times(second)
    ours, theirs = (json.loads((tmp_path / p / run.id / "config.json").read_text()) for p in "ab")
    assert ours | {"time": 0} == theirs | {"time": 0}


def test_every_image_has_draws_of_its_own_in_every_epoch(run: RunConfig):
    epochs = [draw_randomness(run, epoch, 1000) for epoch in range(3)]
    together = np.concatenate([[r.dropout_seeds, r.augment_seeds, r.erasing_seeds] for r in epochs])
    assert len(np.unique(together)) == 9000
    assert together.min() >= 0
    assert torch.from_numpy(together).dtype == torch.int64
