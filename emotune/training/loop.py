"""The training loop: the same function alone, under torchrun and under Ray.

Every random choice is a function of the run's seed streams, epoch and step, never of a generator's history, so a run
that is stopped anywhere goes on as if it had not been.
"""

import json
import math
import time
from collections.abc import Callable
from contextlib import closing, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from emotune.data.augment import Views, apply_views, draw_views
from emotune.data.batches import Batch, Split, open_split, steps_per_epoch
from emotune.data.cache import decodable_splits
from emotune.data.datasets import manifest_of
from emotune.data.stream import require_shards
from emotune.data.votes import target_weights
from emotune.errors import InputError
from emotune.models import build
from emotune.models.weights import save_weights
from emotune.normalisation import Normalisation
from emotune.run import RunConfig, RunProgress
from emotune.run_directory import METRICS, RunDirectory
from emotune.training import checkpoint
from emotune.training.checkpoint import Progress
from emotune.training.distributed import World
from emotune.training.evaluation import evaluate
from emotune.training.optim import learning_rate
from emotune.training.record import make_record, origin, write_predictions
from emotune.training.start import start

__all__ = ["CHECKPOINT_EVERY_S", "DivergedError", "InterruptedRunError", "train"]

CHECKPOINT_EVERY_S = 60.0
"""Seconds of work that a lost machine may cost."""


class DivergedError(ArithmeticError):
    """The loss is not a finite number any more."""


class InterruptedRunError(RuntimeError):
    """The run was asked to stop; its checkpoint is written, and it can be continued."""


def train(
    run: RunConfig,
    directory: RunDirectory,
    world: World,
    *,
    cache_gb: float | None = None,
    watch: Callable[[RunProgress], None] = lambda progress: None,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, Any] | None:
    """Trains a run from its checkpoint, or from scratch if it has none, and writes its predictions and its record.

    Args:
        run: What to train.
        directory: Where its files go; only rank 0 writes.
        world: The ranks that train it together, this one among them.
        cache_gb: Budget for decoded pictures, see `emotune.data.cache.Cache`; beyond it they are streamed.
        watch: Called after steps, on every rank.
        stop: Asked after each step; when it says so on any rank, all write a checkpoint and stop.

    Returns:
        The record on rank 0, None elsewhere.

    Raises:
        DivergedError: the loss is not finite; the message has step and learning rate.
        InterruptedRunError: ``stop`` said so.
        InputError: the data set, or the weights to begin with, cannot be read.
    """
    with directory.at_work() if world.main else nullcontext():
        return _train(run, directory, world, cache_gb, watch, stop)


def _train(
    run: RunConfig,
    directory: RunDirectory,
    world: World,
    cache_gb: float | None,
    watch: Callable[[RunProgress], None],
    stop: Callable[[], bool],
) -> dict[str, Any] | None:
    started = time.perf_counter()
    decoded = _decoded_everywhere(run, world, cache_gb)
    opened = partial(open_split, run.dataset, decoded=decoded, cache_gb=cache_gb, threads=torch.get_num_threads())
    pictures = {split: opened(split) for split in ("train", "val")}
    torch.manual_seed(run.stream("init"))
    classes = pictures["train"].classes
    network = build(run.model, len(classes)).to(world.device, memory_format=torch.channels_last)
    optimizer, progress, initialisation = start(directory.folder, run, network, classes, world.device)
    if world.main:  # who writes the record
        progress.note_origin(origin())
        progress.note_reading("cached" if "train" in decoded else "streamed")
    if len(set(world.gather((progress.epoch, progress.step)))) > 1:
        raise InputError(
            f"{directory.folder}: not all ranks see the same checkpoint; name a place that all nodes reach"
        )
    job = _Job(
        run, directory, world, network, world.wrap(network), optimizer, initialisation.normalisation,
        _aims(run, pictures["train"]), watch, stop,
    )  # fmt: skip
    save = _Every(CHECKPOINT_EVERY_S)
    while progress.epoch < run.train.epochs:
        _train_epoch(job, progress, pictures["train"], save)
        val_logits = _finite(evaluate(network, pictures["val"], world, normalisation=job.normalisation), progress)
        progress.end_epoch(_epoch_entry(progress, run, pictures, val_logits))
        if world.main:
            lines = "".join(json.dumps(entry) + "\n" for entry in progress.history)
            directory.folder.write(METRICS, lines.encode())
            checkpoint.save(directory.folder, network, optimizer, progress)
        watch(_watched(run, progress))
    evaluating = time.perf_counter()
    test = opened("test")  # the first and only use that a run makes of these pictures
    logits = _finite(evaluate(network, test, world, run.train.test_crops, job.normalisation), progress)
    if not world.main:
        return None
    write_predictions(directory.folder, run, test, logits)
    now = time.perf_counter()
    durations_s = {"train": progress.train_s, "test": now - evaluating, "this_start": now - started}
    record = make_record(run, network, world, progress, len(pictures["train"]), durations_s)
    record |= {"test_pictures": len(test), "accuracy": 100 * float((logits.argmax(1) == test.targets).mean())}
    record["weights"] = {"sha256": save_weights(directory.folder, run, network, classes, job.normalisation)}
    directory.finish(record)
    return record


def _decoded_everywhere(run: RunConfig, world: World, cache_gb: float | None) -> tuple[str, ...]:
    """The splits that every rank's machine can keep decoded."""
    decoded = min(world.gather(decodable_splits(run.dataset, cache_gb)), key=len)
    if "train" not in decoded:
        require_shards(manifest_of(run.dataset), world.size)
    return decoded


