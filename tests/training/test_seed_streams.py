"""Each stream of random numbers decides about what it is named after, and about nothing else."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from running import changed, trained, weights

from emotune.model_config import AttentionConfig
from emotune.run import RunConfig
from emotune.training import loop
from emotune.training.step import StepResult, take_step


@dataclass
class Seen:
    """What a run's steps were given."""

    init: list[np.ndarray]
    order: list[np.ndarray]
    augment: list[np.ndarray]
    dropout: list[np.ndarray]
    predictions: pd.DataFrame


def seen(run: RunConfig, pool: Path, monkeypatch: pytest.MonkeyPatch) -> Seen:
    found = Seen([], [], [], [], pd.DataFrame())

    def watched(learner: Any, batch: Any, drawn: Any, lr: float) -> StepResult:
        if not found.init:
            found.init.append(weights(learner.network).numpy())
        found.order.append(batch.indices)
        found.augment += [drawn.views.boxes, drawn.views.flipped]
        found.dropout.append(drawn.mask_seeds)
        return take_step(learner, batch, drawn, lr)

    monkeypatch.setattr(loop, "take_step", watched)
    found.predictions = trained(run, pool)[1]
    return found


@pytest.mark.parametrize("changed_stream", ["init", "order", "augment", "dropout"])
def test_another_seed_of_a_stream_changes_what_it_should_and_nothing_else(
    run: RunConfig, changed_stream: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run = changed(run, epochs=1, crop="resized")
    before = seen(run, tmp_path / "a", monkeypatch)
    stream = RunConfig.stream
    monkeypatch.setattr(RunConfig, "stream", lambda self, name: stream(self, name) + (name == changed_stream))
    after = seen(run, tmp_path / "b", monkeypatch)
    for name in ("init", "order", "augment", "dropout"):
        pairs = list(zip(getattr(before, name), getattr(after, name), strict=True))
        equal = [np.array_equal(*pair) for pair in pairs]
        assert not any(equal) if name == changed_stream else all(equal), name
    assert not before.predictions.equals(after.predictions)


def test_variants_of_a_seed_see_the_same_pictures_in_the_same_order_and_views(run: RunConfig):
    other = replace(run, variant="attention", model=AttentionConfig(width=0.0625))
    assert run.stream("order") == other.stream("order")
    assert run.stream("augment") == other.stream("augment")
    assert run.stream("init") != other.stream("init")
    assert run.stream("dropout") != other.stream("dropout")


def test_every_picture_has_masks_of_its_own_in_every_epoch(run: RunConfig):
    epochs = [loop.draw(run, epoch, 1000).mask_seeds for epoch in range(3)]
    together = np.concatenate(epochs)
    assert len(np.unique(together)) == 3000
    assert together.min() >= 0
    assert torch.from_numpy(together).dtype == torch.int64
