"""Random access to the images of a shard that is not decoded, by their offsets in its file."""

import os
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emotune.config.input_spec import InputSpec
from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.data.image_io import UnreadableImageError
from emotune.data.manifest import Shard
from emotune.data.read.cache import Cache, SampleInfo
from emotune.data.shard_reader import decode_input

__all__ = ["IndexedShard"]

ATTEMPTS = 10
"""How often a copy is made again that other processes remove at once because the cache is too small for all of them."""


@dataclass(frozen=True)
class IndexedShard:
    """The file of a shard on this machine, whose images are read and decoded by index.

    The file was verified when its index was made. Each image is compared with the index again, so that a later change
    of the file is noticed at the first changed image.

    Attributes:
        path: The path of the file.
        samples: The shard's index.
        fetch: A function that puts a copy of the file at ``path`` unless it is there; None if the file is the original.
        input_spec: The input of the network, which gives the images' size and interpolation.
    """

    path: Path
    samples: Sequence[SampleInfo]
    fetch: Callable[[], Path] | None = None
    input_spec: InputSpec = InputSpec()

    @classmethod
    def open(cls, cache: Cache, folder: Folder, shard: Shard, input_spec: InputSpec = InputSpec()) -> "IndexedShard":
        """The file of a shard in a local folder, or its copy in the cache, which is made when it is needed.

        Raises:
            InputError: the file is missing, or its size is not the one in the manifest.
        """
        samples = cache.samples(folder, shard)
        if folder.local is None:
            return cls(cache.copy_path(shard), samples, lambda: cache.copy(folder, shard), input_spec)
        path = folder.local / shard.file
        if not path.exists():
            raise InputError(_missing(path))
        if path.stat().st_size != shard.bytes:
            raise InputError(_damaged(path, "its size is not the one in the manifest"))
        return cls(path, samples, None, input_spec)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, row: int) -> np.ndarray:
        """The image in a row, uint8 (resize, resize, 3); or the clip, (frames, resize, resize, 3).

        Raises:
            InputError: the file is missing or damaged, or the image cannot be decoded.
        """
        sample = self.samples[row]
        data = self._read(sample)
        if zlib.crc32(data) != sample.crc32:
            raise InputError(_damaged(self.path, f"{sample.key} has changed since the shard was verified"))
        try:
            image = decode_input(data, self.input_spec)
        except UnreadableImageError as error:
            raise InputError(f"{self.path}: {sample.key}: {error}") from None
        return image if image.flags.writeable else image.copy()  # torch warns about arrays that are not writable

    def _read(self, sample: SampleInfo) -> bytes:
        # The file is opened each time: there may be more files than a process may have open, and copies come and go.
        for _ in range(ATTEMPTS if self.fetch else 1):
            try:
                descriptor = os.open(self.path, os.O_RDONLY)
            except FileNotFoundError:
                if self.fetch:
                    self.fetch()
                continue
            try:
                return os.pread(descriptor, sample.bytes, sample.start)
            finally:
                os.close(descriptor)
        if self.fetch:
            raise InputError(f"{self.path}: other processes remove this file again and again; raise --cache-gb")
        raise InputError(_missing(self.path))


def _missing(path: Path) -> str:
    return f"{path}: missing, although the manifest lists it; run emotune.shard again"


def _damaged(path: Path, detail: str) -> str:
    return f"{path}: damaged ({detail}); delete it and run emotune.shard again"
