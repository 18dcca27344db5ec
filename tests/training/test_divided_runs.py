"""A run on a fold is trained on the fold's training images, and everything that is computed of those follows them."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from running import trained
from trunks import config

from emotune.config.input_spec import InputSpec
from emotune.config.model import ConstantConfig
from emotune.config.resources import Resources
from emotune.config.run import DatasetRef, RunConfig, Selection
from emotune.data.datasets.resolve import resolve_datasets
from emotune.data.read.batches import open_split
from emotune.runs.predictions import LOGIT_PREFIX


@pytest.fixture
def folds(small_shards: Path) -> tuple[DatasetRef, ...]:
    return resolve_datasets([Selection(data=str(small_shards), folds=2)])


def test_predictions_are_those_of_the_folds_test_images_and_the_record_counts_its_training_images(
    run: RunConfig, folds: tuple[DatasetRef, ...], tmp_path: Path
):
    tested: list[str] = []
    for fold in folds:
        record, predictions = trained(replace(run, dataset=fold), tmp_path)
        assert record["train_images"] == len(open_split(fold, "train"))
        assert record["dataset"] == fold.name
        tested += predictions["sample_id"].tolist()
    assert len(tested) == len(set(tested)) == 160


def test_class_frequencies_are_those_of_the_folds_training_images(
    run: RunConfig, folds: tuple[DatasetRef, ...], tmp_path: Path
):
    _, predictions = trained(replace(run, dataset=folds[1], model=ConstantConfig()), tmp_path)
    split = open_split(folds[1], "train")
    counts = Counter(split.targets.tolist())
    classes = len(split.classes)
    expected = [(counts[number] + 1) / (len(split) + classes) for number in range(classes)]
    logits = predictions[[f"{LOGIT_PREFIX}{label}" for label in split.classes]].to_numpy()
    assert np.exp(logits[0]) == pytest.approx(expected, rel=1e-5)


def test_all_folds_read_the_same_features_and_give_the_bits_of_those_computed_in_every_step(
    run: RunConfig, folds: tuple[DatasetRef, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("EMOTUNE_CACHE", str(tmp_path / "cache"))
    spec, train = InputSpec(side=64, resize=72), replace(run.train, views=2)
    first = replace(run, dataset=folds[0], model=config("max", tune="head"), train=train, input=spec)
    record, kept = trained(first, tmp_path / "kept")
    _, computed = trained(first, tmp_path / "computed", resources=Resources(cache_gb=0))
    pd.testing.assert_frame_equal(kept, computed, check_exact=True)
    assert record["reading"] == "features"
    files = sorted((tmp_path / "cache").glob("**/*-features.npy"))
    trained(replace(first, dataset=folds[1]), tmp_path / "kept")
    assert sorted((tmp_path / "cache").glob("**/*-features.npy")) == files
