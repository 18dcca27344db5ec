"""Runs of baselines, which are fitted with a single call: they leave the same files as networks, except weights.

There are no checkpoints: a run that is stopped starts again. Every rank does the same work and rank 0 writes. The
result does not depend on the seed, unless the backbone whose features a model gets is drawn from it, or the model draws
words and topics (blocks); so the runs of other seeds use the same fit again (`emotune.training.fit_model`).
"""

import json
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from emotune.config.resources import Resources
from emotune.config.run import RunConfig
from emotune.data.read.batches import Split
from emotune.models.baselines.baseline import Baseline
from emotune.models.baselines.fitted_file import write_fitted
from emotune.models.baselines.logistic import Logistic
from emotune.models.baselines.svm import Svm
from emotune.models.cost import Cost
from emotune.runs.directory import METRICS
from emotune.runs.progress import Phase, RunProgress
from emotune.runs.record import RunRecord
from emotune.training.evaluate import Outputs
from emotune.training.fit_model import fit_model
from emotune.training.fitted_rows import Rows, open_rows
from emotune.training.precision import numerics_record
from emotune.training.progress import Progress
from emotune.training.provenance import code_origin, libraries_of
from emotune.training.record import make_record, reading_mode, write_predictions
from emotune.training.setup import InterruptedRunError, RunSession
from emotune.training.tasks import task_of

__all__ = ["fit"]


def fit(
    run: RunConfig,
    session: RunSession,
    resources: Resources,
    on_progress: Callable[[RunProgress], None],
    stop: Callable[[], bool],
) -> RunRecord | None:
    """Fits a run's baseline on its training and validation images, tests it, and writes predictions and record.

    The model gets hand-made features of images of 256×256 pixels, without crops and flips, or what a network computes
    of images (`emotune.training.fitted_rows`). The arguments, the result and the errors are those of
    `emotune.training.loop.train`, which calls this.
    """
    started = time.perf_counter()
    rows = open_rows(run, session, resources, on_progress, stop)
    model, train, val = rows.model, rows.open("train"), rows.open("val")
    images = len(train) + len(val)

    def report(phase: Phase, evaluated: int) -> None:
        done = evaluated if phase == "training" else images
        on_progress(RunProgress(run.id, 1, 1, done / (images + 1), phase=phase, evaluated=evaluated))
        if session.must_stop(stop()):
            raise InterruptedRunError(f"{run.id} was stopped; it will start again from the beginning")

    train_views = rows.of("train", lambda evaluated: report("training", evaluated))
    (val_features,) = rows.of("val", lambda evaluated: report("training", len(train) + evaluated))
    reading_s = time.perf_counter() - started if rows.reading else 0.0  # features are there for other runs, too
    train_features, targets = np.concatenate(train_views), np.concatenate([train.targets] * len(train_views))
    prepared, task = time.perf_counter(), task_of(run)
    outcome = fit_model(
        model, (train_features, targets), (val_features, val.targets), partial(report, "validating", images),
        columns=() if run.tuning else rows.columns, keep=session.world.size == 1,
    )  # fmt: skip
    model, fitted, train_s = outcome.model, outcome.fitted, prepared - started - reading_s + outcome.fit_s
    fit_end = time.perf_counter()
    metrics = task.epoch_metrics(
        epoch=1, lr=None,
        train=(task.loss(targets, Outputs(outcome.train, {})), task.score_of(targets, outcome.train)),
        val=(val.targets, Outputs(outcome.val, {})), train_s=train_s,
    )  # fmt: skip
    progress = Progress(
        epoch=1, seen=len(train), train_s=train_s, history=[metrics], initialisation=rows.initialisation,
        notes=fitted.pop("notes", []),
    )  # fmt: skip
    tested = None if run.tuning else _test(run, rows, model, partial(report, "testing"))
    session.check_lease()
    if not session.world.is_main:
        return None
    folder = session.directory.folder
    progress.add_provenance(
        origin=code_origin(folder, libraries_of(run.model)),
        reading=rows.reading or reading_mode(train, run.train.order),
        numerics=numerics_record(run.train, resources, session.world.device),
    )
    folder.write(METRICS, (json.dumps(metrics) + "\n").encode())
    if tested:
        write_predictions(folder, run, *tested)
    now = time.perf_counter()
    durations_s = {"reading": reading_s, "train": train_s, "test": now - fit_end, "this_start": now - started}
    record = make_record(
        run, session.world, progress, train, durations_s, rows.costs or Cost(model.parameters, None),
        tested=tested,
    )  # fmt: skip
    if fitted:
        record["fitted"] = fitted
    if not run.tuning and isinstance(model, Svm | Logistic):
        record["fitted_file"] = {"sha256": write_fitted(folder, model)}
    return session.finish(record)


def _test(run: RunConfig, rows: Rows, model: Baseline, report: Callable[[int], None]) -> tuple[Split, Outputs]:
    """The test images, which are used here alone, and the fitted model's outputs for them."""
    test = rows.open("test")
    views = [torch.from_numpy(model.log_probabilities(one)) for one in rows.of("test", report)]
    return test, Outputs(task_of(run).average(views).numpy(), {})
