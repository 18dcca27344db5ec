"""Features of images, computed once per machine and kept beside the cache's images.

A file holds the features of a shard's images, or of some of them, in one view, a row per image, memory-mapped. It is
named after the hash of the shard, a digest of all that decides about the values (the caller's), and the view. It is
written under a lock of its own and appears when it is complete, so that any number of processes computes different
files at the same time, and a process that is killed leaves what it has completed. These files share the room of the
cache with images: the least recently used files are removed.
"""

import contextlib
import io
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from filelock import Timeout

from emotune.data.manifest import Shard
from emotune.data.read.cache import Cache, map_array

__all__ = ["FeatureCache", "FeatureFile", "row_type"]

END = "-features.npy"
LOOK_EVERY_S = 0.1
"""Seconds between two looks for files that other processes make."""


class FeatureFile(NamedTuple):
    """A file of features: those of a shard's images in one view.

    Attributes:
        shard: The shard.
        view: The name of the view, of letters, digits and "_".
        key: The digest of all that decides about the features of an image in the view.
        row: The type of an image's row, see `row_type`.
        images: The numbers of the images in the shard; None for all.
    """

    shard: Shard
    view: str
    key: str
    row: np.dtype
    images: range | None = None

    @property
    def rows(self) -> int:
        """The number of rows."""
        return self.shard.samples if self.images is None else len(self.images)

    @property
    def name(self) -> str:
        """The name of the file's lock, and the beginning of its own."""
        part = "" if self.images is None else f".{self.images.start}"
        return f"{self.shard.sha256}.{self.key}.{self.view}{part}"


def row_type(shapes: Iterable[Sequence[int]]) -> np.dtype:
    """The type of an image's row: a float16 array for each tensor of the features.

    Args:
        shapes: The shape of each tensor of an image, such as (C, h, w). It is kept with its channels, the third last
            dimension, at the end, as networks compute it.

    >>> row_type([(1280, 7, 7)]).itemsize
    125440
    """
    return np.dtype([(str(number), np.float16, _channels_last(shape)) for number, shape in enumerate(shapes)])


def _channels_last(shape: Sequence[int]) -> tuple[int, ...]:
    *before, channels, height, width = shape
    return (*before, height, width, channels)


@dataclass(frozen=True)
class FeatureCache(Cache):
    """The features of images, made on demand; any number of processes may use it at the same time.

    Attributes:
        used: The files that are not removed to make room for others.
    """

    used: frozenset[FeatureFile] = frozenset()

    def bytes_of(self, file: FeatureFile) -> int:
        """The size of a file, in bytes."""
        return len(_header(file)) + file.rows * file.row.itemsize

    def fits(self, files: Collection[FeatureFile]) -> bool:
        """Whether the cache has room for all these files at the same time."""
        return sum(map(self.bytes_of, files)) <= self.capacity

    def missing(self, files: Iterable[FeatureFile]) -> list[FeatureFile]:
        """Those of the files that have not been made yet."""
        return [file for file in files if not self._path(file).exists()]

    def make(self, files: Iterable[FeatureFile], compute: Callable[[FeatureFile], Iterable[np.ndarray]]) -> None:
        """Makes those files that do not exist yet; returns when all exist, also those that other processes make.

        Args:
            files: The files, in the order in which they are tried: one that another process makes now is tried later.
            compute: A function that gives the rows of a file, of its type, in the order of its images and in parts of
                any size.
        """
        waiting, in_vain = deque(files), 0
        while waiting:
            file = waiting.popleft()
            if self._make(file, compute):
                in_vain = 0
                continue
            waiting.append(file)
            in_vain += 1
            if in_vain == len(waiting):
                in_vain = 0
                time.sleep(LOOK_EVERY_S)

    def open(self, file: FeatureFile) -> np.ndarray | None:
        """The rows of a file, memory-mapped (N,) of its type; None if it does not exist."""
        path = self._path(file)
        with contextlib.suppress(FileNotFoundError):
            return map_array(path)
        return None

    def _make(self, file: FeatureFile, compute: Callable[[FeatureFile], Iterable[np.ndarray]]) -> bool:
        """Makes a file unless it exists; returns False if another process makes it now."""
        path = self._path(file)
        if path.exists():
            return True
        try:
            with self._lock(file.name, blocking=False):
                if not path.exists():
                    with self._written(path, self.bytes_of(file)) as out:
                        out.write(_header(file))
                        rows = sum(out.write(part.tobytes()) // file.row.itemsize for part in compute(file))
                        if rows != file.rows:
                            raise ValueError(f"{path}: {rows} rows of {file.rows} images")
        except Timeout:
            return False
        return True

    def _path(self, file: FeatureFile) -> Path:
        return self.folder / f"{file.name}{END}"

    def _keeps(self, path: Path) -> bool:
        return path.name in self._kept

    @cached_property
    def _kept(self) -> frozenset[str]:
        """The names of the files that are not removed."""
        return frozenset(f"{file.name}{END}" for file in self.used)


def _header(file: FeatureFile) -> bytes:
    """The head of a NumPy file."""
    head = io.BytesIO()
    descr = np.lib.format.dtype_to_descr(file.row)
    np.lib.format.write_array_header_1_0(head, {"descr": descr, "fortran_order": False, "shape": (file.rows,)})
    return head.getvalue()