def _finite(logits: np.ndarray, progress: Progress) -> np.ndarray:
    """The logits (the same on all ranks) if they are numbers; the last step's loss does not show what it did."""
    if not np.isfinite(logits).all():
        raise DivergedError(f"the network's outputs are not finite after epoch {progress.epoch}, step {progress.step}")
    return logits


@dataclass(frozen=True)
class _Job:
    """What all steps of a run share.

    ``parallel`` is ``network`` with gradients averaged over ranks. ``aims`` (N, K) are what votes make of the targets;
    None where the targets are the labels.
    """

    run: RunConfig
    directory: RunDirectory
    world: World
    network: nn.Module
    parallel: nn.Module
    optimizer: torch.optim.Optimizer
    normalisation: Normalisation
    aims: np.ndarray | None
    watch: Callable[[RunProgress], None]
    stop: Callable[[], bool]


def _aims(run: RunConfig, pictures: Split) -> np.ndarray | None:
    if run.train.targets == "hard":
        return None
    labels = [pictures.classes[target] for target in pictures.targets]
    return target_weights(labels, pictures.votes, pictures.classes, run.train.targets)


class _Every:
    """A clock that says when a number of seconds has gone by since it last said so."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._last = seconds, time.perf_counter()

    def due(self) -> bool:
        now = time.perf_counter()
        if now - self._last < self._seconds:
            return False
        self._last = now
        return True


def _train_epoch(job: _Job, progress: Progress, pictures: Split, save: _Every) -> None:
    """The rest of the current epoch, from the step after the last one that is done."""
    run, world = job.run, job.world
    steps = steps_per_epoch(len(pictures), run.train.batch_size)
    drawn = {"crop": run.train.crop, "flip": run.train.flip, "min_scale": run.train.min_scale}
    views = draw_views(len(pictures), run.stream("augment"), progress.epoch, **drawn)
    batches = pictures.training_batches(
        run.train.batch_size, run.stream("order"), progress.epoch,
        first=progress.step, rank=world.rank, world_size=world.size, pin=world.device.type == "cuda",
    )  # fmt: skip
    job.network.train()
    with closing(batches):
        began = time.perf_counter()
        for step, batch in enumerate(batches, progress.step):
            global_step = progress.epoch * steps + step
            lr = learning_rate(run.train, global_step, steps)
            # Dropout's masks follow from stream, step and rank: nothing about them needs to be in a checkpoint.
            torch.manual_seed(_mix(run.stream("dropout"), global_step, world.rank))
            loss, correct = _step(job, batch, pictures.targets[batch.indices], views, lr)
            if not math.isfinite(loss):
                raise DivergedError(f"the loss is {loss} in epoch {progress.epoch + 1}, step {step + 1}, lr {lr:.3g}")
            progress.end_step(batch.total, loss, correct, time.perf_counter() - began)
            job.watch(_watched(run, progress, steps, loss))
            stopping = world.any(job.stop())
            if world.main and (stopping or save.due()):
                checkpoint.save(job.directory.folder, job.network, job.optimizer, progress)
            if stopping:
                raise InterruptedRunError(f"{run.id} was stopped in epoch {progress.epoch + 1}, after step {step + 1}")
            began = time.perf_counter()


def _step(job: _Job, batch: Batch, answers: np.ndarray, views: Views, lr: float) -> tuple[float, int]:
    """One step of gradient descent on a global batch: its mean loss before the step, and its right answers."""
    world = job.world
    images = batch.on(world.device)
    targets = torch.from_numpy(answers).to(world.device)
    logits = job.parallel(apply_views(images, views, batch.indices, job.normalisation))
    aims = targets if job.aims is None else torch.from_numpy(job.aims[batch.indices]).to(world.device)
    # DDP averages over ranks, whose shares can differ by one picture: this gives the mean over the global batch.
    loss = F.cross_entropy(logits, aims, reduction="sum") * (world.size / batch.total)
    for group in job.optimizer.param_groups:
        group["lr"] = lr * group.get("multiplier", 1.0)  # a checkpoint may be older than the entry
    job.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    job.optimizer.step()
    totals = world.sum(torch.stack([loss.detach() / world.size, (logits.argmax(1) == targets).sum()]).double())
    return totals[0].item(), int(totals[1].item())


def _mix(seed: int, *numbers: int) -> int:
    """A 63-bit seed from a stream's seed and whereabouts in the run."""
    return int(np.random.SeedSequence([seed, *numbers]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _epoch_entry(
    progress: Progress, run: RunConfig, pictures: dict[str, Split], val_logits: np.ndarray
) -> dict[str, Any]:
    val = pictures["val"]
    steps = steps_per_epoch(len(pictures["train"]), run.train.batch_size)
    val_loss = F.cross_entropy(torch.from_numpy(val_logits), torch.from_numpy(val.targets)).item()
    return {
        "epoch": progress.epoch + 1,
        "lr": learning_rate(run.train, progress.epoch * steps, steps),
        "train_loss": progress.loss_sum / progress.seen,
        "train_accuracy": 100 * progress.correct / progress.seen,
        "val_loss": val_loss,
        "val_accuracy": 100 * float((val_logits.argmax(1) == val.targets).mean()),
        "train_s_so_far": round(progress.train_s, 3),
    }


def _watched(run: RunConfig, progress: Progress, steps: int = 1, loss: float = math.nan) -> RunProgress:
    last = progress.history[-1] if progress.history else {"val_accuracy": math.nan, "train_loss": math.nan}
    return RunProgress(
        run.id,
        progress.epoch + bool(progress.step),
        run.train.epochs,
        (progress.epoch + progress.step / steps) / run.train.epochs,
        last["train_loss"] if math.isnan(loss) else loss,
        last["val_accuracy"],
    )
