"""Runs on ratings: two ranks compute what one does, an interrupted run continues to the same, and mixing is linear."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ranks import start_ranks
from rated import rated_scenes
from running import ALONE, changed, gradient, history, start, trained, without_times

from emotune.analysis.rating_arrays import predicted_of, with_unit_ratings
from emotune.analysis.rating_metrics import rating_metrics
from emotune.config.losses import CccLoss, MseLoss
from emotune.config.resources import Resources
from emotune.config.run import RunConfig
from emotune.core.storage import Folder
from emotune.data.build.shards import write_shards
from emotune.data.datasets.resolve import resolve_datasets
from emotune.data.mixing import Mixture
from emotune.data.read.batches import open_split
from emotune.training.distributed import World, connect, open_rendezvous
from emotune.training.step import backward
from emotune.training.tasks import task_of
from emotune.training.validation_score import validation_score

CASES: dict[str, dict[str, Any]] = {
    "ccc": {"loss": CccLoss(), "batch_size": 9},
    "mixed": {"loss": CccLoss(), "batch_size": 8, "mixup": 0.5},
    "a rank without images": {"loss": CccLoss(), "batch_size": 1},
    "mse": {"loss": MseLoss(), "batch_size": 7},
}


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("rated-runs")
    write_shards(rated_scenes(64), Folder(str(folder)))
    return folder


@pytest.fixture
def rated(run: RunConfig, shards: Path) -> RunConfig:
    (dataset,) = resolve_datasets([str(shards)])
    return changed(replace(run, dataset=dataset), dropout=0.0, loss=CccLoss(), lr=0.001, clip_norm=1.0)


def first_gradient(run: RunConfig, world: World) -> tuple[list[float], torch.Tensor]:
    begun = start(run, world)
    measured = backward(begun.state, next(begun.batches), begun.randomness).tolist()
    return measured, gradient(begun.state).clone()


def _rank(rank: int, port: int, run_json: dict[str, Any], out: str) -> None:
    torch.set_num_threads(1)
    run = RunConfig.from_json(run_json)
    with connect(rank, 2, gpu=False, store=open_rendezvous("127.0.0.1", port)) as world:
        measured = {name: first_gradient(changed(run, **case), world) for name, case in CASES.items()}
    torch.save(measured, f"{out}/{rank}.pt")


def test_two_ranks_compute_the_loss_and_the_gradient_of_one(rated, tmp_path):
    store = open_rendezvous("127.0.0.1")
    start_ranks(_rank, (store.port, rated.to_json(), str(tmp_path)), 2)
    for name, case in CASES.items():
        (loss, correct), expected = first_gradient(changed(rated, **case), ALONE)
        for rank in range(2):
            (other, _), found = torch.load(tmp_path / f"{rank}.pt", weights_only=False)[name]
            assert other == pytest.approx(loss, rel=1e-4), name
            scale = float(expected.abs().max())
            np.testing.assert_allclose(found, expected, rtol=0, atol=2e-4 * scale + 1e-9, err_msg=name)
        assert correct == 0


def test_a_finished_run_repeats_to_the_bit_and_ratings_are_tested_on_their_own_scales(rated, tmp_path):
    (record, first), (again, second) = (trained(rated, tmp_path / name, resources=Resources()) for name in "ab")
    assert without_times(record) == without_times(again) and first.equals(second)
    assert first["true_valence"].between(1, 7).all() and first["true_arousal"].max() > 10
    assert "target" not in first and not [name for name in first if name.startswith("logit_")]


def test_the_target_of_mixed_images_is_the_mean_of_their_ratings(rated):
    begun = start(rated)
    objective = task_of(rated).objective(begun.images, rated.train, ALONE)
    own, partners = np.array([0, 1, 2]), np.array([3, 4, 5])
    mixed = objective.of(own, Mixture(partners, 0.7))
    expected = 0.7 * begun.images.targets[own] + 0.3 * begun.images.targets[partners]
    np.testing.assert_allclose(mixed.target_probs, expected, rtol=1e-6)
    assert mixed.weights.tolist() == pytest.approx([1, 1, 1])


@pytest.mark.parametrize("metric", ["rmse", "ccc_arousal"])
def test_dimensions_are_tested_at_the_epoch_whose_validation_is_best_by_the_metric(rated, metric, tmp_path):
    best = changed(replace(rated, select="best_val", select_by=metric), epochs=4, lr=0.01, schedule="constant")
    record, predictions = trained(best, tmp_path)
    scores = [line["val_score"] for line in history(tmp_path, best)]
    assert record["selected_epoch"] == 1 + scores.index((min if metric == "rmse" else max)(scores))
    test = open_split(rated.dataset, "test")
    unit = with_unit_ratings(predictions, rated.dataset.dimensions)
    known = {name: value for name, value in rating_metrics(unit).items() if name != "ccc_dominance"}
    found = {name: validation_score(name, test, predicted_of(unit)) for name in known}
    assert found == pytest.approx(known, abs=1e-5)
