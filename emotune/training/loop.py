"""The training loop: the same function alone, under torchrun and under Ray.

Every random choice is a function of the run's seed streams, epoch and image, never of a generator's history, so a run
that is stopped anywhere goes on as if it had not been.
"""

import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F

from emotune.config.model import NetworkConfig
from emotune.config.resources import Resources
from emotune.config.run import RunConfig
from emotune.data.augment import draw_crops
from emotune.data.read.batches import Split, open_split
from emotune.data.read.epoch_order import steps_per_epoch
from emotune.data.read.open_dataset import decoded_shards
from emotune.models.cost import cost
from emotune.models.weights.run_weights import save_weights
from emotune.runs.directory import METRICS, RunDirectory
from emotune.runs.progress import Phase, RunProgress
from emotune.runs.record import EpochMetrics, RunRecord
from emotune.training.checkpoint import Progress
from emotune.training.distributed import World
from emotune.training.evaluate import Outputs, evaluate
from emotune.training.fit import fit
from emotune.training.optim import learning_rate
from emotune.training.precision import numerics, numerics_record
from emotune.training.progress_reporter import ProgressReporter, reading_reporter
from emotune.training.provenance import code_origin
from emotune.training.record import make_record, reading_mode, write_predictions
from emotune.training.selection import selected_epoch
from emotune.training.setup import InterruptedRunError, RunSession, leased, load_or_init
from emotune.training.step import EpochRandomness, TrainState, take_step

__all__ = ["CHECKPOINT_EVERY_S", "DivergedError", "InterruptedRunError", "draw_randomness", "train"]

CHECKPOINT_EVERY_S = 60.0
"""Seconds of work that a lost machine may cost."""


class DivergedError(ArithmeticError):
    """The loss, the gradient's norm or the network's outputs are not finite numbers any more."""


def train(
    run: RunConfig,
    directory: RunDirectory,
    world: World,
    *,
    resources: Resources = Resources(),
    on_progress: Callable[[RunProgress], None] = lambda progress: None,
    stop: Callable[[], bool] = lambda: False,
    owner: str = "",
) -> RunRecord | None:
    """Trains a run from its checkpoint, or from scratch if it has none, and writes its predictions and its record.

    Models that are no networks are fitted, see `emotune.training.fit`.

    Args:
        run: What to train.
        directory: Where its files go; only rank 0 writes.
        world: The ranks that train it together, this one among them.
        resources: How it is calculated, and how much decoded images may fill; who calculates is ``world``'s to say.
        on_progress: Called after every step and every evaluated batch, and while images are decoded, on every rank.
        stop: Asked after each step; when it says so on any rank, all write a checkpoint and stop.
        owner: The command that this process works for: what its other processes hold is taken over from them.

    Returns:
        The record on rank 0, None elsewhere. A run that turns out to be done is left as it is.

    Raises:
        BusyRunError: another process works on the run.
        LostRunError: another process has taken it over; nothing was written since.
        DivergedError: what must be finite is not; the message has step and learning rate.
        InterruptedRunError: ``stop`` said so.
        InputError: the data set, or the weights to begin with, cannot be read.
    """
    with leased(directory, world, owner) as work, numerics(run.train.precision, deterministic=resources.deterministic):
        if work.record is not None:
            return work.record if world.is_main else None

        def seen(progress: RunProgress) -> None:
            on_progress(progress)
            if work.claim and progress.phase != "reading":  # which does not know how far the run had come
                work.claim.report(progress)

        by_steps = isinstance(run.model, NetworkConfig)
        return (_train if by_steps else fit)(run, work, resources, seen, stop)


def _train(
    run: RunConfig,
    work: RunSession,
    resources: Resources,
    on_progress: Callable[[RunProgress], None],
    stop: Callable[[], bool],
) -> RunRecord | None:
    directory, world = work.directory, work.world
    started = time.perf_counter()
    order, cache_gb = run.train.order, resources.cache_gb
    opened = partial(
        open_split, run.dataset, decoded=decoded_shards(run.dataset, cache_gb, order), order=order, cache_gb=cache_gb,
        threads=torch.get_num_threads(), advance=reading_reporter(run, on_progress),
    )  # fmt: skip
    split, val = opened("train"), opened("val")
    state, progress = load_or_init(run, directory, world, resources, split)
    if world.is_main:  # who writes the record
        progress.note(
            origin=code_origin(directory.folder),
            reading=reading_mode(split, order),
            numerics=numerics_record(run.train, resources, world.device),
        )
    reporter = ProgressReporter(run, progress, steps_per_epoch(len(split), run.train.batch_size), on_progress)
    seen = partial(_outputs, run, state, progress, reporter)
    curve = opened("test") if run.test_curve else None
    due = _Every(CHECKPOINT_EVERY_S).due
    while progress.epoch < run.train.epochs:
        with closing(_steps(run, state, progress, split, reporter)) as steps:
            for _ in steps:
                stopping = work.must_stop(stop())
                if stopping or due():
                    work.save(state.checkpoint_parts, progress)
                if stopping:
                    work.wait_for_uploads()
                    where = f"in epoch {progress.epoch + 1}, after step {progress.step}"
                    raise InterruptedRunError(f"{run.id} was stopped {where}")
        entry = _epoch_entry(progress, run, len(split), val, seen(val, "validating"))
        if curve:
            entry["test_accuracy"] = _accuracy(curve, seen(curve, "testing", run.train.test_crops))
        progress.end_epoch(entry)
        if state.best and selected_epoch(run, progress.history) == progress.epoch:
            state.best.snapshot(state.result)
        work.check_lease()
        if world.is_main:
            lines = "".join(json.dumps(entry) + "\n" for entry in progress.history)
            directory.folder.write(METRICS, lines.encode())
        work.save(state.checkpoint_parts, progress)
        reporter.tell()
    if state.best:
        state.best.restore(state.result)
    evaluating = time.perf_counter()
    test = opened("test")  # the first and only use of these images, but for a curve that was asked for
    outputs = seen(test, "testing", run.train.test_crops)
    work.check_lease()
    if not world.is_main:
        return None
    write_predictions(directory.folder, run, test, outputs)
    now = time.perf_counter()
    durations_s = {"train": progress.train_s, "test": now - evaluating, "this_start": now - started}
    costs = cost(run.model, len(split.classes))
    record = make_record(
        run, world, progress, split, durations_s, costs, test_images=len(test), accuracy=_accuracy(test, outputs)
    )
    saved = save_weights(directory.folder, run, state.result, split.classes, state.normalisation)
    record["weights"] = {"sha256": saved}
    return work.finish(record)


