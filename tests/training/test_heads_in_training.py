"""Runs of a backbone and a head: the loss of heads with several outputs, interruptions, frozen parts, attention."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from running import changed, start, trained, without_times
from safetensors.torch import load_file
from trunks import config

from emotune.config.run import RunConfig
from emotune.models.build import build
from emotune.runs.directory import ATTENTION, WEIGHTS
from emotune.training.loop import InterruptedRunError
from emotune.training.step import backward, network_inputs


def test_the_loss_is_the_mean_over_all_outputs_and_the_first_one_predicts(run: RunConfig):
    begun = start(replace(run, model=config("wscnet")))
    batch = next(begun.batches)
    loss, correct = backward(begun.state, batch, begun.randomness).tolist()
    inputs = network_inputs(begun.state, batch.images, batch.indices, begun.randomness)
    targets = torch.from_numpy(begun.images.targets[batch.indices])
    with torch.no_grad():
        classified, detected = begun.state.network(inputs)
    expected = (F.cross_entropy(classified, targets) + F.cross_entropy(detected, targets)) / 2
    assert loss == pytest.approx(expected.item(), rel=1e-5)
    assert correct == (classified.argmax(1) == targets).sum()


def test_a_stopped_run_of_a_head_with_dropout_ends_as_if_it_had_not_been(run: RunConfig, tmp_path: Path):
    head = {"name": "wscnet", "dropout": 0.5}
    run = replace(changed(run, epochs=1), model=config(head, {"norm": True, "dropout": 0.2}))
    undisturbed, expected = trained(run, tmp_path / "a")
    asked = iter([False, True])
    with pytest.raises(InterruptedRunError):
        trained(run, tmp_path / "b", stop=lambda: next(asked))
    record, predictions = trained(run, tmp_path / "b")
    pd.testing.assert_frame_equal(predictions, expected, check_exact=True)
    assert without_times(record) == without_times(undisturbed)


def test_a_run_of_a_frozen_backbone_leaves_it_as_it_was_and_records_attention_of_its_own_map(
    run: RunConfig, tmp_path: Path
):
    head = {"name": "attention", "heads": 2}
    run = replace(changed(run, epochs=1, lr=0.1), model=config(head, {"norm": True}, tune="head"))
    trained(run, tmp_path)
    before, after = build(run.model, 8, run.stream("init")).state_dict(), load_file(tmp_path / run.id / WEIGHTS)
    changes = {name for name, tensor in before.items() if not torch.equal(tensor.float(), after[name])}
    assert changes and all(name.startswith("head.") for name in changes)
    attention = pd.read_parquet(tmp_path / run.id / ATTENTION)
    assert set(attention["layer"]) == {"head.attention.0", "head.attention.1"}
    assert {len(weights) for weights in attention["weights"]} == {15 * 15}
