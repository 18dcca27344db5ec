"""Runs that were never trained: the files that plans and reports read, with an accuracy that a test chooses."""

import io
import json

import numpy as np
import pandas as pd

from emotune.config.labels import MIKELS
from emotune.config.run import RunConfig
from emotune.runs.directory import METRICS, PREDICTIONS
from emotune.runs.store import RunStore

IMAGES = 200


def write_tuning_run(store: RunStore, run: RunConfig, accuracy: float, loss: float = 1.0) -> None:
    """Writes the directory of a finished tuning run.

    Args:
        store: The store of the runs.
        run: The run.
        accuracy: Its validation accuracy, in per cent.
        loss: Its validation loss.
    """
    directory = store.directory(run)
    directory.begin().release()
    epoch = {"epoch": run.train.epochs, "lr": 0.01, "train_loss": 1.0, "train_accuracy": 60.0, "val_loss": loss,
             "val_accuracy": accuracy, "train_s_so_far": 10.0}  # fmt: skip
    directory.folder.write(METRICS, (json.dumps(epoch) + "\n").encode())
    directory.finish({
        "run": run.id, "model": run.model.name, "dataset": run.dataset.name, "seed": run.seed,
        "selection": "last epoch", "selected_epoch": run.train.epochs, "last_epoch": epoch, "validation": epoch,
        "parameters": 1000, "forward_flops": 1e6, "train_images": 800,
        "durations_s": {"train": 10.0, "test": 0.0, "this_start": 10.0}, "images_per_s": 500.0, "workers": 1,
        "reading": "decoded", "numerics": {"precision": "float32"}, "initialisation": {}, "interruptions": 0,
        "hardware": {"machine": "none", "cpus": 1, "threads": 1, "gpu": None},
        "origins": [{"git": None, "versions": {"python": "made up"}}],
    })  # fmt: skip


def write_run(store: RunStore, run: RunConfig, accuracy: float) -> None:
    """Writes the directory of a finished run.

    Args:
        store: The store of the runs.
        run: The run.
        accuracy: Its test accuracy, in per cent and steps of half a point.
    """
    directory, rng = store.directory(run), np.random.default_rng([run.seed, len(run.variant)])
    targets = np.arange(IMAGES) % len(MIKELS)
    logits = rng.normal(0, 0.1, (IMAGES, len(MIKELS))).astype(np.float32)
    right = np.arange(IMAGES) < round(accuracy * IMAGES / 100)
    logits[np.arange(IMAGES), np.where(right, targets, (targets + 1) % len(MIKELS))] += 3
    ids = [f"{number:04d}" for number in range(IMAGES)]
    table = pd.DataFrame({"sample_id": ids, "target": np.array(MIKELS)[targets], "group": ids})
    buffer = io.BytesIO()
    table.assign(**{f"logit_{label}": logits[:, i] for i, label in enumerate(MIKELS)}).to_parquet(buffer, index=False)
    directory.folder.write(PREDICTIONS, buffer.getvalue())
    epoch = {"epoch": 1, "lr": 0.01, "train_loss": 1.0, "train_accuracy": 60.0, "val_loss": 1.0, "val_accuracy": 50.0,
             "train_s_so_far": 30.0}  # fmt: skip
    directory.folder.write(METRICS, (json.dumps(epoch) + "\n").encode())
    directory.finish({
        "run": run.id, "model": run.model.name, "dataset": run.dataset.name, "seed": run.seed,
        "selection": "last epoch", "selected_epoch": 1, "last_epoch": epoch, "parameters": 1000,
        "forward_flops": 1e6, "train_images": 800,
        "test_images": IMAGES, "accuracy": accuracy, "durations_s": {"train": 30.0, "test": 1.0, "this_start": 31.0},
        "images_per_s": 500.0, "workers": 1, "reading": "decoded", "numerics": {"precision": "float32"},
        "initialisation": {}, "interruptions": 0, "weights": {"sha256": "0" * 64},
        "hardware": {"machine": "none", "cpus": 1, "threads": 1, "gpu": None},
        "origins": [{"git": None, "versions": {"python": "made up"}}],
    })  # fmt: skip
