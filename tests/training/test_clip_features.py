"""Features of clips are computed once, frame by frame: heads aggregate them, and baselines get their means."""

from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from running import history, trained
from trunks import config
from videos import write_class_folders

from emotune.config.input_spec import InputSpec
from emotune.config.model import LogisticConfig, SvmConfig
from emotune.config.resources import Resources
from emotune.config.run import RunConfig, Selection
from emotune.config.train import TrainConfig
from emotune.core.storage import Folder
from emotune.data.build.shards import write_shards
from emotune.data.datasets.resolve import resolve_datasets
from emotune.data.read.batches import open_split
from emotune.data.sources.video import Video
from emotune.inference.predictor import load_predictor
from emotune.models.handmade.catalogue import feature_set
from emotune.training import fit, handmade
from emotune.training.features import FeatureSource
from emotune.training.fitted_rows import Rows, open_rows
from emotune.training.handmade_worker import features_of
from emotune.training.loop import InterruptedRunError

SEEN = InputSpec(side=64, resize=72, frames=3)
VIEWS: dict[str, Any] = {"views": 2, "crop": "resized", "augment": "trivialaugment", "random_erasing": 0.5}
NEVER = Resources(cache_gb=0)
"""Without room in the cache, the backbone runs in every step."""


@pytest.fixture(scope="module")
def clip_shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 clips of 3 frames, of which the warm ones are tense."""
    folder = tmp_path_factory.mktemp("clips")
    listing = Video(write_class_folders(folder / "in", 20), frames=3, labels="any").listing()
    write_shards(listing, Folder(str(folder / "out")))
    return folder / "out"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder without features."""
    monkeypatch.setenv("EMOTUNE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def head_run(clip_shards: Path) -> RunConfig:
    """Attention over frames, and over positions, on a frozen backbone."""
    (dataset,) = resolve_datasets([Selection(data=str(clip_shards))])
    model = config({"name": "attention", "dropout": 0.5}, tune="head", frames="attention")
    settings = TrainConfig(epochs=2, batch_size=8, lr=0.05, ema_decay=0.5, test_crops=5, **VIEWS)
    return RunConfig(variant="head", dataset=dataset, seed=0, model=model, train=settings, input=SEEN)


def files(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.glob("**/*-features.npy"))


@pytest.mark.parametrize(("frames", "head"), [
    ("attention", {"name": "attention", "dropout": 0.5}), ("mean", "max"), ("max", {"name": "han", "levels": [1, 2]}),
])  # fmt: skip
def test_features_that_are_kept_give_the_bits_of_a_backbone_in_every_step(head_run, tmp_path, cache, frames, head):
    run = replace(head_run, model=config(head, tune="head", frames=frames))
    record, kept = trained(run, tmp_path / "kept")
    again, computed = trained(run, tmp_path / "computed", resources=NEVER)
    pd.testing.assert_frame_equal(kept, computed, check_exact=True)
    assert (record["reading"], again["reading"]) == ("features", "indexed")
    assert record["weights"] == again["weights"]
    for one, other in zip(history(tmp_path / "kept", run), history(tmp_path / "computed", run), strict=True):
        assert one | {"train_s_so_far": 0} == other | {"train_s_so_far": 0}
    rows = np.load(next(cache.glob("**/*drawn*-features.npy")), mmap_mode="r")
    assert {rows[name].shape[1] for name in rows.dtype.names} == {3}, "a row has the features of all frames"


def test_the_whole_network_that_is_kept_predicts_as_the_head_did(head_run, tmp_path):
    run = replace(head_run, train=replace(head_run.train, test_crops=1))
    _, expected = trained(run, tmp_path)
    predictor = load_predictor(str(tmp_path / run.id), "cpu", trust_code=True)
    assert sum("over_frames.attention" in name for name in predictor.network.state_dict()) == 3
    split = open_split(run.dataset, "test", run.input)
    with torch.inference_mode():
        images = [torch.from_numpy(one)[:, 4:68, 4:68] for one in split.images.take(np.arange(len(split)))]
        mean, std = (torch.tensor(values) for values in (predictor.normalisation.mean, predictor.normalisation.std))
        pixels = ((torch.stack(images) / 255 - mean) / std).movedim(-1, -3)
        logits = predictor.network(pixels).numpy()
    np.testing.assert_allclose(logits, expected.filter(like="logit_").to_numpy(), rtol=2e-3, atol=2e-3)


def test_a_run_that_is_stopped_while_features_are_computed_goes_on(head_run, tmp_path, cache):
    _, expected = trained(head_run, tmp_path / "whole", resources=NEVER)
    calls = count()
    with pytest.raises(InterruptedRunError):
        trained(head_run, tmp_path / "cut", stop=lambda: next(calls) > 2)
    complete = files(cache)
    assert complete
    _, found = trained(head_run, tmp_path / "cut")
    pd.testing.assert_frame_equal(found, expected, check_exact=True)
    assert set(complete) < set(files(cache))


def test_logistic_regression_gets_the_mean_over_frames_of_a_heads_features(head_run, tmp_path, cache, monkeypatch):
    head = replace(head_run, model=config("mean", tune="head"), train=TrainConfig(epochs=1, batch_size=8))
    trained(head, tmp_path)
    kept = files(cache)
    monkeypatch.setattr(FeatureSource, "_computation", None)  # nothing is left to compute
    model = LogisticConfig(backbone=config().backbone, c_grid=(1.0,))
    run = replace(head, variant="logistic", model=model, train=TrainConfig())
    rows: dict[str, np.ndarray] = {}

    def noting(*arguments: Any) -> Rows:
        opened = open_rows(*arguments)
        rows["test"] = opened.of("test", lambda images: None)[0]
        return opened

    monkeypatch.setattr(fit, "open_rows", noting)
    record, _ = trained(run, tmp_path)
    assert files(cache) == kept
    stored = np.concatenate([np.load(path)["0"] for path in sorted(cache.glob("**/*-features.npy"))])
    assert rows["test"].shape == (record["test_images"], 8)
    means = {tuple(row) for row in stored.astype(np.float32).mean(axis=1).reshape(len(stored), -1).tolist()}
    assert {tuple(row) for row in rows["test"].tolist()} <= means


def test_handmade_features_of_a_clip_are_the_means_over_its_frames(head_run, tmp_path, cache, monkeypatch):
    monkeypatch.setattr(handmade, "IMAGES_A_FILE", 24)
    run = replace(
        head_run, variant="svm", model=SvmConfig(c_grid=(1.0,)), train=TrainConfig(), input=InputSpec(frames=3)
    )
    record, predictions = trained(run, tmp_path)
    assert record["reading"] == "features"
    assert record["accuracy"] > 85
    assert all(int(name.partition("-features")[0].rpartition(".")[2]) % 8 == 0 for name in files(cache)), (
        "8 clips a file"
    )
    split = open_split(run.dataset, "test", run.input)
    (clip,) = split.images.take(np.array([2]))
    colours = feature_set("colours")
    means = np.mean([colours.compute(frame) for frame in clip], axis=0)
    np.testing.assert_allclose(features_of(colours, clip, "key"), means, rtol=1e-5)
    assert len(predictions) == len(split)
