"""A small run, calculated by one thread: a few milliseconds a step, and the same bits each time."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from running import Undisturbed, trained

from emotune.config.model import AlexNetConfig
from emotune.config.run import RunConfig, Selection
from emotune.config.train import TrainConfig
from emotune.data.datasets.resolve import resolve_datasets


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def run(small_shards: Path) -> RunConfig:
    """10 steps on 72 images."""
    (dataset,) = resolve_datasets([Selection(data=str(small_shards))])
    model = AlexNetConfig(width=0.0625, weight_init="he", dropout=0.3)
    settings = TrainConfig(epochs=2, batch_size=16, lr=0.005)
    return RunConfig(variant="alexnet", dataset=dataset, seed=0, model=model, train=settings)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """Trains a run from beginning to end, once for all tests that ask for it; nobody may change its results."""
    results: dict[str, tuple[dict[str, Any], pd.DataFrame]] = {}

    def undisturbed(run: RunConfig) -> tuple[dict[str, Any], pd.DataFrame]:
        if run.id not in results:
            results[run.id] = trained(run, tmp_path_factory.mktemp("undisturbed"))
        return results[run.id]

    return undisturbed
