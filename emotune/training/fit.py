"""Runs of baselines, which are fitted with a single call: they leave the same files as networks, except weights.

There are no checkpoints: a run that is stopped starts again. Every rank does the same work and rank 0 writes. The
result does not depend on the seed.
"""

import json
import time
from collections.abc import Callable
from contextlib import closing
from functools import cache, partial

import numpy as np
import torch
import torch.nn.functional as F

from emotune.config.head_training import as_network
from emotune.config.resources import EVALUATION_BATCH_SIZE, Resources
from emotune.config.run import RunConfig
from emotune.data.read.batches import Split
from emotune.models.baselines.baseline import ImageBaseline
from emotune.models.baselines.build import make_baseline
from emotune.models.baselines.logistic import Logistic
from emotune.models.cost import Cost, cost
from emotune.runs.directory import METRICS
from emotune.runs.predictions import accuracy
from emotune.runs.progress import Phase, RunProgress
from emotune.runs.record import EpochMetrics, RunRecord
from emotune.training.evaluate import Outputs, average_logits
from emotune.training.features import features_opener
from emotune.training.precision import numerics_record
from emotune.training.progress import Progress
from emotune.training.provenance import code_origin
from emotune.training.record import make_record, reading_mode, write_predictions
from emotune.training.setup import InterruptedRunError, RunSession, load_or_init, split_opener

__all__ = ["fit"]


def fit(
    run: RunConfig,
    session: RunSession,
    resources: Resources,
    on_progress: Callable[[RunProgress], None],
    stop: Callable[[], bool],
) -> RunRecord | None:
    """Fits a run's baseline on its training and validation images, tests it, and writes predictions and record.

    The model gets images of 256×256 pixels, without crops and flips, or the features of a frozen backbone. The
    arguments, the result and the errors are those of `emotune.training.loop.train`, which calls this.
    """
    started = time.perf_counter()
    # Each image is used once, in stored order.
    open_images: Callable[[str], Split] = cache(split_opener(run, resources, "shards", on_progress))
    train, progress = open_images("train"), Progress()
    model = make_baseline(run.model, len(train.classes))
    costs = None
    if isinstance(model, Logistic):
        network = as_network(run)
        state, progress = load_or_init(network, session.directory, session.world, resources, train)
        open_images = features_opener(run, state, session, resources, on_progress, stop, open_images, once=True)
        train, costs = open_images("train"), cost(network.model, len(train.classes), run.input)
    val = open_images("val")
    images = len(train) + len(val)

    def report(phase: Phase, evaluated: int) -> None:
        done = evaluated if phase == "training" else images
        on_progress(RunProgress(run.id, 1, 1, done / (images + 1), phase=phase, evaluated=evaluated))
        if session.must_stop(stop()):
            raise InterruptedRunError(f"{run.id} was stopped; it will start again from the beginning")

    def rows(split: Split, phase: Phase, before: int = 0) -> list[np.ndarray]:
        """The features of a split's images in each of their views."""
        if isinstance(model, Logistic):
            report(phase, before + len(split))
            return _pooled(split)
        return [_features(model, split, lambda evaluated: report(phase, before + evaluated))]

    train_views, (val_features,) = rows(train, "training"), rows(val, "training", len(train))
    train_features, targets = np.concatenate(train_views), np.tile(train.targets, len(train_views))
    fitted = model.fit(train_features, targets, val_features, val.targets, partial(report, "validating", images))
    train_logits, val_logits = model.log_probabilities(train_features), model.log_probabilities(val_features)
    train_end = time.perf_counter()
    metrics: EpochMetrics = {
        "epoch": 1,
        "lr": None,
        "train_loss": _cross_entropy(targets, train_logits),
        "train_accuracy": accuracy(targets, train_logits),
        "val_loss": _cross_entropy(val.targets, val_logits),
        "val_accuracy": accuracy(val.targets, val_logits),
        "train_s_so_far": round(train_end - started, 3),
    }
    progress.epoch, progress.seen, progress.train_s, progress.history = 1, len(train), train_end - started, [metrics]
    progress.notes += fitted.pop("notes", [])
    test = open_images("test")  # the only use of these images
    logits = [torch.from_numpy(model.log_probabilities(one)) for one in rows(test, "testing")]
    outputs = Outputs(average_logits(logits).numpy(), {})
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
        run, session.world, progress, train, durations_s, costs or Cost(model.parameters, None),
        test_images=len(test), accuracy=accuracy(test.targets, outputs.logits),
    )  # fmt: skip
    if fitted:
        record["fitted"] = fitted
    return session.finish(record)


def _pooled(split: Split) -> list[np.ndarray]:
    """The features of all images of a split in each view, float32 (N, F), as a frozen backbone gives them."""
    reader = split.features
    assert reader is not None  # the opener of features gives them
    views = range(len(reader.arrays))
    return [reader.take(np.arange(len(split)), view)[0].flatten(1).float().numpy() for view in views]


def _features(model: ImageBaseline, split: Split, on_batch: Callable[[int], None]) -> np.ndarray:
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


def _cross_entropy(targets: np.ndarray, logits: np.ndarray) -> float:
    return F.cross_entropy(torch.from_numpy(logits), torch.from_numpy(targets)).item()
