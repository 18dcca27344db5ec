"""Training of a small run as a whole, and of its first steps one by one."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from emotune.config.resources import Resources
from emotune.config.run import RunConfig
from emotune.data.mixing import make_mixing
from emotune.data.read.batches import Batch, Split, open_split
from emotune.runs.directory import METRICS, PREDICTIONS, RunDirectory
from emotune.training.distributed import World
from emotune.training.epoch_randomness import EpochRandomness, draw_randomness
from emotune.training.loop import train
from emotune.training.setup import load_or_init
from emotune.training.step import TrainState

ALONE = World(0, 1, torch.device("cpu"))

Undisturbed = Callable[[RunConfig], tuple[dict[str, Any], pd.DataFrame]]
"""The record and the predictions of a run that nothing disturbs, see the fixture of that name."""

ALL_STATE = {"label_smoothing": 0.1, "class_weights": "balanced", "clip_norm": 1.0, "ema_decay": 0.8}
"""Settings of `TrainConfig` that steps keep something for, or that have a say in the gradient."""

AUGMENTED = {"crop": "resized", "augment": "randaugment", "random_erasing": 0.5, "mixup": 0.4, "cutmix": 1.0}
"""Settings of `TrainConfig` with which each image or batch is drawn for."""


def trained(run: RunConfig, pool: Path, **options: Any) -> tuple[dict[str, Any], pd.DataFrame]:
    """The record and the predictions."""
    record = train(run, RunDirectory(str(pool), run), ALONE, **options)
    return record, pd.read_parquet(pool / run.id / PREDICTIONS)


def history(pool: Path, run: RunConfig) -> list[dict[str, Any]]:
    """What the run noted after each epoch."""
    return [json.loads(line) for line in (pool / run.id / METRICS).read_text().splitlines()]


def without_times(record: dict[str, Any]) -> dict[str, Any]:
    kept = {k: v for k, v in record.items() if k not in ("durations_s", "images_per_s", "interruptions", "last_epoch")}
    kept["files"] = {name: size for name, size in record["files"].items() if name != "metrics.jsonl"}  # it has times
    return kept | {"last_epoch": {k: v for k, v in record["last_epoch"].items() if k != "train_s_so_far"}}


def changed(run: RunConfig, *, dropout: float | None = None, **settings: Any) -> RunConfig:
    """The run with other settings of its training, and of its dropout."""
    model = run.model if dropout is None else replace(run.model, dropout=dropout)
    return replace(run, model=model, train=replace(run.train, **settings))


def first(split: Split, count: int) -> Split:
    """The split's first images."""
    fields = {name: getattr(split, name)[:count] for name in ("keys", "targets", "votes", "groups")}
    return replace(split, **fields)


@dataclass(frozen=True)
class Start:
    """A run before its first step."""

    state: TrainState
    images: Split
    randomness: EpochRandomness
    batches: Iterator[Batch]


def start(
    run: RunConfig, world: World = ALONE, resources: Resources = Resources(), split: Split | None = None
) -> Start:
    """Begins a run that no directory keeps."""
    split = split or open_split(run.dataset, "train", run.input)
    state, _ = load_or_init(run, RunDirectory("memory://none", run), world, resources, split)
    state.network.train()
    mixing = make_mixing(run.train, run.stream("augment"), run.input.side)
    order = {"seed": run.stream("order"), "epoch": 0, "mixing": mixing}
    batches = split.training_batches(run.train.batch_size, **order, rank=world.rank, world_size=world.size)
    return Start(state, split, draw_randomness(run, 0, len(split)), batches)


def gradient(state: TrainState) -> torch.Tensor:
    """Of all parameters, as one vector."""
    return torch.cat([parameter.grad.flatten() for parameter in state.network.parameters()])


def weights(network: torch.nn.Module) -> torch.Tensor:
    """All parameters, as one vector."""
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()]).clone()
