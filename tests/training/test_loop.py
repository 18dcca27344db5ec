"""Training on real shards with narrow networks; results that must be equal are compared to the bit."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import TypeAdapter
from running import changed, trained, without_times

from emotune.config.model import ModelConfig
from emotune.config.run import DatasetRef, RunConfig, Selection
from emotune.core.storage import Folder
from emotune.data.build.shards import write_shards
from emotune.data.datasets.resolve import resolve_datasets
from emotune.data.read.batches import open_split
from emotune.data.sources.scenes import Scenes
from emotune.models.build import build
from emotune.models.networks.alexnet import AlexNet
from emotune.runs.directory import CHECKPOINTS, RunDirectory, State
from emotune.training import setup
from emotune.training.distributed import World
from emotune.training.loop import DivergedError

OTHERS = ("attention", "dual_branch", "mldr")


def test_a_finished_run_leaves_one_prediction_per_test_image_and_a_record_that_agrees(run: RunConfig, tmp_path: Path):
    record, predictions = trained(run, tmp_path)
    test = open_split(run.dataset, "test")
    assert predictions["sample_id"].tolist() == list(test.keys)
    assert predictions["target"].tolist() == [test.classes[t] for t in test.targets]
    logits = predictions[[f"logit_{label}" for label in test.classes]].to_numpy()
    assert np.isfinite(logits).all()
    assert record["accuracy"] == pytest.approx(100 * (logits.argmax(1) == test.targets).mean())
    lines = [json.loads(line) for line in (tmp_path / run.id / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2]
    assert record["last_epoch"] == lines[-1]
    assert RunDirectory(str(tmp_path), run).status().state is State.DONE
    assert not (tmp_path / run.id / CHECKPOINTS).exists()


def test_the_same_run_twice_gives_the_same_bits(run: RunConfig, tmp_path: Path):
    first, second = trained(run, tmp_path / "a"), trained(run, tmp_path / "b")
    pd.testing.assert_frame_equal(first[1], second[1], check_exact=True)
    assert without_times(first[0]) == without_times(second[0])


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> DatasetRef:
    """32 training images, 4 of a class."""
    listing, splits = Scenes(120, seed=1).listing(), ("train",) * 4 + ("val", "test")
    of_classes = [[entry for entry in listing.entries if entry.label == label] for label in listing.classes]
    entries = [replace(entry, split=split) for own in of_classes for entry, split in zip(own, splits, strict=False)]
    out = tmp_path_factory.mktemp("few")
    write_shards(replace(listing, entries=entries, content_hash=None), Folder(str(out)))
    return resolve_datasets([Selection(data=str(out))])[0]


@pytest.mark.parametrize("name", ["alexnet", *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)])
def test_training_can_learn_its_images_by_heart(run: RunConfig, few: DatasetRef, name: str, tmp_path: Path):
    model = {"name": name, "width": 0.0625, "weight_init": "he", "dropout": 0}
    run = replace(run, dataset=few, model=TypeAdapter(ModelConfig).validate_python(model))
    run = changed(run, epochs=30, crop="center", flip=False, batch_size=8, lr=0.003)
    record, _ = trained(run, tmp_path)
    assert record["train_images"] == 32
    assert record["last_epoch"]["train_accuracy"] == 100.0


def test_every_setting_of_the_views_reaches_the_training(run: RunConfig, tmp_path: Path):
    settings: list[dict] = [
        {}, {"flip": False}, {"crop": "center"}, {"crop": "resized"}, {"crop": "resized", "min_scale": 0.9},
    ]  # fmt: skip
    runs = [replace(run, train=replace(run.train, epochs=1, **options)) for options in settings]
    losses = {trained(run, tmp_path)[0]["last_epoch"]["train_loss"] for run in runs}
    assert len(losses) == len(settings)


def test_a_loss_that_is_not_finite_ends_the_run_with_step_and_learning_rate(run: RunConfig, tmp_path: Path):
    wild = replace(run, train=replace(run.train, lr=1e30, schedule="constant"))
    with pytest.raises(DivergedError, match=r"epoch 1, step \d+, lr 1e\+30"):
        trained(wild, tmp_path)
    assert not (tmp_path / wild.id / "record.json").exists()


@pytest.mark.parametrize("settings", [{}, {"ema_decay": 0.9}], ids=["network", "average"])
def test_outputs_that_are_not_finite_end_a_run_whose_losses_all_were(run: RunConfig, settings: dict, tmp_path: Path):
    wild = changed(run, lr=1e30, schedule="constant", batch_size=72, **settings)  # its first step is its first epoch
    with pytest.raises(DivergedError, match=r"epoch 1, lr 1e\+30"):
        trained(wild, tmp_path)
    assert not (tmp_path / wild.id / "metrics.jsonl").exists()


def test_a_rank_alone_asks_no_device_whether_to_stop():
    alone = World(0, 1, torch.device("meta"))  # which has no answers
    assert alone.any(True)
    assert not alone.any(False)


def test_a_gradient_whose_norm_is_not_finite_ends_the_run_even_if_the_loss_is(
    run: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def steep(*arguments: object) -> AlexNet:
        network = build(*arguments)
        network.output.weight.data *= 1e25  # its square is beyond float32
        return network

    monkeypatch.setattr(setup, "build", steep)
    with pytest.raises(DivergedError, match=r"inf in epoch 1, step 1, lr 0.005"):
        trained(changed(run, clip_norm=1.0), tmp_path)
