"""TensorBoard event files of runs, written while they go on, by the process that is told how they go on.

The format (TFRecords of protocol buffers) takes a few lines. The packages that write it import torch as soon as they
find it, which costs the driver of a study seconds and hundreds of megabytes.
"""

import math
import socket
import struct
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from emotune.config.run import RunConfig
from emotune.core.errors import InputError
from emotune.runs.directory import Status
from emotune.runs.progress import RunProgress

__all__ = ["TensorBoardWriter"]

FLUSH_EVERY_S = 5.0


class TensorBoardWriter:
    """Writes a folder of event files per run; a context manager.

    Loss, learning rate and images per second stand at the steps that it is told of, the validation accuracy at the
    end of each epoch. Where a run is continued from an earlier step, what was written after that step is revoked, so
    that no curve goes back. A disk that is full costs the curves, not the study.

    Args:
        folder: Where the runs' folders go.
        runs: Their folders are called as their directories are, but with their variants' names instead of the models'.

    Raises:
        InputError: it is a URL, or cannot be made.
    """

    def __init__(self, folder: str, runs: Sequence[RunConfig] = ()) -> None:
        self._names = {run.id: run.variant + run.id.removeprefix(run.model.name) for run in runs}
        if "://" in folder:
            raise InputError(f"--tensorboard {folder}: event files grow with the runs; give a folder of this machine")
        self._folder, self._open, self._broken = Path(folder), dict[str, _RunEvents](), False
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"--tensorboard {folder}: {error.strerror}; give a folder that can be written") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for run_id in list(self._open):
            self._close(run_id)

    def on_progress(self, progress: RunProgress) -> None:
        """Writes what is new."""
        if self._broken or progress.phase == "reading":
            return
        try:
            if progress.run_id not in self._open:
                self._open[progress.run_id] = _RunEvents(
                    self._folder / self._names.get(progress.run_id, progress.run_id), progress
                )
            self._open[progress.run_id].write(progress)
        except OSError as error:
            self._give_up(error)

    def on_end(self, run_id: str, status: Status) -> None:
        """Closes the run's file."""
        self._close(run_id)

    def _close(self, run_id: str) -> None:
        if events := self._open.pop(run_id, None):
            try:
                events.close()
            except OSError as error:
                self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        if not self._broken:
            print(f"--tensorboard {self._folder}: {error}; the runs go on without event files", file=sys.stderr)
        self._broken = True


class _RunEvents:
    """A new event file in a run's folder, to be read after those that are there."""

    def __init__(self, folder: Path, progress: RunProgress) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        continues = any(folder.glob("events.out.tfevents.*"))
        name = f"events.out.tfevents.{time.time():017.6f}.{socket.gethostname()}"  # they are read in their names' order
        self._file: BinaryIO = (folder / name).open("xb")
        self._flushed = time.monotonic()
        self._step, self._epochs = progress.step, _epochs_done(progress) if continues else 0
        self._told = -1
        self._record(_text(3, "brain.Event:2"))
        if continues:
            self._revoke_from(progress)

    def write(self, progress: RunProgress) -> None:
        """Writes what the progress has that is new."""
        if progress.step < self._step:  # a lost attempt: it goes on where its checkpoint is
            self._epochs, self._told = min(self._epochs, _epochs_done(progress)), -1
            self._revoke_from(progress)
        self._step, done = progress.step, _epochs_done(progress)
        if done > self._epochs and not math.isnan(progress.val_accuracy):
            self._epochs = done
            self._scalar("val/accuracy", done * progress.steps // progress.epochs, progress.val_accuracy)
        if progress.step > self._told and not math.isnan(progress.loss):
            self._told = progress.step
            for tag, value in (("loss", progress.loss), ("lr", progress.lr), ("images_per_s", progress.images_per_s)):
                self._scalar(f"train/{tag}", progress.step, value)
        if time.monotonic() - self._flushed > FLUSH_EVERY_S:
            self._flushed = time.monotonic()
            self._file.flush()

    def close(self) -> None:
        """Writes the rest."""
        self._file.close()

    def _revoke_from(self, progress: RunProgress) -> None:
        """Takes back all from the step on that is taken next; of a step that is done already, the loss is known."""
        step = progress.step + math.isnan(progress.loss)
        self._record(_integer(2, step) + _message(7, _integer(1, 1)))  # SessionLog.START

    def _scalar(self, tag: str, step: int, value: float) -> None:
        if not math.isnan(value):
            self._record(_integer(2, step) + _message(5, _message(1, _text(1, tag) + _float(2, value))))

    def _record(self, event: bytes) -> None:
        data = _double(1, time.time()) + event
        length = struct.pack("<Q", len(data))
        self._file.write(length + _checksum(length) + data + _checksum(data))


def _epochs_done(progress: RunProgress) -> int:
    """The epochs whose accuracy is known: at an epoch's end it is not before the images are evaluated."""
    done = progress.step * progress.epochs // progress.steps if progress.steps else 0
    return done - (progress.phase == "validating")


def _varint(value: int) -> bytes:
    low, rest = value & 127, value >> 7
    return bytes([low | 128]) + _varint(rest) if rest else bytes([low])


def _integer(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _double(field: int, value: float) -> bytes:
    return _varint(field << 3 | 1) + struct.pack("<d", value)


def _float(field: int, value: float) -> bytes:
    return _varint(field << 3 | 5) + struct.pack("<f", value)


def _message(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _text(field: int, value: str) -> bytes:
    return _message(field, value.encode())


def _checksum(data: bytes) -> bytes:
    """CRC-32C (Castagnoli), turned and shifted as TFRecords have it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
