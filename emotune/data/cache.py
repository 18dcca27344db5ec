"""Each shard decoded once per machine, into a memory-mapped array; pictures are then drawn from it by index.

Whichever run comes first decodes, under a file lock, into a temporary file that is renamed when whole. Files are named
after the shard's hash, so runs, studies and users of one cache folder share them, and a changed shard is another file.
Where the budget ends, the arrays that were not used for longest make room; those who have one open keep it, because
Linux keeps an unlinked file for as long as it is mapped. What is known of the samples (keys, labels, votes) stays.
"""

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from io import BufferedWriter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from filelock import FileLock, Timeout

from emotune.data.background import in_parallel
from emotune.data.datasets import cache_folder, ensure, manifest_of
from emotune.data.manifest import SPLITS, Manifest, Shard
from emotune.data.samples import SIDE, Sample, checked_samples, decode_sample, miscounted
from emotune.errors import InputError
from emotune.run import DatasetRef
from emotune.storage import Folder

__all__ = ["MOST_THREADS", "SIDE", "Cache", "Known", "OpenShard", "decodable_splits", "open_shards", "room_needed"]

LEFT_FREE = 0.1
"""Share of the disk that a cache without a budget of its own leaves free, up to `LEFT_FREE_AT_MOST`."""

LEFT_FREE_AT_MOST = 5e9
"""Bytes that are enough for what else is written; a tenth of a large disk would be a data set that is streamed."""

HEADER = 128
"""Bytes before the pictures in NumPy's file format."""

MOST_THREADS = 8
"""That decode: they share Python's lock, so more would hold more in memory and be little faster."""


class Known(NamedTuple):
    """What is known of a sample without its picture."""

    key: str
    label: str
    votes: dict[str, float]
    group: str

    @classmethod
    def of(cls, sample: Sample) -> "Known":
        """What is known of a sample that has been read."""
        return cls(sample.key, sample.label, sample.votes, sample.group)


@dataclass(frozen=True)
class OpenShard:
    """A shard's samples, and their pictures, memory-mapped uint8 (N, SIDE, SIDE, 3), if these are kept decoded."""

    shard: Shard
    samples: tuple[Known, ...]
    pictures: np.ndarray | None


def open_shards(
    ref: DatasetRef,
    splits: Collection[str],
    *,
    decoded: Collection[str] = SPLITS,
    cache_gb: float | None = None,
    threads: int = 1,
    advance: Callable[[int], None] = lambda pictures: None,
) -> list[OpenShard]:
    """The shards of some splits, each read and decoded now if this machine has not done it yet.

    Args:
        ref: The data set.
        splits: Which of its shards.
        decoded: Splits whose pictures are kept decoded, see `decodable_splits`; of others only the samples are known.
        cache_gb: Budget of the cache, see `Cache`.
        threads: Threads that decode.
        advance: Called with the number of pictures that are through, shard by shard.

    Raises:
        InputError: a shard is missing, is not what the manifest says, or holds something unreadable.
    """
    folder, manifest = ensure(ref), manifest_of(ref)
    needed = frozenset(shard.sha256 for shard in manifest.shards if shard.split in decoded)
    cache = Cache(cache_folder() / "decoded", cache_gb, needed)

    def opened(shard: Shard) -> OpenShard:
        pictures = cache.pictures(folder, shard) if shard.split in decoded else None
        samples = cache.samples(folder, shard)
        if unknown := {sample.label for sample in samples} - set(manifest.classes):
            raise InputError(f"{folder}: a sample has the label {unknown.pop()!r}, which the manifest does not know")
        return OpenShard(shard, samples, pictures)

    shards = []
    for shard in in_parallel(opened, _of(manifest, splits), min(threads + 1, MOST_THREADS)):  # one waits for the disk
        advance(shard.shard.samples)
        shards.append(shard)
    return shards


def decodable_splits(ref: DatasetRef, cache_gb: float | None = None) -> tuple[str, ...]:
    """The splits whose decoded pictures fit this machine's cache together: all, else val and test, else none."""
    ensure(ref)
    manifest, cache = manifest_of(ref), Cache(cache_folder() / "decoded", cache_gb)
    choices = (SPLITS, ("val", "test"))
    return next((splits for splits in choices if cache.fits(_of(manifest, splits))), ())


def room_needed(refs: Iterable[DatasetRef], cache_gb: float | None = None) -> int:
    """Bytes by which the cache will grow for these data sets; what only replaces others is not counted."""
    cache = Cache(cache_folder() / "decoded", cache_gb)
    shards = [shard for ref in refs for shard in _of(manifest_of(ref), decodable_splits(ref, cache_gb))]
    return cache.growth(shards)


