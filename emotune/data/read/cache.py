"""Cache of decoded shards (memory-mapped arrays) and of copies of shards behind a URL, shared by all processes.

The first run that needs a shard decodes or copies it, under a file lock, into a temporary file that is renamed when it
is complete. Files are named after the hash of the shard and the size of its images: all runs, studies and users of a
cache folder share them, and a changed shard gets another file. When the cache is full, the least recently used files
are removed. A process that has one open keeps it, because Linux keeps an unlinked file for as long as it is mapped. The
index of a shard is not removed: the keys, labels and votes of its samples, and the position of each image in the file
of the shard.
"""

import contextlib
import errno
import os
import shutil
import threading
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BufferedWriter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from filelock import FileLock, Timeout

from emotune.config.input_spec import InputSpec
from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.data.manifest import Rating, Shard
from emotune.data.shard_reader import Sample, checked_samples, count_mismatch, decode_sample, read_samples, read_shard

__all__ = ["Cache", "SampleInfo", "decoded_bytes", "map_array"]

LEFT_FREE = 0.1
"""Share of the disk that a cache without a size of its own leaves free, up to `LEFT_FREE_AT_MOST`."""

LEFT_FREE_AT_MOST = 5e9
"""Bytes that suffice for other files; a tenth of a large disk could hold a whole decoded data set."""

HEADER = 128
"""Bytes before the images in a NumPy file."""

COPY = "copy.tar"
"""The end of the names of copies of shards; those of arrays end in the size of their images."""

HEAD_LOCK = threading.Lock()
"""One thread at a time reads the head of a NumPy file, with Python's parser: in Python 3.11 others would disturb it."""

REMOVABLE = ("*.npy", "*.tar")
"""Patterns of the files that may be removed to make room: decoded images, and copies of shards."""


NO_RATINGS: dict[str, Rating] = {}


class SampleInfo(NamedTuple):
    """An entry of a shard's index: a sample without its image, and the position of the image in the shard's file.

    Attributes:
        key: The key of the sample.
        label: Its class.
        votes: The annotators' votes, by class.
        group: The group of near-duplicates that it belongs to.
        start: The position of its JPEG in the file of the shard, in bytes.
        bytes: The length of the JPEG.
        crc32: The checksum of the JPEG.
        ratings: The annotators' ratings by dimension; empty unless the data set's target is *dimensions*.
    """

    key: str
    label: str
    votes: dict[str, float]
    group: str
    start: int
    bytes: int
    crc32: int
    ratings: Mapping[str, Rating] = NO_RATINGS

    @classmethod
    def from_sample(cls, sample: Sample) -> "SampleInfo":
        """The index entry of a sample that has been read."""
        jpg = sample.jpg
        place = sample.start, len(jpg), zlib.crc32(jpg)
        return cls(sample.key, sample.label, sample.votes, sample.group, *place, sample.ratings)


def decoded_bytes(shard: Shard, input_spec: InputSpec = InputSpec()) -> int:
    """The size of the file of a shard's decoded images, in bytes."""
    return HEADER + shard.samples * input_spec.frames * input_spec.resize * input_spec.resize * 3


def map_array(path: Path) -> np.ndarray:
    """The array in a NumPy file of the cache, memory-mapped; the file is marked as just used, so that others go first.

    Raises:
        FileNotFoundError: the file does not exist.
    """
    os.utime(path)
    with HEAD_LOCK:
        return np.load(path, mmap_mode="c")  # nobody writes, but torch warns about arrays that are not writable


