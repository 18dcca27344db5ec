"""Curves of runs for TensorBoard, written while the runs are trained."""

import math
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from emotune.config.run import RunConfig, model_label
from emotune.core.errors import InputError
from emotune.execution.monitor.event_file import EventFile
from emotune.runs.directory import Status
from emotune.runs.progress import RunProgress

__all__ = ["EVENT_FILES", "TensorBoardWriter", "run_folder_name", "write_finished_run"]

FLUSH_EVERY_S = 5.0
EVENT_FILES = "events.out.tfevents.*"
"""The pattern of the names of event files."""


def run_folder_name(run: RunConfig) -> str:
    """The name of a run's folder: that of its directory, with the variant instead of the model."""
    return run.variant + run.id.removeprefix(model_label(run.model))


def write_finished_run(
    folder: Path,
    epochs: Sequence[Mapping[str, float]],
    steps_per_epoch: int,
    parameters: Mapping[str, str | float | bool | None],
    results: Mapping[str, float],
) -> None:
    """Writes one event file with the curves of a finished run, its parameters and its results.

    Points are at the last step of each epoch, where a run that is being trained has those of validation, too.

    Args:
        folder: The run's folder.
        epochs: The values of each epoch by tag, as ``train/loss``, and its number as ``epoch``.
        steps_per_epoch: The steps of an epoch.
        parameters: The hyperparameters by name.
        results: The values of the tested network by tag.
    """
    file = EventFile(folder)
    try:
        file.add_hparams(parameters, results)
        for epoch in epochs:
            for tag, value in epoch.items():
                if tag != "epoch":
                    file.add_scalar(tag, int(epoch["epoch"]) * steps_per_epoch, value)
        last = int(epochs[-1]["epoch"]) * steps_per_epoch if epochs else 0
        for tag, value in results.items():
            file.add_scalar(tag, last, value)
    finally:
        file.close()


class TensorBoardWriter:
    """Writes a folder of event files for each run; a context manager.

    Loss, learning rate and images per second are written at the steps that are reported, the validation accuracy at the
    end of each epoch. Where a run is continued from an earlier step, what was written after that step is revoked, so
    that no curve goes back. If the disk is full, the curves end, but not the study.

    Args:
        folder: The folder in which the runs have their folders.
        runs: The runs; their folders have the names of their directories, with the variant instead of the model.

    Raises:
        InputError: The folder is a URL, or cannot be made.
    """

    def __init__(self, folder: str, runs: Sequence[RunConfig] = ()) -> None:
        self._names = {run.id: run_folder_name(run) for run in runs}
        if "://" in folder:
            raise InputError(f"--tensorboard {folder}: is a URL; give a folder of this machine")
        self._folder, self._curves, self._broken = Path(folder), dict[str, _RunCurves](), False
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"--tensorboard {folder}: {error.strerror}; give a folder that can be written to"
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for run_id in list(self._curves):
            self._close(run_id)

    def on_progress(self, progress: RunProgress) -> None:
        """Writes what is new."""
        if self._broken or progress.phase == "reading":
            return
        try:
            if progress.run_id not in self._curves:
                folder = self._folder / self._names.get(progress.run_id, progress.run_id)
                self._curves[progress.run_id] = _RunCurves(folder, progress)
            self._curves[progress.run_id].write(progress)
        except OSError as error:
            self._give_up(error)

    def on_end(self, run_id: str, status: Status) -> None:
        """Closes the run's file."""
        self._close(run_id)

    def _close(self, run_id: str) -> None:
        if curves := self._curves.pop(run_id, None):
            try:
                curves.close()
            except OSError as error:
                self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        if not self._broken:
            print(f"--tensorboard {self._folder}: {error}; the study continues without event files", file=sys.stderr)
        self._broken = True


class _RunCurves:
    """The curves of one run."""

    def __init__(self, folder: Path, progress: RunProgress) -> None:
        continues = any(folder.glob(EVENT_FILES))
        self._file = EventFile(folder)
        self._flushed_at = time.monotonic()
        self._step, self._epochs = progress.step, _epochs_done(progress) if continues else 0
        self._written_step = -1
        if continues:
            self._revoke_from(progress)

    def write(self, progress: RunProgress) -> None:
        """Writes what is new in the progress."""
        if progress.step < self._step:  # after a lost attempt, the run continues from its checkpoint
            self._epochs, self._written_step = min(self._epochs, _epochs_done(progress)), -1
            self._revoke_from(progress)
        self._step, done = progress.step, _epochs_done(progress)
        scores = {"accuracy": progress.val_accuracy, "ccc": progress.val_ccc}
        known = {name: value for name, value in scores.items() if not math.isnan(value)}
        if done > self._epochs and known:
            self._epochs = done
            for name, value in known.items():
                self._add(f"val/{name}", done * progress.steps // progress.epochs, value)
        if progress.step > self._written_step and not math.isnan(progress.loss):
            self._written_step = progress.step
            for tag, value in (("loss", progress.loss), ("lr", progress.lr), ("images_per_s", progress.images_per_s)):
                self._add(f"train/{tag}", progress.step, value)
        if time.monotonic() - self._flushed_at > FLUSH_EVERY_S:
            self._flushed_at = time.monotonic()
            self._file.flush()

    def close(self) -> None:
        """Writes the rest."""
        self._file.close()

    def _revoke_from(self, progress: RunProgress) -> None:
        """Revokes all from the next step on; if the loss is known, that of the current step is written again."""
        self._file.revoke_from(progress.step + math.isnan(progress.loss))

    def _add(self, tag: str, step: int, value: float) -> None:
        if not math.isnan(value):
            self._file.add_scalar(tag, step, value)


def _epochs_done(progress: RunProgress) -> int:
    """The number of epochs whose validation accuracy is known; it is not while the last one is being evaluated."""
    done = progress.step * progress.epochs // progress.steps if progress.steps else 0
    return done - (progress.phase == "validating")
