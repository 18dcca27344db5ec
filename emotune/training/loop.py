"""The training loop: one function for a single process, for torchrun and for Ray.

Every random choice is a function of the run's seed streams, the epoch and the image, never of a generator's history, so
that a run continues after any interruption as if there had been none.
"""

import json
import math
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from functools import cache, partial

from emotune.config.network import NetworkConfig
from emotune.config.resources import Resources
from emotune.config.run import RunConfig
from emotune.data.mixing import make_mixing
from emotune.data.read.batches import Split
from emotune.data.read.epoch_order import steps_per_epoch
from emotune.models.cost import cost
from emotune.models.weights.run_weights import save_weights
from emotune.runs.directory import METRICS, RunDirectory
from emotune.runs.progress import Phase, RunProgress
from emotune.runs.record import EpochMetrics, RunRecord
from emotune.training.distributed import World
from emotune.training.distribution_losses import readout
from emotune.training.epoch_randomness import EpochRandomness, draw_randomness
from emotune.training.evaluate import Outputs, evaluate
from emotune.training.feature_views import fixed_views, in_views, views_of_epoch
from emotune.training.features import features_opener
from emotune.training.fit import fit
from emotune.training.optim import learning_rate
from emotune.training.precision import numerics, numerics_record
from emotune.training.progress import Progress
from emotune.training.progress_reporter import ProgressReporter
from emotune.training.provenance import code_origin, libraries_of
from emotune.training.record import make_record, reading_mode, write_predictions
from emotune.training.selection import is_over, selected_epoch
from emotune.training.setup import InterruptedRunError, RunSession, leased, load_or_init, split_opener
from emotune.training.step import TrainState, take_step
from emotune.training.tasks import task_of
from emotune.training.validation_score import validation_score

__all__ = ["CHECKPOINT_EVERY_S", "DivergedError", "InterruptedRunError", "train"]

CHECKPOINT_EVERY_S = 60.0
"""The seconds of training between two checkpoints, which is what the loss of a machine can cost."""

SHORT_EPOCHS_S = 5.0
"""The same for the ends of epochs on features: writing a checkpoint can take as long as such an epoch."""


class DivergedError(ArithmeticError):
    """The loss, the gradient norm or the network's outputs are not finite."""


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
    """Trains a run from its last checkpoint or from the beginning, and writes its predictions and its record.

    Models that are not networks are fitted, see `emotune.training.fit`.

    Args:
        run: The run.
        directory: The directory for the run's files, to which only rank 0 writes.
        world: The ranks that train the run together, including this one.
        resources: The options of computation and the limit of the image cache; the devices are those of ``world``.
        on_progress: A function that is called on every rank, after every step and evaluated batch and while images are
            decoded.
        stop: A function that is called after each step; if it returns true on any rank, all ranks stop after a
            checkpoint.
        owner: The command that this process works for; leases of its other processes are taken over.

    Returns:
        The record on rank 0 and None on other ranks. A run that is already done is left as it is.

    Raises:
        BusyRunError: another process trains the run.
        LostRunError: another process has taken the run over; nothing was written after that.
        DivergedError: a loss, gradient norm or output is not finite; the message has the step and the learning rate.
        InterruptedRunError: ``stop`` returned true.
        InputError: the data set or the initial weights cannot be read.
    """
    deterministic = resources.deterministic
    with leased(directory, world, owner) as session, numerics(run.train.precision, deterministic=deterministic):
        if session.record is not None:
            return session.record if world.is_main else None

        def report(progress: RunProgress) -> None:
            on_progress(progress)
            if session.lease:
                session.lease.report(progress)

        trainer = _train if isinstance(run.model, NetworkConfig) else fit
        return trainer(run, session, resources, report, stop)