def _outputs(
    run: RunConfig, state: TrainState, progress: Progress, reporter: ProgressReporter,
    split: Split, phase: Phase, crops: int = 1,
) -> Outputs:  # fmt: skip
    """What the network says, the same on all ranks, if it is numbers; a step's loss does not show what it did."""
    outputs = evaluate(
        state.result, split, state.world, crops,
        precision=state.precision, normalisation=state.normalisation, watch=reporter.evaluating(phase),
    )  # fmt: skip
    if not np.isfinite(outputs.logits).all():
        epoch, lr = progress.epoch + bool(progress.step), state.optimizer.param_groups[0]["lr"]
        raise DivergedError(f"the network's outputs are not finite after the last step of epoch {epoch}, lr {lr:.3g}")
    return outputs


def _accuracy(split: Split, outputs: Outputs) -> float:
    """Per cent of the images."""
    return 100 * float((outputs.logits.argmax(1) == split.targets).mean())


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


def _steps(
    run: RunConfig, state: TrainState, progress: Progress, split: Split, reporter: ProgressReporter
) -> Iterator[None]:
    """Takes the rest of the current epoch's steps, from the one after the last that is done; counts and tells each."""
    world, settings, epoch = state.world, run.train, progress.epoch
    steps = steps_per_epoch(len(split), settings.batch_size)
    randomness = draw_randomness(run, epoch, len(split))
    batches = split.training_batches(
        settings.batch_size, run.stream("order"), epoch, order=settings.order,
        first=progress.step, rank=world.rank, world_size=world.size, pin=world.device.type == "cuda",
    )  # fmt: skip
    state.network.train()
    with closing(batches):
        began = time.perf_counter()
        for step, batch in enumerate(batches, progress.step):
            lr = learning_rate(settings, epoch * steps + step, steps)
            result = take_step(state, batch, randomness, lr)
            for name, value in result.numbers.items():
                if not math.isfinite(value):
                    raise DivergedError(f"the {name} is {value} in epoch {epoch + 1}, step {step + 1}, lr {lr:.3g}")
            seconds = time.perf_counter() - began
            progress.end_step(batch.total, result.loss, result.correct, seconds)
            reporter.stepped(result.loss, lr, batch.total, seconds)
            yield
            began = time.perf_counter()


def draw_randomness(run: RunConfig, epoch: int, images: int) -> EpochRandomness:
    """Everything that is random about an epoch's images, but their order; whoever computes them."""
    settings = {"crop": run.train.crop, "flip": run.train.flip, "min_scale": run.train.min_scale}
    crops = draw_crops(images, run.stream("augment"), epoch, **settings)
    return EpochRandomness(crops, np.random.default_rng([run.stream("dropout"), epoch]).integers(2**63, size=images))


def _epoch_entry(progress: Progress, run: RunConfig, images: int, val: Split, outputs: Outputs) -> EpochMetrics:
    steps = steps_per_epoch(images, run.train.batch_size)
    val_loss = F.cross_entropy(torch.from_numpy(outputs.logits), torch.from_numpy(val.targets)).item()
    entropy = outputs.attention_entropy
    entry: EpochMetrics = {
        "epoch": progress.epoch + 1,
        "lr": learning_rate(run.train, progress.epoch * steps, steps),
        "train_loss": progress.loss_sum / progress.seen,
        "train_accuracy": 100 * progress.correct / progress.seen,
        "val_loss": val_loss,
        "val_accuracy": _accuracy(val, outputs),
        "train_s_so_far": round(progress.train_s, 3),
    }
    if entropy is not None:
        entry["attention_entropy"] = entropy
    return entry
