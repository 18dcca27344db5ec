"""Runs of the model of blocks: what they read, and what they do not depend on."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from other_sets import Given, altered, samples_of, write_entries
from PIL import ImageOps
from running import ALONE, history, trained

from emotune.config.labels import MIKELS
from emotune.config.model import BlocksConfig
from emotune.config.resources import Resources
from emotune.config.run import RunConfig, Selection
from emotune.config.train import TrainConfig
from emotune.core.errors import InputError
from emotune.data.datasets.resolve import resolve_datasets
from emotune.data.manifest import SPLITS
from emotune.data.read.batches import Split, open_split
from emotune.data.sources.base import Entry
from emotune.models.baselines.blocks.blocks import Blocks
from emotune.models.handmade.local_descriptors import local_descriptors
from emotune.runs.directory import RunDirectory
from emotune.training.block_words import word_rows
from emotune.training.setup import RunSession

MODEL = BlocksConfig(step=32, words=30, topics=5, c_grid=(0.01, 0.1))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder without descriptors."""
    monkeypatch.setenv("EMOTUNE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def blocks(run: RunConfig) -> RunConfig:
    return replace(run, variant="blocks", model=MODEL, train=TrainConfig())


def rows_of(run: RunConfig) -> tuple[Blocks, Callable[[str, Callable[[int], None]], list[np.ndarray]]]:
    """A model, and the function that gives the words of its images."""
    assert isinstance(run.model, BlocksConfig)
    model = Blocks(run.model, 8, seed=5)
    session = RunSession(RunDirectory("memory://none", run), ALONE)

    def opened(name: str) -> Split:
        return open_split(run.dataset, name, decoded=())

    return model, word_rows(run, model, opened, session, Resources(), lambda progress: None, lambda: False)


def words_of(run: RunConfig) -> tuple[Blocks, dict[str, np.ndarray]]:
    """A model with its vocabulary, and the words of all images by split."""
    model, rows = rows_of(run)
    return model, {split: rows(split, lambda images: None)[0] for split in SPLITS}


def test_words_are_those_of_the_images_and_descriptors_are_kept_in_float16(blocks: RunConfig, cache: Path) -> None:
    model, words = words_of(blocks)
    for split, found in words.items():
        images = open_split(blocks.dataset, split)
        described = np.stack([local_descriptors(image, 32) for image in images.images.take(np.arange(len(images)))])
        np.testing.assert_array_equal(found, model.words(described.reshape(len(images), -1)))
        assert found.dtype == np.uint16
        assert found.shape == (len(images), 49)
    kept = list(cache.glob("**/*-features.npy"))
    assert sum(np.load(path)["features"].shape[0] for path in kept) == sum(map(len, words.values()))
    assert {np.load(path)["features"].dtype for path in kept} == {np.dtype(np.float16)}


def test_a_run_does_not_depend_on_threads_or_on_room_in_the_cache(blocks: RunConfig, tmp_path: Path) -> None:
    record, expected = trained(blocks, tmp_path / "one")
    assert record["reading"] == "features"
    assert record["fitted"]["c"] in MODEL.c_grid
    assert {"scikit-image", "scikit-learn"} <= record["origins"][0]["versions"].keys()
    logits = expected.filter(like="logit_").to_numpy()
    np.testing.assert_allclose(np.exp(logits.astype(float)).sum(1), 1, atol=1e-4)
    torch.set_num_threads(2)
    _, threads = trained(blocks, tmp_path / "two")
    pd.testing.assert_frame_equal(threads, expected)
    _, no_room = trained(blocks, tmp_path / "three", resources=Resources(cache_gb=1e-6))
    pd.testing.assert_frame_equal(no_room, expected)


def test_a_run_depends_on_the_seed_and_a_replicate_is_another_draw(blocks: RunConfig, tmp_path: Path) -> None:
    predictions = [
        trained(run, tmp_path)[1].filter(like="logit_").to_numpy()
        for run in (blocks, replace(blocks, seed=1), replace(blocks, replicate=1))
    ]
    assert not np.array_equal(predictions[0], predictions[1])
    assert not np.array_equal(predictions[0], predictions[2])


def test_nothing_is_learned_from_test_images(small_shards: Path, blocks: RunConfig, tmp_path: Path) -> None:
    """With other test images the fit is the same to the last bit."""
    fitted, tested = [], []
    for number, alter in enumerate((ImageOps.mirror, ImageOps.invert)):
        entries = [
            Entry(f"{split} {one.key}", one.label, {}, Given(altered(one, alter) if split == "test" else one.jpg),
                  one.key, split=split)
            for split in SPLITS
            for one in samples_of(small_shards, split)
        ]  # fmt: skip
        folder = tmp_path / f"data{number}"
        write_entries(folder, "photos", MIKELS, entries)
        (ref,) = resolve_datasets([Selection(data=str(folder))])
        run = replace(blocks, dataset=ref)
        record, predictions = trained(run, tmp_path / f"runs{number}")
        (entry,) = history(tmp_path / f"runs{number}", run)
        fitted.append((record["fitted"], {name: entry[name] for name in ("train_loss", "val_loss", "val_accuracy")}))
        tested.append(predictions.filter(like="logit_").to_numpy())
    assert fitted[0] == fitted[1]
    assert not np.array_equal(*tested)


def test_words_are_learned_from_training_images(blocks: RunConfig) -> None:
    with pytest.raises(ValueError, match="training"):
        rows_of(blocks)[1]("val", lambda images: None)


def test_a_division_has_the_words_of_its_own_images_and_shares_descriptors(
    small_shards: Path, blocks: RunConfig, cache: Path
) -> None:
    words_of(blocks)
    kept = {path.name for path in cache.glob("**/*-features.npy")}
    for ref in resolve_datasets([Selection(data=str(small_shards), folds=2)]):
        model, words = words_of(replace(blocks, dataset=ref))
        images = open_split(ref, "test")
        described = np.stack([local_descriptors(image, 32) for image in images.images.take(np.arange(len(images)))])
        np.testing.assert_array_equal(words["test"], model.words(described.reshape(len(images), -1)))
    assert {path.name for path in cache.glob("**/*-features.npy")} == kept


def test_too_many_words_are_an_error_that_names_them(blocks: RunConfig, tmp_path: Path) -> None:
    model = replace(MODEL, words=9000, topics=5)
    with pytest.raises(InputError, match="words: 9000"):
        trained(replace(blocks, model=model), tmp_path)
