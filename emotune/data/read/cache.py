"""What a machine keeps of shards: their images decoded, in memory-mapped arrays, or copies of files behind a URL.

Whichever run comes first decodes or copies a shard, under a file lock, into a temporary file that is renamed when
whole. Files are named after the shard's hash, so runs, studies and users of one cache folder share them, and a changed
shard is another file. Where the budget ends, the files that were not used for longest make room; those who have one
open keep it, because Linux keeps an unlinked file for as long as it is mapped. The index of a shard stays: what is
known of its samples (keys, labels, votes), and where in the shard's file each image is.
"""

import contextlib
import errno
import os
import shutil
import zlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from io import BufferedWriter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from filelock import FileLock, Timeout

from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.data.image_io import IMAGE_SIDE
from emotune.data.manifest import Shard
from emotune.data.shard_reader import Sample, checked_samples, count_mismatch, decode_sample, read_samples, read_shard

__all__ = ["Cache", "SampleInfo", "decoded_bytes"]

LEFT_FREE = 0.1
"""Share of the disk that a cache without a budget of its own leaves free, up to `LEFT_FREE_AT_MOST`."""

LEFT_FREE_AT_MOST = 5e9
"""Bytes that are enough for what else is written; a tenth of a large disk would be a data set that is not decoded."""

HEADER = 128
"""Bytes before the images in NumPy's file format."""

KEPT = ("*.npy", "*.tar")
"""Decoded images, and copies of shards."""


class SampleInfo(NamedTuple):
    """What is known of a sample without its image, and where that is in the shard's file: an entry of its index."""

    key: str
    label: str
    votes: dict[str, float]
    group: str
    start: int
    bytes: int
    crc32: int

    @classmethod
    def from_sample(cls, sample: Sample) -> "SampleInfo":
        """What is known of a sample that has been read."""
        jpg = sample.jpg
        return cls(sample.key, sample.label, sample.votes, sample.group, sample.start, len(jpg), zlib.crc32(jpg))


def decoded_bytes(shard: Shard) -> int:
    """Bytes of the file of a shard's decoded images."""
    return HEADER + shard.samples * IMAGE_SIDE * IMAGE_SIDE * 3