@dataclass(frozen=True)
class Cache:
    """Decoded shards in a folder, made as they are asked for, by any number of processes.

    Attributes:
        folder: On a disk of this machine.
        gigabytes: Decoded pictures may fill so much (10⁹ bytes each); None: the disk, less a tenth of it or 5 GB,
            whichever is less.
        needed: Hashes of shards that are not removed to make room for others.
    """

    folder: Path
    gigabytes: float | None = None
    needed: frozenset[str] = frozenset()

    def fits(self, shards: Iterable[Shard]) -> bool:
        """Whether the decoded pictures of all these shards can be here together, whatever else has to go for them."""
        wanted = {self._array(shard): _decoded_bytes(shard) for shard in shards}
        if self.gigabytes is not None:
            return sum(wanted.values()) <= self.gigabytes * 1e9
        missing = sum(size for path, size in wanted.items() if not path.exists())
        others = sum(stat.st_size for path, stat in self._files("*.npy").items() if path not in wanted)
        return not missing or missing <= self._room() + others

    def growth(self, shards: Iterable[Shard]) -> int:
        """Bytes that are written more than removed, once the decoded pictures of all these shards are here."""
        missing = sum(_decoded_bytes(shard) for shard in set(shards) if not self._array(shard).exists())
        return int(min(missing, max(0.0, self._room()))) if missing else 0

    def pictures(self, folder: Folder, shard: Shard) -> np.ndarray:
        """The shard's pictures, memory-mapped uint8 (N, SIDE, SIDE, 3)."""
        path = self._array(shard)
        while True:  # another process may remove what it does not need before it is opened here
            with contextlib.suppress(FileNotFoundError):
                os.utime(path)  # used now: others go first
                # "c": nobody writes to it, but torch complains about arrays that cannot be written to.
                return np.load(path, mmap_mode="c")
            with self._lock(shard.sha256):
                if not path.exists():
                    self._decode(folder, shard)

    def samples(self, folder: Folder, shard: Shard) -> tuple[Known, ...]:
        """What is known of the shard's samples, in its order."""
        index, name = Folder(str(self.folder)), _index_name(shard)
        if (known := index.read_json(name)) is None:
            known = [Known.of(sample) for sample in checked_samples(folder, shard)]
            index.write_json(name, known)
        if len(known) != shard.samples:
            raise InputError(miscounted(folder, shard, len(known)))
        return tuple(Known(*sample) for sample in known)

    def _decode(self, folder: Folder, shard: Shard) -> None:
        """Writes the shard's array and its index. To be called under the shard's lock."""
        part, known = self._array(shard).with_suffix(".part"), []
        try:
            with part.open("wb") as file:
                self._reserve(file, shard)
                for sample in checked_samples(folder, shard):
                    file.write(decode_sample(sample, str(folder / shard.file)))
                    known.append(Known.of(sample))
                file.flush()
                os.fsync(file.fileno())
            part.replace(self._array(shard))
            with self._lock("room"):
                self._make_room(0)  # others may have written meanwhile
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise InputError(
                f"{self.folder}: the disk is full; make room, let EMOTUNE_CACHE name another place, or give less to "
                "decoded pictures (--cache-gb)"
            ) from None
        finally:
            part.unlink(missing_ok=True)
        Folder(str(self.folder)).write_json(_index_name(shard), known)

    def _reserve(self, file: BufferedWriter, shard: Shard) -> None:
        """Makes room for the shard's array, and lets ``file`` have its size at once, so that others reckon with it."""
        shape = (shard.samples, SIDE, SIDE, 3)
        with self._lock("room"):
            self._make_room(_decoded_bytes(shard))
            np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
            file.truncate(_decoded_bytes(shard))

    def _make_room(self, wanted: int) -> None:
        for path in self.folder.glob("*.part"):
            with contextlib.suppress(Timeout), self._lock(_hash_of(path), blocking=False):
                path.unlink(missing_ok=True)  # who wrote it is dead: it would hold the lock
        arrays = self._files("*.npy")
        for path in sorted(arrays, key=lambda path: arrays[path].st_mtime_ns):
            if self._room() >= wanted:
                return
            if _hash_of(path) not in self.needed:
                path.unlink(missing_ok=True)

    def _room(self) -> float:
        """Bytes that can be written without removing anything."""
        if self.gigabytes is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            disk = shutil.disk_usage(self.folder)
            return disk.free - min(LEFT_FREE * disk.total, LEFT_FREE_AT_MOST)
        files = self._files("*.npy") | self._files("*.part")
        return self.gigabytes * 1e9 - sum(stat.st_size for stat in files.values())

    def _files(self, pattern: str) -> dict[Path, os.stat_result]:
        files = {}
        for path in self.folder.glob(pattern):
            with contextlib.suppress(FileNotFoundError):
                files[path] = path.stat()
        return files

    def _array(self, shard: Shard) -> Path:
        return self.folder / f"{shard.sha256}-{SIDE}.npy"

    def _lock(self, name: str, *, blocking: bool = True) -> FileLock:
        self.folder.mkdir(parents=True, exist_ok=True)
        return FileLock(self.folder / f"{name}.lock", blocking=blocking)


def _of(manifest: Manifest, splits: Collection[str]) -> list[Shard]:
    return [shard for split in splits for shard in manifest.of(split)]


def _decoded_bytes(shard: Shard) -> int:
    return HEADER + shard.samples * SIDE * SIDE * 3


def _index_name(shard: Shard) -> str:
    return f"{shard.sha256}.known.json"  # those of former versions, samples.json, have no groups


def _hash_of(path: Path) -> str:
    return path.name.partition("-")[0]
