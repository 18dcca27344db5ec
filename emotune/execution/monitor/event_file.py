"""TensorBoard's file format: protocol buffers in TFRecords, each with its length and checksums.

Written by hand, because all packages that write it import torch as soon as they find it, which would cost the driver of
a study seconds and hundreds of megabytes; a writer in a process of its own would need more lines than the format. The
tests read the files with tensorboardX.
"""

import socket
import struct
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import BinaryIO

__all__ = ["EventFile"]


class EventFile:
    """A new event file in a folder; TensorBoard reads it after those that are there already.

    Args:
        folder: The folder, which is made if it does not exist.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        name = (
            f"events.out.tfevents.{time.time():017.6f}.{socket.gethostname()}"  # files are read in alphabetical order
        )
        self._file: BinaryIO = (folder / name).open("xb")
        self._write(_text(3, "brain.Event:2"))

    def add_scalar(self, tag: str, step: int, value: float) -> None:
        """Adds a point to a curve.

        Args:
            tag: The name of the curve, *train/loss* for example.
            step: The number of the step.
            value: The value at this step.
        """
        self._write(_integer(2, step) + _message(5, _message(1, _text(1, tag) + _float(2, value))))

    def add_hparams(self, values: Mapping[str, str | float | bool | None], metrics: Iterable[str]) -> None:
        """Adds what the tab *HParams* shows of a run.

        Args:
            values: The hyperparameters of the run by name; None stands for *none*.
            metrics: The names of the curves whose last values are shown beside them.
        """
        known = {name: "none" if value is None else value for name, value in values.items()}
        infos = [_message(4, _text(1, name) + _integer(4, _hparam_type(value))) for name, value in known.items()]
        shown = [_message(5, _message(1, _text(2, tag))) for tag in metrics]
        pairs = [_message(1, _text(1, name) + _message(2, _any_value(value))) for name, value in known.items()]
        for tag, field, content in (
            ("experiment", 2, b"".join([*infos, *shown])),
            ("session_start_info", 3, b"".join(pairs)),
            ("session_end_info", 4, _integer(1, 1)),
        ):
            plugin = _message(1, _text(1, "hparams") + _message(2, _message(field, content)))
            self._write(_message(5, _message(1, _text(1, f"_hparams_/{tag}") + _message(9, plugin))))

    def revoke_from(self, step: int) -> None:
        """Removes all points at this step and later ones from all curves (``SessionLog.START``)."""
        self._write(_integer(2, step) + _message(7, _integer(1, 1)))

    def flush(self) -> None:
        """Hands what was written to the operating system."""
        self._file.flush()

    def close(self) -> None:
        """Writes the rest and closes the file."""
        self._file.close()

    def _write(self, event: bytes) -> None:
        data = _double(1, time.time()) + event
        length = struct.pack("<Q", len(data))
        self._file.write(length + _checksum(length) + data + _checksum(data))


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


def _hparam_type(value: str | float | bool) -> int:
    """The number of a type in ``api.proto`` of the plugin: STRING, BOOL, FLOAT64."""
    return 1 if isinstance(value, str) else 2 if isinstance(value, bool) else 3


def _any_value(value: str | float | bool) -> bytes:
    """A ``google.protobuf.Value``."""
    if isinstance(value, bool):
        return _integer(4, value)
    return _text(3, value) if isinstance(value, str) else _double(2, value)


def _checksum(data: bytes) -> bytes:
    """The CRC-32C (Castagnoli) of the data, rotated and shifted as in TFRecords."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
