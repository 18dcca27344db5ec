"""Runs of models that are fitted at once: they leave the same files as networks do, but no weights.

They have no checkpoints: a run that is stopped takes its minutes again. Every rank does the same work, rank 0 writes;
their result does not depend on the seed.
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
from emotune.data.read.batches import Split, open_split
from emotune.data.read.open_dataset import decoded_shards
from emotune.models.baselines.build import Baseline, make_baseline
from emotune.models.cost import Cost
from emotune.runs.directory import METRICS
from emotune.runs.progress import Phase, RunProgress
from emotune.runs.record import EpochMetrics, RunRecord
from emotune.training.checkpoint import Progress
from emotune.training.evaluate import Outputs
from emotune.training.precision import numerics_record
from emotune.training.progress_reporter import reading_reporter
from emotune.training.provenance import code_origin
from emotune.training.record import make_record, reading_mode, write_predictions
from emotune.training.setup import InterruptedRunError, RunSession

__all__ = ["fit"]


def fit(
    run: RunConfig,
    work: RunSession,
    resources: Resources,
    on_progress: Callable[[RunProgress], None],
    stop: Callable[[], bool],
) -> RunRecord | None:
    """Fits a run's model on its training images, chooses on val, and says what it says of the test images.

    It sees the images as they are kept, 256×256: no crops, no mirror images. Arguments, result and errors are those
    of `emotune.training.loop.train`, of which this is a part.
    """
    started = time.perf_counter()
    order, cache_gb = "shards", resources.cache_gb  # each image is seen once, in their order
    opened = partial(
        open_split, run.dataset, decoded=decoded_shards(run.dataset, cache_gb, order), order=order, cache_gb=cache_gb,
        threads=torch.get_num_threads(), advance=reading_reporter(run, on_progress),
    )  # fmt: skip
    train, val = opened("train"), opened("val")
    model, count = make_baseline(run.model, len(train.classes)), len(train) + len(val)

    def tell(phase: Phase, seen: int) -> None:
        done = seen if phase == "training" else count
        on_progress(RunProgress(run.id, 1, 1, done / (count + 1), phase=phase, evaluated=seen))

    def look(split: Split, phase: Phase, before: int = 0) -> np.ndarray:
        return _features(model, split, lambda seen: _go_on(run, work, stop, partial(tell, phase, before + seen)))

    seen, seen_val = look(train, "training"), look(val, "training", len(train))
    outcome = model.fit(
        seen, train.targets, seen_val, val.targets, lambda: _go_on(run, work, stop, partial(tell, "validating", count))
    )
    train_loss, train_accuracy = _loss_and_accuracy(train, model.log_probabilities(seen))
    val_loss, val_accuracy = _loss_and_accuracy(val, model.log_probabilities(seen_val))
    fitted = time.perf_counter()
    entry: EpochMetrics = {
        "epoch": 1, "lr": None, "train_loss": train_loss, "train_accuracy": train_accuracy,
        "val_loss": val_loss, "val_accuracy": val_accuracy, "train_s_so_far": round(fitted - started, 3),
    }  # fmt: skip
    progress = Progress(epoch=1, seen=len(train), train_s=fitted - started, history=[entry])
    test = opened("test")  # the first and only use of these images
    outputs = Outputs(model.log_probabilities(look(test, "testing")), {})
    work.check_lease()
    if not work.world.is_main:
        return None
    folder = work.directory.folder
    progress.note(
        origin=code_origin(folder), reading=reading_mode(train, run.train.order),
        numerics=numerics_record(run.train, resources, work.world.device),
    )  # fmt: skip
    folder.write(METRICS, (json.dumps(entry) + "\n").encode())
    write_predictions(folder, run, test, outputs)
    now = time.perf_counter()
    durations_s = {"train": progress.train_s, "test": now - fitted, "this_start": now - started}
    record = make_record(
        run, work.world, progress, train, durations_s, Cost(model.parameters, None),
        test_images=len(test), accuracy=_loss_and_accuracy(test, outputs.logits)[1],
    )  # fmt: skip
    if outcome:
        record["fitted"] = outcome
    return work.finish(record)


def _go_on(run: RunConfig, work: RunSession, stop: Callable[[], bool], tell: Callable[[], None]) -> None:
    """Tells how far it is.

    Raises:
        InterruptedRunError: the run is to stop.
    """
    tell()
    if work.must_stop(stop()):
        raise InterruptedRunError(f"{run.id} was stopped; it begins anew")


def _features(model: Baseline, split: Split, seen: Callable[[int], None]) -> np.ndarray:
    """Of all images of a split, in its order: float32 (N, F)."""
    rows: dict[int, np.ndarray] = {}
    with closing(split.evaluation_batches(EVALUATION_BATCH_SIZE)) as batches:
        for batch in batches:
            rows |= {
                int(index): model.features(image.numpy())
                for index, image in zip(batch.indices, batch.images, strict=True)
            }
            seen(len(rows))
    return np.stack([rows[index] for index in range(len(split))])


def _loss_and_accuracy(split: Split, logits: np.ndarray) -> tuple[float, float]:
    """The mean cross-entropy, and the accuracy in per cent."""
    loss = F.cross_entropy(torch.from_numpy(logits), torch.from_numpy(split.targets)).item()
    return loss, 100 * float((logits.argmax(1) == split.targets).mean())
