"""Hand-made features are computed once per data set and machine, by processes, and kept as far as they have come."""

import ast
import contextlib
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import packages_distributions
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from filelock import FileLock
from running import ALONE, trained

from emotune.config.model import LogisticConfig, SvmConfig
from emotune.config.resources import Resources
from emotune.config.run import RunConfig, Selection
from emotune.config.train import TrainConfig
from emotune.core.errors import InputError
from emotune.data.datasets.resolve import resolve_datasets
from emotune.data.manifest import SPLITS
from emotune.data.read.batches import open_split
from emotune.models import handmade as sets
from emotune.models.handmade.catalogue import feature_set
from emotune.models.handmade.feature_set import FeatureSet
from emotune.runs.directory import RunDirectory
from emotune.runs.progress import RunProgress
from emotune.training import handmade as under_test
from emotune.training.handmade import handmade_features
from emotune.training.handmade_worker import features_of
from emotune.training.loop import train
from emotune.training.setup import InterruptedRunError, RunSession

IMAGES = 160


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder without features."""
    monkeypatch.setenv("EMOTUNE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def regression(run: RunConfig) -> RunConfig:
    return replace(run, variant="colours", model=LogisticConfig(features="colours"), train=TrainConfig())


def features(
    run: RunConfig,
    *sets: str,
    resources: Resources = Resources(),
    on_progress: Callable[[RunProgress], None] = lambda progress: None,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, np.ndarray]:
    session = RunSession(RunDirectory("memory://none", run), ALONE)
    of = handmade_features(run, sets, session, resources, on_progress, stop)
    return {split: of(split) for split in SPLITS}


def files(cache: Path) -> dict[str, int]:
    return {path.name: path.stat().st_ino for path in cache.glob("**/*-features.npy")}


def test_each_image_has_the_features_of_its_pixels_whatever_the_number_of_processes(
    regression: RunConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    expected = {}
    for split in SPLITS:
        images = open_split(regression.dataset, split)
        computed = [
            np.concatenate([feature_set(name).compute(image) for name in ("colours", "emotion_histogram")])
            for image in images.images.take(np.arange(len(images)))
        ]
        expected[split] = np.stack(computed)
    for processes in (1, 3):
        monkeypatch.setenv("EMOTUNE_CACHE", str(tmp_path / f"cache{processes}"))
        torch.set_num_threads(processes)
        found = features(regression, "colours", "emotion_histogram")
        for split in SPLITS:
            np.testing.assert_array_equal(found[split], expected[split])
            assert found[split].dtype == np.float32


def test_sets_have_files_of_their_own_which_runs_share(
    regression: RunConfig, cache: Path, monkeypatch: pytest.MonkeyPatch
):
    one = features(regression, "colours")
    kept = files(cache)
    both = features(regression, "emotion_histogram", "colours")
    assert kept.items() < files(cache).items()
    width = len(feature_set("emotion_histogram").columns)
    np.testing.assert_array_equal(both["test"][:, width:], one["test"])
    monkeypatch.setattr(under_test, "_compute", None)  # nothing is left to compute
    again = features(regression, "colours", "emotion_histogram")
    np.testing.assert_array_equal(again["train"][:, -width:], both["train"][:, :width])


def test_features_that_do_not_fit_the_cache_are_the_same_and_are_not_kept(regression: RunConfig, cache: Path):
    kept, before = features(regression, "colours"), files(cache)
    for path in cache.glob("**/*-features.npy"):
        path.unlink()
    found = features(regression, "colours", resources=Resources(cache_gb=1e-6))
    assert before
    assert not files(cache)
    for split in SPLITS:
        np.testing.assert_array_equal(found[split], kept[split])


def test_progress_counts_each_image_once_and_knows_the_total(regression: RunConfig, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("emotune.training.progress_reporter.READING_REPORTED_AFTER_S", 0)
    for _ in range(2):  # also when all is there
        reported: list[RunProgress] = []
        features(regression, "colours", "emotion_histogram", on_progress=reported.append)
        assert reported[-1].evaluated == IMAGES
        assert {progress.to_read for progress in reported} == {IMAGES}
        done = [progress.evaluated for progress in reported]
        assert done == sorted(done)
        assert {progress.phase for progress in reported} == {"reading"}


def test_a_run_that_is_stopped_keeps_what_is_complete(
    regression: RunConfig, cache: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(under_test, "IMAGES_A_FILE", 8)
    asked = iter([False] * 5 + [True])
    with pytest.raises(InterruptedRunError):
        features(regression, "colours", stop=lambda: next(asked))
    kept = files(cache)
    assert 4 <= len(kept) < IMAGES // 8
    features(regression, "colours")
    assert kept.items() < files(cache).items()
    assert not list(cache.glob("**/*-features.part"))


def test_a_run_that_waits_for_another_can_be_stopped(
    regression: RunConfig, cache: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("emotune.core.child_process.IDLE_S", 0.1)
    features(regression, "colours")
    path = next(cache.glob("**/*-features.npy"))
    path.unlink()
    with FileLock(path.with_name(f"{path.name.removesuffix('-features.npy')}.lock")):
        asked = iter([False] * 3 + [True])
        with pytest.raises(InterruptedRunError):
            features(regression, "colours", stop=lambda: next(asked))
    assert not path.exists()


KILLED = """
import json, os, signal, sys
sys.path[:0] = sys.argv[2:]
from emotune.config.run import RunConfig
from emotune.training import handmade
from test_handmade import features
handmade.IMAGES_A_FILE = 8
lines = iter(range(6))
def stop():
    if next(lines) == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return False