@dataclass(frozen=True)
class Cache:
    """Decoded or copied shards in a folder, made on demand; any number of processes may use it at the same time.

    Attributes:
        folder: The folder, on a disk of this machine.
        gigabytes: The size of the cache in units of 10⁹ bytes; None for the free disk space less a tenth of the disk,
            or less 5 GB if that is smaller.
        needed: The hashes of the shards that are not removed to make room for others, as far as they have this size.
        input_spec: The input of the network, which gives the size and the interpolation of decoded images.
    """

    folder: Path
    gigabytes: float | None = None
    needed: frozenset[str] = frozenset()
    input_spec: InputSpec = InputSpec()

    @property
    def capacity(self) -> float:
        """The number of bytes that arrays and copies can fill in all."""
        if self.gigabytes is not None:
            return self.gigabytes * 1e9
        return max(0.0, self.free_bytes()) + sum(stat.st_size for stat in self._files(*REMOVABLE).values())

    def free_bytes(self) -> float:
        """The number of bytes that can be written without removing anything."""
        if self.gigabytes is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            disk = shutil.disk_usage(self.folder)
            return disk.free - min(LEFT_FREE * disk.total, LEFT_FREE_AT_MOST)
        return self.gigabytes * 1e9 - sum(stat.st_size for stat in self._files(*REMOVABLE, "*.part").values())

    def missing_bytes(self, decoded: Iterable[Shard], copied: Iterable[Shard]) -> int:
        """The number of bytes that must be written to have some shards decoded and others copied."""
        arrays = sum(decoded_bytes(shard, self.input_spec) for shard in decoded if not self._array(shard).exists())
        return arrays + sum(shard.bytes for shard in copied if not self.copy_path(shard).exists())

    def has_decoded(self, shard: Shard) -> bool:
        """Whether the decoded images of the shard are in the cache."""
        return self._array(shard).exists()

    def copy_path(self, shard: Shard) -> Path:
        """The path of the copy of the shard's file, whether or not it exists."""
        return self.folder / f"{shard.sha256}-{COPY}"

    def images(self, folder: Folder, shard: Shard) -> np.ndarray:
        """The shard's images, memory-mapped uint8 (N, resize, resize, 3), decoded now if need be.

        Clips are (N, frames, resize, resize, 3).
        """
        path = self._array(shard)
        while True:  # another process may remove the file before it is opened here
            with contextlib.suppress(FileNotFoundError):
                return map_array(path)
            with self._lock(shard.sha256):
                if not path.exists():
                    self._decode(folder, shard)

    def copy(self, folder: Folder, shard: Shard) -> Path:
        """The path of the cache's copy of the shard's file, which is made now if need be."""
        path = self.copy_path(shard)
        while True:
            with contextlib.suppress(FileNotFoundError):
                os.utime(path)
                return path
            with self._lock(shard.sha256):
                if not path.exists():
                    data = read_shard(folder, shard)
                    if self._read_index(shard) is None:
                        self._write_index(
                            shard, list(map(SampleInfo.from_sample, read_samples(data, str(folder / shard.file))))
                        )
                    with self._written(path, len(data)) as file:
                        file.write(data)

    def samples(self, folder: Folder, shard: Shard) -> tuple[SampleInfo, ...]:
        """The index of the shard: its samples without their images, in order."""
        index = self._read_index(shard)
        if index is None:
            with self._lock(shard.sha256):
                if (index := self._read_index(shard)) is None:
                    index = [SampleInfo.from_sample(sample) for sample in checked_samples(folder, shard)]
                    self._write_index(shard, index)
        if len(index) != shard.samples:
            raise InputError(count_mismatch(folder, shard, len(index)))
        return tuple(index)

    def _decode(self, folder: Folder, shard: Shard) -> None:
        """Writes the shard's array and its index; the caller must hold the shard's lock."""
        side, frames = self.input_spec.resize, self.input_spec.frames
        shape = (shard.samples, *([frames] if frames > 1 else []), side, side, 3)
        index: list[SampleInfo] = []
        with self._written(self._array(shard), decoded_bytes(shard, self.input_spec)) as file:
            np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
            for sample in checked_samples(folder, shard):
                file.write(decode_sample(sample, str(folder / shard.file), self.input_spec).data)
                index.append(SampleInfo.from_sample(sample))
        self._write_index(shard, index)

    @contextlib.contextmanager
    def _written(self, path: Path, size: int) -> Iterator[BufferedWriter]:
        """A file to write, which appears at ``path`` when it is complete; the caller must hold the shard's lock."""
        part = path.with_suffix(".part")
        try:
            with part.open("wb") as file:
                with self._lock("room"):
                    self._make_room(size)
                    file.truncate(size)  # at once, so that other processes take it into account
                yield file
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
            with self._lock("room"):
                self._make_room(0)  # other processes may have written meanwhile
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise InputError(
                f"{self.folder}: the disk is full; free disk space, set EMOTUNE_CACHE to another folder, or lower "
                "--cache-gb"
            ) from None
        finally:
            part.unlink(missing_ok=True)

    def _make_room(self, wanted: int) -> None:
        """Removes the remains of killed processes, and the least recently used files until there is enough room."""
        for path in self.folder.glob("*.part"):
            with contextlib.suppress(Timeout), self._lock(_hash_of(path), blocking=False):
                path.unlink(missing_ok=True)  # its writer is dead, or it would hold the lock
        if self.free_bytes() >= wanted:  # as a rule, and there may be thousands of files
            return
        files = self._files(*REMOVABLE)
        for path in sorted(files, key=lambda path: files[path].st_mtime_ns):
            if self.free_bytes() >= wanted:
                return
            if not self._keeps(path):
                path.unlink(missing_ok=True)

    def _keeps(self, path: Path) -> bool:
        """Whether a file is not removed to make room for others."""
        return _hash_of(path) in self.needed and path.name.endswith((f"-{self._array_end}", f"-{COPY}"))

    def _files(self, *patterns: str) -> dict[Path, os.stat_result]:
        files = {}
        for path in (path for pattern in patterns for path in self.folder.glob(pattern)):
            with contextlib.suppress(FileNotFoundError):
                files[path] = path.stat()
        return files

    def _read_index(self, shard: Shard) -> list[SampleInfo] | None:
        rows = Folder(str(self.folder)).read_json(_index_name(shard))
        return None if rows is None else [SampleInfo(*row) for row in rows]

    def _write_index(self, shard: Shard, index: Sequence[SampleInfo]) -> None:
        Folder(str(self.folder)).write_json(_index_name(shard), index)

    def _array(self, shard: Shard) -> Path:
        return self.folder / f"{shard.sha256}-{self._array_end}"

    @property
    def _array_end(self) -> str:
        """The end of the names of arrays; the usual interpolation is not a part of it."""
        size, interpolation = self.input_spec.resize, self.input_spec.interpolation
        return f"{size}.npy" if interpolation == InputSpec.interpolation else f"{size}-{interpolation}.npy"

    def _lock(self, name: str, *, blocking: bool = True) -> FileLock:
        self.folder.mkdir(parents=True, exist_ok=True)
        return FileLock(self.folder / f"{name}.lock", blocking=blocking)


def _index_name(shard: Shard) -> str:
    return f"{shard.sha256}.index.json"


def _hash_of(path: Path) -> str:
    return path.name.partition("-")[0]
