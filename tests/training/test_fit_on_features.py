"""Logistic regression on a frozen backbone: a head's features, from the same files, with every way of a run."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from running import history, trained, without_times
from trunks import config

from emotune.config.input_spec import InputSpec
from emotune.config.model import LogisticConfig
from emotune.config.resources import Resources
from emotune.config.run import RunConfig
from emotune.config.train import TrainConfig
from emotune.models.cost import cost
from emotune.runs.directory import RECORD, WEIGHTS
from emotune.training import features as under_test
from emotune.training.loop import InterruptedRunError

SEEN = InputSpec(side=64, resize=72)
VIEWS = TrainConfig(views=3, crop="resized", augment="trivialaugment", random_erasing=0.5, test_crops=5)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder without features."""
    monkeypatch.setenv("EMOTUNE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def regression(run: RunConfig) -> RunConfig:
    model = LogisticConfig(backbone=config().backbone, c_grid=(0.1, 10.0))
    return replace(run, variant="logistic", model=model, train=TrainConfig(), input=SEEN)


def files(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.glob("**/*-features.npy"))


@pytest.mark.parametrize("train", [TrainConfig(), VIEWS], ids=["centre crop", "views"])
@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_the_features_are_those_of_a_head(
    regression: RunConfig,
    pooling: str,
    train: TrainConfig,
    tmp_path: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    head = replace(regression, model=config(pooling, tune="head"), train=replace(train, epochs=1))
    trained(head, tmp_path)
    kept = files(cache)
    monkeypatch.setattr(under_test.FeatureSource, "_computation", None)  # nothing is left to compute
    run = replace(regression, model=replace(regression.model, pooling=pooling), train=train)
    record, predictions = trained(run, tmp_path)
    assert files(cache) == kept
    assert record["train_images"] == 72
    assert record["fitted"]["c"] in (0.1, 10.0)
    assert (record["parameters"], record["forward_flops"]) == (
        (of := cost(head.model, 8, SEEN)).parameters, of.forward_flops
    )  # fmt: skip
    assert not (tmp_path / run.id / WEIGHTS).exists()
    (entry,) = history(tmp_path, run)
    assert entry["train_accuracy"] > 15
    logits = torch.from_numpy(predictions.filter(like="logit_").to_numpy().copy())
    torch.testing.assert_close(logits.exp().sum(1), torch.ones(len(logits)))


@pytest.mark.parametrize("train", [TrainConfig(precision="bf16"), VIEWS], ids=["centre crop", "views"])
def test_features_that_do_not_fit_the_cache_give_the_same_bits(
    regression: RunConfig, train: TrainConfig, tmp_path: Path, cache: Path
):
    run = replace(regression, train=train)
    _, kept = trained(run, tmp_path / "kept")
    before = files(cache)
    record, computed = trained(run, tmp_path / "computed", resources=Resources(cache_gb=0))
    pd.testing.assert_frame_equal(computed, kept, check_exact=True)
    assert files(cache) == before
    assert record["reading"] == "features"


def test_neither_threads_nor_an_interruption_change_the_result(regression: RunConfig, tmp_path: Path):
    record, expected = trained(regression, tmp_path / "a")
    asked = iter([False] * 4 + [True] * 9)
    with pytest.raises(InterruptedRunError):
        trained(regression, tmp_path / "b", stop=lambda: next(asked))
    assert not (tmp_path / "b" / regression.id / RECORD).exists()
    torch.set_num_threads(2)
    again, predictions = trained(regression, tmp_path / "b")
    pd.testing.assert_frame_equal(predictions, expected, check_exact=True)
    for one in (record, again):
        del one["hardware"]["threads"]
    assert without_times(again) == without_times(record)