def _train(
    run: RunConfig,
    session: RunSession,
    resources: Resources,
    on_progress: Callable[[RunProgress], None],
    stop: Callable[[], bool],
) -> RunRecord | None:
    """Trains a network: epoch by epoch steps, validation and a checkpoint; then test and record."""
    directory, world, started = session.directory, session.world, time.perf_counter()
    open_images: Callable[[str], Split] = cache(split_opener(run, resources, run.train.order, on_progress))
    split = open_images("train")
    state, progress = load_or_init(run, directory, world, resources, split)
    if state.backbone is not None:
        open_images = features_opener(run, state, session, resources, on_progress, stop, open_images)
        split = open_images("train")
    views = fixed_views(run, state, split)
    val = open_images("val")
    if world.is_main:  # rank 0 writes the record
        progress.add_provenance(
            origin=code_origin(directory.folder, libraries_of(run.model)),
            reading=reading_mode(split, run.train.order),
            numerics=numerics_record(run.train, resources, world.device),
        )
    reporter = ProgressReporter(run, progress, steps_per_epoch(len(split), run.train.batch_size), on_progress)
    predict = partial(_finite_outputs, run, state, progress, reporter)
    curve_test = open_images("test") if run.test_curve else None
    reading_s = time.perf_counter() - started  # this includes what is computed once, for all runs: decoding, features
    checkpoint_timer, epoch_timer = _Timer(CHECKPOINT_EVERY_S), _Timer(SHORT_EPOCHS_S)
    while not is_over(run, progress.history):
        with closing(_steps(run, state, progress, split, views, reporter)) as steps:
            for _ in steps:
                stopping = session.must_stop(stop())
                if stopping or checkpoint_timer.is_due():
                    _save(run, session, state, progress, stopping=stopping)
        metrics = _epoch_metrics(progress, run, len(split), val, predict(val, "validating"))
        if curve_test:
            outputs = predict(curve_test, "testing", run.train.test_crops)
            metrics["test_accuracy"] = task_of(run).score_of(curve_test.targets, outputs.logits)
        last, brief = is_over(run, [*progress.history, metrics]), state.backbone is not None  # on features: a moment
        _end_epoch(run, session, state, progress, metrics, saved=last or not brief or epoch_timer.is_due())
        reporter.report()
    if state.best:
        state.best.restore(state.result)
    evaluation_started = time.perf_counter()
    test = None if run.tuning else open_images("test")  # their only use, except for a test curve that a study asks for
    tested = predict(test, "testing", run.train.test_crops) if test else None
    session.check_lease()
    if not world.is_main:
        return None
    if test and tested:
        write_predictions(directory.folder, run, test, tested)
    now = time.perf_counter()
    durations_s = {
        "reading": reading_s,
        "train": progress.train_s,
        "test": now - evaluation_started,
        "this_start": now - started,
    }
    record = make_record(
        run, world, progress, split, durations_s, cost(run.model, len(split.classes), run.input),
        tested=(test, tested) if test and tested else None,
    )  # fmt: skip
    if test:
        sha256 = save_weights(directory.folder, run, state.finished_network(), split.classes, state.normalisation)
        record["weights"] = {"sha256": sha256}
    return session.finish(record)


def _save(run: RunConfig, session: RunSession, state: TrainState, progress: Progress, *, stopping: bool) -> None:
    """Writes a checkpoint within an epoch.

    Raises:
        InterruptedRunError: all ranks stop here.
    """
    session.save(state.checkpoint_parts, progress)
    if stopping:
        session.wait_for_uploads()
        raise InterruptedRunError(f"{run.id} was stopped in epoch {progress.epoch + 1}, after step {progress.step}")


def _end_epoch(
    run: RunConfig, session: RunSession, state: TrainState, progress: Progress, metrics: EpochMetrics, *, saved: bool
) -> None:
    """Adds the epoch's metrics to the history and keeps the best weights; writes both and a checkpoint, if asked to."""
    progress.end_epoch(metrics)
    if state.best and selected_epoch(run, progress.history) == progress.epoch:
        state.best.snapshot(state.result)
    session.check_lease()
    if session.world.is_main and saved:
        lines = "".join(json.dumps(epoch) + "\n" for epoch in progress.history)
        session.directory.folder.write(METRICS, lines.encode())
        session.save(state.checkpoint_parts, progress)


