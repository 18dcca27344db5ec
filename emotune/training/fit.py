"""Runs of baselines, which are fitted with a single call: they leave the same files as networks, except weights.

There are no checkpoints: a run that is stopped starts again. Every rank does the same work and rank 0 writes. The
result does not depend on the seed.
"""

import json
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F

from emotune.config.resources import EVALUATION_BATCH_SIZE, Resources
from emotune.config.run import RunConfig
from emotune.data.read.batches import Split
from emotune.models.baselines.build import Baseline, make_baseline
from emotune.models.cost import Cost
from emotune.runs.directory import METRICS
from emotune.runs.predictions import accuracy
from emotune.runs.progress import Phase, RunProgress
from emotune.runs.record import EpochMetrics, RunRecord
from emotune.training.evaluate import Outputs
from emotune.training.precision import numerics_record
from emotune.training.progress import Progress
from emotune.training.provenance import code_origin
from emotune.training.record import make_record, reading_mode, write_predictions
from emotune.training.setup import InterruptedRunError, RunSession, split_opener

__all__ = ["fit"]


def fit(
    run: RunConfig,
    session: RunSession,
    resources: Resources,
    on_progress: Callable[[RunProgress], None],
    stop: Callable[[], bool],
) -> RunRecord | None:
    """Fits a run's baseline on its training and validation images, tests it, and writes predictions and record.

    The model gets images of 256×256 pixels, without crops and flips. The arguments, the result and the errors
    are those of `emotune.training.loop.train`, which calls this.
    """
    started = time.perf_counter()
    open_images = split_opener(run, resources, "shards", on_progress)  # each image is used once, in stored order
    train, val = open_images("train"), open_images("val")
    model, images = make_baseline(run.model, len(train.classes)), len(train) + len(val)

    def report(phase: Phase, evaluated: int) -> None:
        done = evaluated if phase == "training" else images
        on_progress(RunProgress(run.id, 1, 1, done / (images + 1), phase=phase, evaluated=evaluated))
        if session.must_stop(stop()):
            raise InterruptedRunError(f"{run.id} was stopped; it will start again from the beginning")

    def features(split: Split, phase: Phase, before: int = 0) -> np.ndarray:
        return _features(model, split, lambda evaluated: report(phase, before + evaluated))

    train_features, val_features = features(train, "training"), features(val, "training", len(train))
    fitted = model.fit(train_features, train.targets, val_features, val.targets, partial(report, "validating", images))
    train_logits, val_logits = model.log_probabilities(train_features), model.log_probabilities(val_features)
    train_end = time.perf_counter()
    metrics: EpochMetrics = {
        "epoch": 1,
        "lr": None,
        "train_loss": _cross_entropy(train, train_logits),
        "train_accuracy": accuracy(train.targets, train_logits),
        "val_loss": _cross_entropy(val, val_logits),
        "val_accuracy": accuracy(val.targets, val_logits),
        "train_s_so_far": round(train_end - started, 3),
    }
    progress = Progress(epoch=1, seen=len(train), train_s=train_end - started, history=[metrics])
    test = open_images("test")  # the only use of these images
    outputs = Outputs(model.log_probabilities(features(test, "testing")), {})
    session.check_lease()
    if not session.world.is_main:
        return None
    folder = session.directory.folder
    progress.add_provenance(
        origin=code_origin(folder), reading=reading_mode(train, run.train.order),
        numerics=numerics_record(run.train, resources, session.world.device),
    )  # fmt: skip
    folder.write(METRICS, (json.dumps(metrics) + "\n").encode())
    write_predictions(folder, run, test, outputs)
    now = time.perf_counter()
    durations_s = {"train": progress.train_s, "test": now - train_end, "this_start": now - started}
    record = make_record(
        run, session.world, progress, train, durations_s, Cost(model.parameters, None),
        test_images=len(test), accuracy=accuracy(test.targets, outputs.logits),
    )  # fmt: skip
    if fitted:
        record["fitted"] = fitted
    return session.finish(record)


def _features(model: Baseline, split: Split, on_batch: Callable[[int], None]) -> np.ndarray:
    """The features of all images of a split, in its order: float32 (N, F)."""
    rows: dict[int, np.ndarray] = {}
    with closing(split.evaluation_batches(EVALUATION_BATCH_SIZE)) as batches:
        for batch in batches:
            rows |= {
                int(index): model.features(image.numpy())
                for index, image in zip(batch.indices, batch.images, strict=True)
            }
            on_batch(len(rows))
    return np.stack([rows[index] for index in range(len(split))])


def _cross_entropy(split: Split, logits: np.ndarray) -> float:
    return F.cross_entropy(torch.from_numpy(logits), torch.from_numpy(split.targets)).item()
