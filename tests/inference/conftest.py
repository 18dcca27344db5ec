"""Finished runs of a few steps, and the test images that they were tested on, as files."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
import torch

from emotune.config.model import AlexNetConfig, AttentionConfig, DualBranchConfig, MldrConfig, ModelConfig
from emotune.config.run import RunConfig, Selection
from emotune.config.train import TrainConfig
from emotune.data.datasets.resolve import resolve_datasets
from emotune.data.shard_reader import read_samples
from emotune.runs.directory import ATTENTION, PREDICTIONS, RunDirectory
from emotune.training.distributed import World
from emotune.training.loop import train

NARROW = {"width": 0.0625, "weight_init": "he"}


@dataclass(frozen=True)
class Finished:
    """A finished run's folder, its predictions for its test images, and its attention weights."""

    folder: str
    predictions: pd.DataFrame
    attention: pd.DataFrame | None


@pytest.fixture(scope="session")
def finished_run(small_shards: Path, tmp_path_factory):
    """Trains one epoch of a model, once for all tests."""
    pool, finished_runs = tmp_path_factory.mktemp("pool"), {}
    (dataset,) = resolve_datasets([Selection(data=str(small_shards))])

    def finished(model: ModelConfig, **settings) -> Finished:
        settings = TrainConfig(**{"epochs": 1, "batch_size": 16, "lr": 0.005} | settings)
        run = RunConfig(variant="v", dataset=dataset, seed=0, model=model, train=settings)
        if run.id not in finished_runs:
            train(run, RunDirectory(str(pool), run), World(0, 1, torch.device("cpu")))
            folder = pool / run.id
            attention = pd.read_parquet(folder / ATTENTION) if (folder / ATTENTION).exists() else None
            finished_runs[run.id] = Finished(str(folder), pd.read_parquet(folder / PREDICTIONS), attention)
        return finished_runs[run.id]

    return finished


@pytest.fixture(scope="session")
def attending(finished_run) -> Finished:
    return finished_run(AttentionConfig(**NARROW))


@pytest.fixture(scope="session")
def test_images(small_shards: Path, attending: Finished, tmp_path_factory) -> dict[str, Path]:
    """The images that runs were tested on, by sample id."""
    folder, files = tmp_path_factory.mktemp("images"), {}
    wanted = set(attending.predictions["sample_id"])
    for shard in small_shards.glob("*.tar"):
        for sample in read_samples(shard.read_bytes(), shard.name):
            if sample.key in wanted:
                files[sample.key] = folder / f"{sample.key}.jpg"
                files[sample.key].write_bytes(sample.jpg)
    assert set(files) == wanted
    return files


@pytest.fixture(params=["attention", "ten crops", "both branches", "mldr", "regression"])
def any_run(request, finished_run) -> Finished:
    models = {
        "attention": (AttentionConfig(**NARROW), {}),
        # With the rate of the others this one diverges at once, to logits of 1e13: a sum over the positions has larger
        # gradients than a mean. In float32 no two libraries agree about such weights.
        "ten crops": (AttentionConfig(**NARROW, score="tanh", output="sum"), {"test_crops": 10, "lr": 0.0001}),
        "both branches": (DualBranchConfig(**NARROW, attention="both"), {}),
        "mldr": (MldrConfig(**NARROW), {}),
        "regression": (AlexNetConfig(**NARROW), {"loss": "cnnr", "lr": 0.001}),
    }
    model, settings = models[request.param]
    return finished_run(model, **settings)
