"""Images of a shard that is not kept decoded: each is read at its offset in the file and decoded when asked for."""

import os
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.data.image_io import IMAGE_SIDE, UnreadableImageError, decode_square
from emotune.data.manifest import Shard
from emotune.data.read.cache import Cache, SampleInfo

__all__ = ["IndexedShard"]

ATTEMPTS = 10
"""Times that a copy is made which others remove at once, because the cache has too little room for all who use it."""


@dataclass(frozen=True)
class IndexedShard:
    """A shard's file on this machine's disk, whose images are read by index.

    What is read was verified when the index was made, and is compared with it again: a file that was changed since is
    noticed at the first image that is not as it was.

    Attributes:
        path: Of the file.
        samples: The shard's index.
        fetch: Puts a copy of the file at ``path``, unless it is there; None where the file is the original.
    """

    path: Path
    samples: Sequence[SampleInfo]
    fetch: Callable[[], Path] | None = None

    @classmethod
    def open(cls, cache: Cache, folder: Folder, shard: Shard) -> "IndexedShard":
        """The file of a shard whose folder is on this machine's file system, or that can be copied into the cache.

        Raises:
            InputError: the file is missing, or has another size than the manifest says.
        """
        samples = cache.samples(folder, shard)
        if folder.local is None:
            return cls(cache.copy_path(shard), samples, lambda: cache.copy(folder, shard))
        path = folder.local / shard.file
        if not path.exists():
            raise InputError(_missing(path))
        if path.stat().st_size != shard.bytes:
            raise InputError(_damaged(path, "its size is not the one that the manifest lists"))
        return cls(path, samples)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, row: int) -> np.ndarray:
        """The image of a sample, uint8 (SIDE, SIDE, 3).

        Raises:
            InputError: the file is missing or damaged, or the image cannot be decoded.
        """
        known = self.samples[row]
        data = self._read(known)
        if zlib.crc32(data) != known.crc32:
            raise InputError(_damaged(self.path, f"{known.key} is not as it was when the shard was verified"))
        try:
            image = decode_square(data, IMAGE_SIDE)
        except UnreadableImageError as error:
            raise InputError(f"{self.path}: {known.key}: {error}") from None
        return image if image.flags.writeable else image.copy()  # as torch wants it

    def _read(self, known: SampleInfo) -> bytes:
        # Opened each time: files may be more than a process may have open, and copies come and go.
        for _ in range(ATTEMPTS if self.fetch else 1):
            try:
                descriptor = os.open(self.path, os.O_RDONLY)
            except FileNotFoundError:
                if self.fetch:
                    self.fetch()
                continue
            try:
                return os.pread(descriptor, known.bytes, known.start)
            finally:
                os.close(descriptor)
        if self.fetch:
            raise InputError(f"{self.path}: removed again and again; give the cache more room (--cache-gb)")
        raise InputError(_missing(self.path))


def _missing(path: Path) -> str:
    return f"{path}: missing, though the manifest lists it; run emotune.shard again"


def _damaged(path: Path, what: str) -> str:
    return f"{path}: damaged ({what}); delete it, run emotune.shard again"
