"""A head alone is trained on features that are computed once, to the bits of a backbone that runs in every step."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import torch.multiprocessing as mp
from running import ALONE, history, trained
from trunks import config

from emotune.config.input_spec import InputSpec
from emotune.config.resources import Resources
from emotune.config.run import RunConfig
from emotune.config.train import TrainConfig
from emotune.data.datasets.location import manifest_of
from emotune.data.shard_reader import read_samples
from emotune.inference.predictor import load_predictor
from emotune.runs.directory import PREDICTIONS, RunDirectory
from emotune.runs.progress import RunProgress
from emotune.training import features as under_test
from emotune.training.distributed import connect, open_rendezvous
from emotune.training.loop import InterruptedRunError, train
from emotune.training.step import TrainState, network_inputs

SEEN = InputSpec(side=64, resize=72)
VIEWS: dict[str, Any] = {"views": 3, "crop": "resized", "augment": "trivialaugment", "random_erasing": 0.5}
ATTENTION = {"name": "attention", "score": "tanh", "dropout": 0.5}
NEVER = Resources(cache_gb=0)
"""Without room in the cache, the backbone runs in every step."""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder without features."""
    monkeypatch.setenv("EMOTUNE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def head_run(run: RunConfig) -> RunConfig:
    """The test run with attention on a frozen backbone, and everything that a head's training can have."""
    train = replace(
        run.train, label_smoothing=0.1, class_weights="balanced", clip_norm=1.0, ema_decay=0.8, test_crops=5, **VIEWS
    )
    return replace(run, model=config(ATTENTION, tune="head"), train=train, input=SEEN, select="best_val")


def files(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.glob("**/*-features.npy"))


@pytest.mark.parametrize(("views", "head"), [
    (3, ATTENTION), (1, {"name": "max", "dropout": 0.5}), (1, {"name": "patches", "levels": [1, 2]}),
    (3, {"name": "multi_level", "levels": 2, "channels": 4, "units": 8}),
], ids=str)  # fmt: skip
def test_features_that_are_kept_give_the_bits_of_those_that_are_computed_in_every_step(
    head_run: RunConfig, head: dict[str, Any], views: int, tmp_path: Path, cache: Path
):
    plain = TrainConfig(epochs=2, batch_size=16, precision="bf16")
    run = replace(head_run, model=config(head, tune="head"), train=head_run.train if views > 1 else plain)
    record, kept = trained(run, tmp_path / "kept")
    again, computed = trained(run, tmp_path / "computed", resources=NEVER)
    pd.testing.assert_frame_equal(kept, computed, check_exact=True)
    for one, other in zip(history(tmp_path / "kept", run), history(tmp_path / "computed", run), strict=True):
        assert one | {"train_s_so_far": 0} == other | {"train_s_so_far": 0}
    assert (record["reading"], again["reading"]) == ("features", "indexed")
    assert record["weights"] == again["weights"]
    shards = len(manifest_of(run.dataset).shards_of("train"))
    assert sum("drawn" in name for name in files(cache)) == (shards * views if views > 1 else 0)


def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(head_run: RunConfig, tmp_path: Path):
    """Also while features are computed; the files that are complete are kept."""
    _, expected = trained(head_run, tmp_path / "a", resources=NEVER)
    calls, steps, begun = count(), 0, tmp_path / "b"

    def note(progress: RunProgress) -> None:
        nonlocal steps
        steps = progress.step

    with pytest.raises(InterruptedRunError):
        trained(head_run, begun, stop=lambda: next(calls) > 2)
    complete = files(tmp_path / "cache")
    assert complete
    with pytest.raises(InterruptedRunError):
        trained(head_run, begun, on_progress=note, stop=lambda: steps == 7)
    record, predictions = trained(head_run, begun)
    pd.testing.assert_frame_equal(predictions, expected, check_exact=True)
    assert set(complete) < set(files(tmp_path / "cache"))
    assert record["interruptions"] == 1


def test_other_heads_and_more_views_use_the_features_that_there_are(
    head_run: RunConfig, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
):
    trained(head_run, tmp_path)
    before, computed = files(cache), []
    monkeypatch.setattr(under_test, "network_inputs", _noting(computed))
    trained(replace(head_run, model=config("wscnet", tune="head")), tmp_path)
    assert (computed, files(cache)) == ([], before)
    trained(replace(head_run, train=replace(head_run.train, views=4)), tmp_path)
    assert sum(computed) == 72
    trained(replace(head_run, model=config("mean", tune="head")), tmp_path)
    assert sum(computed) == 72 + 3 * 72 + 49 + 5 * 39


def _noting(computed: list[int]) -> Callable[..., torch.Tensor]:
    """`network_inputs`, which also notes the number of its images."""

    def noting(state: TrainState, images: Any, indices: np.ndarray, *rest: Any) -> torch.Tensor:
        computed.append(len(indices))
        return network_inputs(state, images, indices, *rest)

    return noting


def test_a_tuning_run_needs_no_room_for_test_images(head_run: RunConfig, tmp_path: Path, cache: Path):
    tuning = replace(head_run, tuning=True)
    train(tuning, RunDirectory(str(tmp_path / "ample"), tuning), ALONE)
    assert files(cache)
    room = Resources(cache_gb=(sum(path.stat().st_size for path in cache.glob("**/*-features.npy")) + 1000) / 1e9)
    shutil.rmtree(cache)
    record = train(tuning, RunDirectory(str(tmp_path / "tight"), tuning), ALONE, resources=room)
    assert record is not None and record["reading"] == "features"


def test_views_do_not_depend_on_the_run_and_differ_from_each_other(head_run: RunConfig):
    views = under_test.training_views(head_run.train)
    drawn = [view.randomness(("a", "b", "c"), SEEN) for view in views]
    alone = [view.randomness(("c",), SEEN) for view in under_test.training_views(replace(head_run.train, views=2))]
    for whole, one in zip(drawn, alone, strict=False):
        assert np.array_equal(whole.crops.boxes[2:], one.crops.boxes)
        assert whole.augment_seeds[2] == one.augment_seeds[0]
    assert len({tuple(one.crops.boxes[0]) for one in drawn}) == 3
    other = under_test.training_views(replace(head_run.train, flip=False))
    assert {view.name for view in other}.isdisjoint(view.name for view in views)


def test_predictions_for_images_are_those_of_the_test(head_run: RunConfig, tmp_path: Path, small_shards: Path):
    run = replace(head_run, model=config({"name": "mean"}, tune="head"))
    _, expected = trained(run, tmp_path)
    shards = manifest_of(run.dataset).shards_of("test")
    samples = {
        sample.key: sample.jpg for shard in shards
        for sample in read_samples((small_shards / shard.file).read_bytes(), shard.file)
    }  # fmt: skip
    predictor = load_predictor(str(tmp_path / run.id), "cpu", trust_code=True)
    given = predictor.predict([samples[key] for key in expected["sample_id"]])
    logits = torch.from_numpy(expected[[f"logit_{label}" for label in predictor.classes]].to_numpy().copy())
    assert np.array_equal(given.probabilities, logits.softmax(1).numpy())


def _rank(rank: int, port: int, run_json: dict[str, Any], out: str) -> None:
    torch.set_num_threads(1)
    run = RunConfig.from_json(run_json)
    with connect(rank, 2, gpu=False, store=open_rendezvous("127.0.0.1", port)) as world:
        train(run, RunDirectory(out, run), world)


@pytest.mark.slow
def test_two_ranks_train_the_head_that_one_trains(head_run: RunConfig, tmp_path: Path):
    run = replace(head_run, train=replace(head_run.train, epochs=1, test_crops=1))
    store = open_rendezvous("127.0.0.1")
    mp.spawn(_rank, (store.port, run.to_json(), str(tmp_path)), nprocs=2)
    _, alone = trained(run, tmp_path / "alone", resources=NEVER)
    together = pd.read_parquet(tmp_path / run.id / PREDICTIONS)
    columns = [name for name in alone if name.startswith("logit_")]
    np.testing.assert_allclose(together[columns], alone[columns], rtol=1e-3, atol=1e-4)
