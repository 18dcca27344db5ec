"""Tuning runs: they have no test phase, do not open the test split, and share no random number with a study's runs."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError
from running import ALONE, history, without_times

from emotune.config.model import ConstantConfig, SvmConfig
from emotune.config.run import RUN_ID, RunConfig
from emotune.config.train import TrainConfig
from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.data.manifest import read_manifest
from emotune.inference.predictor import load_predictor
from emotune.runs.directory import ATTENTION, PREDICTIONS, WEIGHTS, RunDirectory
from emotune.runs.store import RunStore
from emotune.training.loop import InterruptedRunError, train

STREAMS = ("order", "augment", "init", "dropout")


@pytest.fixture
def tuning(run: RunConfig) -> RunConfig:
    return replace(run, tuning=True)


def finished(run: RunConfig, pool: Path, **options) -> dict:
    return dict(train(run, RunDirectory(str(pool), run), ALONE, **options) or {})


def without_test_shards(run: RunConfig, folder: Path) -> RunConfig:
    """The run on a copy of its data of which no test image is left."""
    shutil.copytree(run.dataset.location, folder)
    for shard in read_manifest(Folder(str(folder))).shards_of("test"):
        (folder / shard.file).unlink()
    return replace(run, dataset=replace(run.dataset, location=str(folder)))


def test_a_tuning_run_is_another_run_with_streams_of_its_own(run: RunConfig, tuning: RunConfig):
    assert tuning.id != run.id and RUN_ID.fullmatch(tuning.id) and "-tuning-s0-" in tuning.id
    seeds = [replace(one, seed=seed).stream(name) for one in (run, tuning) for seed in range(3) for name in STREAMS]
    assert len(set(seeds)) == len(seeds)
    assert RunConfig.from_json(json.loads(json.dumps(tuning.to_json()))).id == tuning.id
    with pytest.raises(ValidationError, match="test_curve"):
        replace(tuning, test_curve=True)


@pytest.mark.parametrize("kind", ["network", "svm", "constant"])
def test_a_tuning_run_ends_where_there_is_no_test_image_and_leaves_its_validation(
    tuning: RunConfig, kind: str, tmp_path: Path
):
    if kind != "network":
        tuning = replace(tuning, model=SvmConfig() if kind == "svm" else ConstantConfig(), train=TrainConfig())
    cut = without_test_shards(tuning, tmp_path / "cut")
    record = finished(cut, tmp_path)
    assert {"accuracy", "test_images", "weights"}.isdisjoint(record)
    files = {path.name for path in (tmp_path / cut.id).iterdir()}
    assert files.isdisjoint({PREDICTIONS, ATTENTION, WEIGHTS})
    assert record["validation"] == record["last_epoch"] == history(tmp_path, cut)[-1]
    states = RunStore(tmp_path).states([tuning])
    assert states.records[tuning.id]["validation"] == record["validation"]
    with pytest.raises(InputError, match="tuning"):
        load_predictor(str(tmp_path / cut.id))


def test_the_validation_is_that_of_the_selected_epoch(tuning: RunConfig, tmp_path: Path):
    best = replace(tuning, select="best_val", train=replace(tuning.train, epochs=4))
    record = finished(best, tmp_path)
    curve = history(tmp_path, best)
    assert record["validation"]["val_accuracy"] == max(epoch["val_accuracy"] for epoch in curve)
    assert record["validation"] == curve[record["selected_epoch"] - 1]


def test_a_tuning_run_that_was_stopped_ends_as_it_would_have(tuning: RunConfig, tmp_path: Path):
    whole = finished(tuning, tmp_path / "whole")
    steps = iter(range(7))
    with pytest.raises(InterruptedRunError):
        finished(tuning, tmp_path / "stopped", stop=lambda: next(steps, None) is None)
    again = finished(tuning, tmp_path / "stopped")
    assert again["interruptions"] == 1
    times = ("train_s_so_far",)
    ended = [
        without_times(one) | {"validation": {k: v for k, v in one["validation"].items() if k not in times}}
        for one in (whole, again)
    ]
    assert ended[0] == ended[1]