features(RunConfig.from_json(json.loads(sys.argv[1])), "colours", stop=stop)
"""


def test_a_killed_run_leaves_what_is_complete_and_no_process(
    regression: RunConfig, cache: Path, monkeypatch: pytest.MonkeyPatch
):
    paths = [*sys.path, str(Path(__file__).parent)]
    command = [sys.executable, "-c", KILLED, json.dumps(regression.to_json()), *paths]
    done = subprocess.run(command, check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL
    kept = files(cache)
    assert 4 <= len(kept) < IMAGES // 8
    monkeypatch.setattr(under_test, "IMAGES_A_FILE", 8)
    features(regression, "colours")
    assert kept.keys() < files(cache).keys()
    assert not _processes(cache)
    assert not list(cache.glob("**/*-features.part"))


def _processes(cache: Path) -> list[str]:
    """The ids of processes that compute features for this cache; other tests may run beside."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or is another user's
            environment = (process / "environ").read_bytes().split(b"\0")
            if (
                b"handmade_worker" in (process / "cmdline").read_bytes()
                and f"EMOTUNE_CACHE={cache}".encode() in environment
            ):
                found.append(process.name)
    return found


def test_divisions_of_a_data_set_share_its_features(
    small_shards: Path, regression: RunConfig, cache: Path, tmp_path: Path
):
    trained(regression, tmp_path / "whole")
    kept = files(cache)
    for ref in resolve_datasets([Selection(data=str(small_shards), folds=2)]):
        divided = replace(regression, dataset=ref)
        record, predictions = trained(divided, tmp_path / "divided")
        assert record["reading"] == "features"
        images = open_split(ref, "test")
        assert predictions["sample_id"].tolist() == list(images.keys)
    assert files(cache) == kept


def test_a_process_that_meets_a_damaged_image_tells_which_one(
    small_shards: Path, regression: RunConfig, tmp_path: Path, cache: Path
):
    copied = shutil.copytree(small_shards, tmp_path / "copied")
    (ref,) = resolve_datasets([str(copied)])
    run = replace(regression, dataset=ref)
    samples = open_split(ref, "train", decoded=()).keys  # verified now
    shard = sorted(copied.glob("*train*.tar"))[0]
    data = bytearray(shard.read_bytes())
    place = data.index(b"\xff\xd8\xff") + 400
    data[place] ^= 0xFF
    shard.write_bytes(data)
    with pytest.raises(InputError, match="has changed since") as error:
        features(run, "colours")
    assert any(key in str(error.value) for key in samples)


@pytest.mark.parametrize(
    ("compute", "parts"),
    [
        (lambda image: np.array([1.0, np.nan], np.float32), ["group/second", "nan"]),
        (lambda image: np.array([-np.inf, 0.0], np.float32), ["group/first", "-inf"]),
        (lambda image: np.zeros(3, np.float32), ["3", "2"]),
        (lambda image: np.zeros(2, np.float32)[image.shape[0] :].max(), ["ValueError"]),
    ],
)
def test_an_error_names_set_column_and_image(compute: Callable[[np.ndarray], np.ndarray], parts: list[str]):
    broken = FeatureSet("broken", ("group/first", "group/second"), compute)
    with pytest.raises(InputError) as error:
        features_of(broken, np.zeros((4, 4, 3), np.uint8), "0123abcd")
    assert all(part in str(error.value) for part in ["broken", "0123abcd", *parts])


def test_both_models_are_fitted_to_several_sets(regression: RunConfig, tmp_path: Path):
    sets = ("colours", "emotion_histogram")
    for model in (LogisticConfig(features=sets), SvmConfig(features=sets, c_grid=(1.0,))):
        run = replace(regression, model=model)
        record, predictions = trained(run, tmp_path)
        assert record["reading"] == "features"
        assert {"scikit-image", "scikit-learn", "scipy"} <= record["origins"][0]["versions"].keys()
        assert np.isfinite(predictions.filter(like="logit_").to_numpy()).all()
        _, again = trained(replace(run, seed=1), tmp_path)
        pd.testing.assert_frame_equal(again, predictions, check_exact=True)


def test_the_record_tells_which_features_matter(regression: RunConfig, tmp_path: Path):
    run = replace(regression, model=LogisticConfig(features=("colours", "emotion_histogram")))
    record, _ = trained(run, tmp_path)
    found = record["fitted"]["importance"]
    assert list(found["groups"]) == ["colours/histogram", *(
        f"emotion_histogram/{group}" for group in dict.fromkeys(
            column.partition("/")[0] for column in feature_set("emotion_histogram").columns
        )
    )]  # fmt: skip
    assert found["images"] == found["validation_images"] == 49
    assert found["accuracy"] == pytest.approx(record["last_epoch"]["val_accuracy"], abs=1e-3)
    tuning = replace(run, tuning=True)
    tuned = train(tuning, RunDirectory(str(tmp_path), tuning), ALONE)
    assert tuned is not None
    assert "importance" not in tuned["fitted"]


def test_files_are_named_after_all_packages_that_feature_sets_import():
    modules = {
        (node.module or "").partition(".")[0] if isinstance(node, ast.ImportFrom) else name.name.partition(".")[0]
        for path in Path(sets.__path__[0]).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    }
    foreign = modules - sys.stdlib_module_names - {"emotune"}
    packages = packages_distributions()
    assert {packages[name][0].lower() for name in foreign} == set(under_test.LIBRARIES)