def _finite_outputs(
    run: RunConfig,
    state: TrainState,
    progress: Progress,
    reporter: ProgressReporter,
    split: Split,
    phase: Phase,
    crops: int = 1,
) -> Outputs:
    """The network's outputs for a split, the same on all ranks.

    Raises:
        DivergedError: an output is not finite, which the loss of the last step, taken before its update, cannot show.
    """
    outputs = evaluate(
        state.result, split, state.world, crops, precision=state.precision,
        input_spec=run.input, normalisation=state.normalisation, backbone=state.backbone,
        readout=readout(run.train), average=task_of(run).average, on_batch=partial(reporter.report, phase),
    )  # fmt: skip
    if not outputs.are_finite:
        group, epoch = state.optimizer.param_groups[0], progress.epoch + bool(progress.step)
        lr = group["lr"] / group["multiplier"]
        raise DivergedError(f"the network's outputs are not finite after the last step of epoch {epoch}, lr {lr:.3g}")
    return outputs


class _Timer:
    """A clock that is due when a number of seconds has passed since it was last due.

    Args:
        seconds: The number of seconds.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds, self._last = seconds, time.perf_counter()

    def is_due(self) -> bool:
        """Whether the seconds have passed; if so, they begin again."""
        now = time.perf_counter()
        if now - self._last < self._seconds:
            return False
        self._last = now
        return True


def _steps(
    run: RunConfig,
    state: TrainState,
    progress: Progress,
    split: Split,
    views: Sequence[EpochRandomness],
    reporter: ProgressReporter,
) -> Generator[None, None, None]:
    """Takes the remaining steps of the current epoch, and counts and reports each.

    Raises:
        DivergedError: the loss or the gradient norm of a step is not finite.
    """
    world, train, epoch = state.world, run.train, progress.epoch
    steps = steps_per_epoch(len(split), train.batch_size)
    randomness, chosen = draw_randomness(run, epoch, len(split)), views_of_epoch(run, epoch, len(split))
    if views:
        randomness = in_views(randomness, views, chosen)
    batches = split.training_batches(
        train.batch_size, run.stream("order"), epoch, order=train.order,
        first=progress.step, rank=world.rank, world_size=world.size, pin=world.device.type == "cuda",
        mixing=make_mixing(train, run.stream("augment"), run.input.side), views=chosen,
    )  # fmt: skip
    state.network.train()
    with closing(batches):
        started = time.perf_counter()
        for step, batch in enumerate(batches, progress.step):
            lr = learning_rate(train, epoch * steps + step, steps)
            result = take_step(state, batch, randomness, lr)
            for name, value in result.numbers.items():
                if not math.isfinite(value):
                    raise DivergedError(f"the {name} is {value} in epoch {epoch + 1}, step {step + 1}, lr {lr:.3g}")
            seconds = time.perf_counter() - started
            progress.end_step(batch.total, result.loss, result.correct, seconds)
            reporter.report_step(result.loss, lr, batch.total, seconds)
            yield
            started = time.perf_counter()


def _epoch_metrics(progress: Progress, run: RunConfig, images: int, val: Split, outputs: Outputs) -> EpochMetrics:
    """The metrics of the epoch that has just been trained on ``images`` images, given the validation outputs."""
    steps, task = steps_per_epoch(images, run.train.batch_size), task_of(run)
    metrics = task.epoch_metrics(
        epoch=progress.epoch + 1, lr=learning_rate(run.train, progress.epoch * steps, steps),
        train=(progress.loss_sum / progress.seen, 100 * progress.correct / progress.seen),
        val=(val.targets, outputs), train_s=progress.train_s,
    )  # fmt: skip
    if run.select_by and math.isfinite(score := validation_score(run.select_by, val, outputs.logits)):
        metrics["val_score"] = score
    entropy = outputs.attention_entropy
    if entropy is not None:
        metrics["attention_entropy"] = entropy
    return metrics
