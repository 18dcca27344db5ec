"""A finished run is tested on other data as it was on its own, once, and nothing else in its directory changes."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from other_sets import altered, samples_of, smaller, write_entries, write_polarity
from pyarrow import parquet
from pydantic import TypeAdapter
from ranks import start_ranks
from running import ALONE, trained
from scipy.special import log_softmax
from trunks import config

from emotune.config.label_map import map_labels
from emotune.config.labels import MIKELS, NEGATIVE
from emotune.config.losses import CnnrLoss
from emotune.config.model import ConstantConfig, LogisticConfig, SvmConfig
from emotune.config.other_data import OtherData, TransferTest
from emotune.config.resources import Resources
from emotune.config.run import RunConfig
from emotune.config.train import TrainConfig
from emotune.core.errors import InputError
from emotune.data.datasets.location import manifest_of
from emotune.data.datasets.resolve_tests import resolve_tests
from emotune.data.sources.base import Entry
from emotune.inference.predictor import load_predictor
from emotune.runs.directory import FITTED, WEIGHTS, RunDirectory
from emotune.runs.lease import BusyRunError
from emotune.runs.predictions import class_prior
from emotune.runs.progress import RunProgress
from emotune.runs.tested import read_tested
from emotune.training.distributed import connect
from emotune.training.setup import InterruptedRunError
from emotune.training.transfer import make_tests

Make = Callable[..., RunDirectory]


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pool")


@pytest.fixture
def finished(run: RunConfig, pool: Path, tmp_path: Path) -> Make:
    """Gives a copy of the directory of a run, which is trained once."""

    def make(one: RunConfig = run) -> RunDirectory:
        trained(one, pool)
        shutil.copytree(pool / one.id, tmp_path / "pool" / one.id)
        return RunDirectory(str(tmp_path / "pool"), one)

    return make


@pytest.fixture
def polar(small_shards: Path, run: RunConfig, tmp_path: Path) -> TransferTest:
    """Scenes with a polarity, two of whose test images are copies of training images."""
    train = samples_of(small_shards, "train")
    write_polarity(tmp_path / "polar", {"a" * 20: altered(train[0], smaller), "b" * 20: altered(train[1], smaller)})
    return of(run, OtherData(data=str(tmp_path / "polar")))


def of(run: RunConfig, *others: OtherData) -> TransferTest:
    return resolve_tests(others, [run.dataset])[0]


def outcome(directory: RunDirectory, test: TransferTest):
    record = directory.record()
    assert record is not None
    return read_tested(directory.folder, test, record)


def test_its_own_test_images_under_another_name_get_the_answers_of_its_own_test(
    finished: Make, run: RunConfig, small_shards: Path, tmp_path: Path
):
    samples = samples_of(small_shards, "test")
    same = {path.name: path for path in small_shards.iterdir()}
    for name, path in same.items():
        (tmp_path / "same").mkdir(exist_ok=True)
        shutil.copy(path, tmp_path / "same" / name)
    labels = map_labels(MIKELS, MIKELS)
    dataset = replace(run.dataset, name="same", location=str(tmp_path / "same"))
    test, directory = TransferTest("scenes", "same", dataset, "test", labels, len(samples)), finished()
    make_tests(run, directory, ALONE, [test])
    found = outcome(directory, test)
    own = pd.read_parquet(tmp_path / "pool" / run.id / "predictions.parquet")
    assert found is not None and found.near_training == 0, "none of them was trained on"
    pd.testing.assert_frame_equal(found.predictions[["sample_id", "target", "group"]],
                                  own[["sample_id", "target", "group"]])  # fmt: skip
    logits = [f"logit_{label}" for label in MIKELS]
    np.testing.assert_allclose(found.predictions[logits], log_softmax(own[logits], axis=1), atol=1e-5)


def test_eight_classes_answer_for_two_and_copies_of_training_images_are_left_out(
    finished: Make, run: RunConfig, polar: TransferTest, tmp_path: Path
):
    directory = finished()
    before = _files(directory)
    make_tests(run, directory, ALONE, [polar])
    found = outcome(directory, polar)
    assert found is not None and (found.near_training, found.other_classes) == (2, 0)
    assert set(_files(directory)) - set(before) == {polar.file}, "no lease is left"
    assert {name: data for name, data in _files(directory).items() if name != polar.file} == before
    images = samples_of(tmp_path / "polar", "test")
    assert len(found.predictions) == len(images) - 2
    by_key = {one.key: one for one in images}
    shown = [by_key[key] for key in found.predictions["sample_id"]]
    assert found.predictions["target"].tolist() == [one.label for one in shown]
    answered = load_predictor(str(tmp_path / "pool" / run.id), "cpu").predict([one.jpg for one in shown])
    negative = answered.probabilities[:, [label in NEGATIVE for label in answered.classes]].sum(1)
    np.testing.assert_allclose(np.exp(found.predictions["logit_negative"]), negative, atol=1e-4)
    about = json.loads(parquet.read_schema(tmp_path / "pool" / run.id / polar.file).metadata[b"emotune"])
    assert about["run"] == run.id and about["near_training"] == 2 and about["seconds"] > 0


def test_a_test_is_made_once_and_again_if_the_run_was_trained_again_or_the_file_is_torn(
    finished: Make, run: RunConfig, polar: TransferTest
):
    directory, progress = finished(), list[RunProgress]()
    make_tests(run, directory, ALONE, [polar], on_progress=progress.append)
    assert {one.phase for one in progress} == {"reading", "testing"} and progress[-1].evaluated > 20
    first, count = _files(directory)[polar.file], len(progress)
    make_tests(run, directory, ALONE, [polar], on_progress=progress.append)
    assert len(progress) == count and _files(directory)[polar.file] == first
    record = directory.record()
    assert record is not None
    assert read_tested(directory.folder, polar, {**record, "images_per_s": 1.0}) is None, "another training"
    for damaged in (first[:200], b"", first[:-4] + b"    "):
        directory.folder.write(polar.file, damaged)
        assert outcome(directory, polar) is None
    make_tests(run, directory, ALONE, [polar])
    assert outcome(directory, polar) is not None


def test_all_images_and_only_common_classes(finished: Make, run: RunConfig, small_shards: Path, tmp_path: Path):
    write_entries(tmp_path / "few", "few", ["awe", "fear", "joy"], [
        Entry(one.source, {"awe": "awe", "fear": "fear"}.get(one.label, "joy"), {}, one.image, one.key)
        for one in _scenes(40)
    ])  # fmt: skip
    test, directory = of(run, OtherData(data=str(tmp_path / "few"), split="all")), finished()
    make_tests(run, directory, ALONE, [test])
    found = outcome(directory, test)
    counts = pd.Series([one.label for split in ("train", "val", "test") for one in samples_of(tmp_path / "few", split)])
    assert found is not None and found.other_classes == (counts == "joy").sum()
    assert found.predictions["target"].value_counts().to_dict() == {
        label: (counts == label).sum() for label in ("awe", "fear")
    }
    assert np.allclose(np.exp(found.predictions.filter(like="logit_")).sum(axis=1), 1)


def test_an_interrupted_test_leaves_what_is_complete_and_continues(
    finished: Make, run: RunConfig, polar: TransferTest, tmp_path: Path
):
    everything = of(run, OtherData(data=str(tmp_path / "polar"), split="all"))
    directory, before = finished(), None
    with pytest.raises(InterruptedRunError, match="all images"):
        make_tests(
            run, directory, ALONE, [polar, everything],
            stop=lambda: outcome(directory, polar) is not None,
        )  # fmt: skip
    assert outcome(directory, everything) is None
    before = _files(directory)[polar.file]
    make_tests(run, directory, ALONE, [polar, everything])
    assert outcome(directory, everything) is not None and _files(directory)[polar.file] == before


def test_two_ranks_write_what_one_writes(finished: Make, run: RunConfig, polar: TransferTest, tmp_path: Path):
    directory = finished()
    make_tests(run, directory, ALONE, [polar])
    alone = outcome(directory, polar)
    directory.folder.delete(polar.file)
    start_ranks(_rank, (str(tmp_path / "store"), run, str(tmp_path / "pool"), polar), 2)
    together = outcome(directory, polar)
    assert alone is not None and together is not None
    pd.testing.assert_frame_equal(alone.predictions, together.predictions, atol=1e-5)


def test_a_run_that_another_process_holds_is_left_to_it(finished: Make, run: RunConfig, polar: TransferTest):
    directory = finished()
    with directory.leased("another"), pytest.raises(BusyRunError):
        make_tests(run, directory, ALONE, [polar])


def test_runs_without_what_they_learned_are_refused_with_the_reason(
    finished: Make, run: RunConfig, polar: TransferTest, tmp_path: Path
):
    directory = finished()
    directory.folder.delete(WEIGHTS)
    with pytest.raises(InputError, match=f"{WEIGHTS}: missing"):
        make_tests(run, directory, ALONE, [polar])
    with pytest.raises(InputError, match="not finished"):
        make_tests(replace(run, seed=7), RunDirectory(str(tmp_path / "pool"), replace(run, seed=7)), ALONE, [polar])
    svm = replace(run, model=SvmConfig(c_grid=(1.0,)), train=TrainConfig())
    directory = finished(svm)
    directory.folder.write(FITTED, (directory.folder.read(FITTED) or b"")[:-1] + b"x")
    with pytest.raises(InputError, match=f"{FITTED}: damaged"):
        make_tests(svm, directory, ALONE, [polar])


@pytest.mark.parametrize("model", [
    SvmConfig(c_grid=(1.0, 10.0)), LogisticConfig(features="colours"),
    TypeAdapter(LogisticConfig).validate_python({"backbone": config().backbone}),
], ids=["svm", "logistic", "logistic on a backbone"])  # fmt: skip
def test_a_fitted_model_gives_its_own_test_images_the_answers_of_its_own_test(
    finished: Make, run: RunConfig, small_shards: Path, tmp_path: Path, model: Any
):
    fitted = replace(run, model=model, train=TrainConfig())
    shutil.copytree(small_shards, tmp_path / "same")
    dataset = replace(run.dataset, name="same", location=str(tmp_path / "same"))
    test = TransferTest("scenes", "same", dataset, "test", map_labels(MIKELS, MIKELS), 39)
    directory = finished(fitted)
    make_tests(fitted, directory, ALONE, [test])
    found = outcome(directory, test)
    own = pd.read_parquet(tmp_path / "pool" / fitted.id / "predictions.parquet")
    assert found is not None
    logits = [f"logit_{label}" for label in MIKELS]
    np.testing.assert_allclose(found.predictions[logits], log_softmax(own[logits], axis=1), atol=1e-5)
    everything = replace(test, split="all")
    make_tests(fitted, directory, ALONE, [everything])
    whole = outcome(directory, everything)
    assert whole is not None and whole.near_training == 72 + 49, "its training images are known by their keys"
    pd.testing.assert_frame_equal(whole.predictions, found.predictions)


def test_class_frequencies_answer_for_the_common_classes(finished: Make, run: RunConfig, polar: TransferTest):
    constant = replace(run, model=ConstantConfig(), train=TrainConfig())
    directory = finished(constant)
    make_tests(constant, directory, ALONE, [polar])
    found, record = outcome(directory, polar), directory.record()
    assert found is not None and record is not None
    by_class: dict[str, Any] = record["train_by_class"]
    shares = np.exp(class_prior(np.array([by_class[label] for label in MIKELS])))
    negative = sum(share for share, label in zip(shares, MIKELS, strict=True) if label in NEGATIVE)
    np.testing.assert_allclose(np.exp(found.predictions["logit_negative"]), negative, atol=1e-6)


def test_a_regression_is_read_as_in_its_own_test(finished: Make, run: RunConfig, polar: TransferTest):
    regression = replace(run, train=replace(run.train, loss=CnnrLoss(), epochs=1, lr=0.001))
    directory = finished(regression)
    make_tests(regression, directory, ALONE, [polar])
    found = outcome(directory, polar)
    assert found is not None
    logits = found.predictions[["logit_negative", "logit_positive"]].to_numpy(float)
    assert (logits <= 1e-6).all()
    np.testing.assert_allclose(np.exp(logits).sum(axis=1), 1, atol=1e-5)


def _rank(rank: int, file: str, run: RunConfig, pool: str, test: TransferTest) -> None:
    torch.set_num_threads(1)
    with connect(rank, 2, gpu=False, store=torch.distributed.FileStore(file, 2)) as world:
        make_tests(run, RunDirectory(pool, run), world, [test])


def _scenes(count: int) -> list[Entry]:
    from emotune.data.sources.scenes import Scenes

    return list(Scenes(count, seed=9).listing().entries)


def _files(directory: RunDirectory) -> dict[str, bytes]:
    return {name: directory.folder.read(name) or b"" for name in directory.folder.names()}


@pytest.mark.parametrize("cache_gb", [None, 0.0])
def test_a_frozen_backbone_computes_the_features_of_other_images_once_for_all_runs(
    run: RunConfig, finished: Make, small_shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    cache_gb: float | None,
):  # fmt: skip
    monkeypatch.setenv("EMOTUNE_CACHE", str(tmp_path / "cache"))
    write_polarity(tmp_path / "polar", {"a" * 20: altered(samples_of(small_shards, "train")[0], smaller)})
    test = of(run, OtherData(data=str(tmp_path / "polar"), split="all"))
    heads = ("attention", {"name": "attention", "score": "tanh"})
    train = TrainConfig(epochs=1, test_crops=5)
    runs = [replace(run, model=config(head, tune="head"), train=train) for head in heads]
    resources, kept = Resources(cache_gb=cache_gb), []
    for one in runs:
        directory = finished(one)
        make_tests(one, directory, ALONE, [test], resources=resources)
        found = outcome(directory, test)
        assert found is not None and found.near_training == 1
        images = {s.key: s.jpg for split in ("train", "val", "test") for s in samples_of(tmp_path / "polar", split)}
        shown = [images[key] for key in found.predictions["sample_id"]]
        answered = load_predictor(str(tmp_path / "pool" / one.id), "cpu", trust_code=True).predict(shown)
        negative = answered.probabilities[:, [label in NEGATIVE for label in answered.classes]].sum(1)
        np.testing.assert_allclose(np.exp(found.predictions["logit_negative"]), negative, atol=2e-3)
        kept.append({path for path in (tmp_path / "cache" / "decoded").iterdir() if path.suffix == ".npy"})
    shards = {shard.sha256 for shard in manifest_of(test.dataset).shards}
    of_other = [
        {path for path in files if any(one in path.name for one in shards) and path.name.endswith("features.npy")}
        for files in kept
    ]
    assert of_other[0] == of_other[1], "the second head needs nothing new"
    assert len(of_other[0]) == (5 * len(shards) if cache_gb is None else 0), "five crops"