@dataclass(frozen=True)
class Cache:
    """Decoded or copied shards in a folder, made as they are asked for, by any number of processes.

    Attributes:
        folder: On a disk of this machine.
        gigabytes: Arrays and copies may fill so much (10⁹ bytes each); None: the disk, less a tenth of it or 5 GB,
            whichever is less.
        needed: Hashes of shards that are not removed to make room for others.
    """

    folder: Path
    gigabytes: float | None = None
    needed: frozenset[str] = frozenset()

    @property
    def capacity(self) -> float:
        """Bytes that arrays and copies can fill, whatever is there now."""
        if self.gigabytes is not None:
            return self.gigabytes * 1e9
        return max(0.0, self.room()) + sum(stat.st_size for stat in self._files(*KEPT).values())

    def room(self) -> float:
        """Bytes that can be written without removing anything."""
        if self.gigabytes is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            disk = shutil.disk_usage(self.folder)
            return disk.free - min(LEFT_FREE * disk.total, LEFT_FREE_AT_MOST)
        return self.gigabytes * 1e9 - sum(stat.st_size for stat in self._files(*KEPT, "*.part").values())

    def missing(self, decoded: Iterable[Shard], copied: Iterable[Shard]) -> int:
        """Bytes that would have to be written to have some shards decoded and others copied."""
        arrays = sum(decoded_bytes(shard) for shard in decoded if not self._array(shard).exists())
        return arrays + sum(shard.bytes for shard in copied if not self.copy_path(shard).exists())

    def has_decoded(self, shard: Shard) -> bool:
        """Whether the shard's decoded images are here."""
        return self._array(shard).exists()

    def copy_path(self, shard: Shard) -> Path:
        """Where the copy of the shard's file is, or would be."""
        return self.folder / f"{shard.sha256}-copy.tar"

    def images(self, folder: Folder, shard: Shard) -> np.ndarray:
        """The shard's images, memory-mapped uint8 (N, SIDE, SIDE, 3)."""
        path = self._array(shard)
        while True:  # another process may remove what it does not need before it is opened here
            with contextlib.suppress(FileNotFoundError):
                os.utime(path)  # used now: others go first
                # "c": nobody writes to it, but torch complains about arrays that cannot be written to.
                return np.load(path, mmap_mode="c")
            with self._lock(shard.sha256):
                if not path.exists():
                    self._decode(folder, shard)

    def copy(self, folder: Folder, shard: Shard) -> Path:
        """The path of the cache's copy of the shard's file, made now if it is not here."""
        path = self.copy_path(shard)
        while True:
            with contextlib.suppress(FileNotFoundError):
                os.utime(path)
                return path
            with self._lock(shard.sha256):
                if not path.exists():
                    data = read_shard(folder, shard)
                    if self._index(shard) is None:
                        self._write_index(
                            shard, list(map(SampleInfo.from_sample, read_samples(data, str(folder / shard.file))))
                        )
                    with self._written(path, len(data)) as file:
                        file.write(data)

    def samples(self, folder: Folder, shard: Shard) -> tuple[SampleInfo, ...]:
        """The shard's index: what is known of its samples, in its order."""
        known = self._index(shard)
        if known is None:
            with self._lock(shard.sha256):
                if (known := self._index(shard)) is None:
                    known = [SampleInfo.from_sample(sample) for sample in checked_samples(folder, shard)]
                    self._write_index(shard, known)
        if len(known) != shard.samples:
            raise InputError(count_mismatch(folder, shard, len(known)))
        return tuple(SampleInfo(*sample) for sample in known)

    def _decode(self, folder: Folder, shard: Shard) -> None:
        """Writes the shard's array and its index. To be called under the shard's lock."""
        shape, known = (shard.samples, IMAGE_SIDE, IMAGE_SIDE, 3), []
        with self._written(self._array(shard), decoded_bytes(shard)) as file:
            np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
            for sample in checked_samples(folder, shard):
                file.write(decode_sample(sample, str(folder / shard.file)))
                known.append(SampleInfo.from_sample(sample))
        self._write_index(shard, known)

    @contextlib.contextmanager
    def _written(self, path: Path, size: int) -> Iterator[BufferedWriter]:
        """A file to write that appears at ``path`` when it is whole. To be called under the shard's lock."""
        part = path.with_suffix(".part")
        try:
            with part.open("wb") as file:
                with self._lock("room"):
                    self._make_room(size)
                    file.truncate(size)  # at once, so that others reckon with it
                yield file
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
            with self._lock("room"):
                self._make_room(0)  # others may have written meanwhile
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise InputError(
                f"{self.folder}: the disk is full; make room, let EMOTUNE_CACHE name another place, or give less to "
                "decoded images (--cache-gb)"
            ) from None
        finally:
            part.unlink(missing_ok=True)

    def _make_room(self, wanted: int) -> None:
        for path in self.folder.glob("*.part"):
            with contextlib.suppress(Timeout), self._lock(_hash_of(path), blocking=False):
                path.unlink(missing_ok=True)  # who wrote it is dead: it would hold the lock
        files = self._files(*KEPT)
        for path in sorted(files, key=lambda path: files[path].st_mtime_ns):
            if self.room() >= wanted:
                return
            if _hash_of(path) not in self.needed:
                path.unlink(missing_ok=True)

    def _files(self, *patterns: str) -> dict[Path, os.stat_result]:
        files = {}
        for path in (path for pattern in patterns for path in self.folder.glob(pattern)):
            with contextlib.suppress(FileNotFoundError):
                files[path] = path.stat()
        return files

    def _index(self, shard: Shard) -> list[list] | None:
        return Folder(str(self.folder)).read_json(_index_name(shard))

    def _write_index(self, shard: Shard, known: Collection[SampleInfo]) -> None:
        Folder(str(self.folder)).write_json(_index_name(shard), known)
        for earlier in self.folder.glob(f"{shard.sha256}.known.json"):  # did not say where images are
            earlier.unlink(missing_ok=True)

    def _array(self, shard: Shard) -> Path:
        return self.folder / f"{shard.sha256}-{IMAGE_SIDE}.npy"

    def _lock(self, name: str, *, blocking: bool = True) -> FileLock:
        self.folder.mkdir(parents=True, exist_ok=True)
        return FileLock(self.folder / f"{name}.lock", blocking=blocking)


def _index_name(shard: Shard) -> str:
    return f"{shard.sha256}.index.json"


def _hash_of(path: Path) -> str:
    return path.name.partition("-")[0]
