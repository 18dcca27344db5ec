"""Each shard decoded once per machine, into a memory-mapped array; pictures are then drawn from it by index.

Whichever run comes first decodes, under a file lock, into a temporary file that is renamed when whole. The file's name
is the shard's hash, so runs, studies and users of one cache folder share it, and a changed shard is another file.
"""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock

from emotune.data.datasets import cache_folder, ensure, manifest_of
from emotune.data.manifest import Shard
from emotune.data.pictures import UnreadablePictureError, decode_square
from emotune.data.samples import read_samples
from emotune.errors import InputError
from emotune.run import DatasetRef
from emotune.storage import Folder

__all__ = ["SIDE", "Pictures", "open_split"]

SIDE = 256
"""Pixels; pictures are kept a little larger than the network's 227 so that crops differ."""


@dataclass(frozen=True)
class Pictures:
    """All pictures of one split, in the order of their shards.

    ``targets`` are indices into ``classes``, int64 (N,).
    """

    keys: tuple[str, ...]
    targets: np.ndarray
    classes: tuple[str, ...]
    arrays: tuple[np.ndarray, ...]
    starts: np.ndarray

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, indices: np.ndarray) -> np.ndarray:
        """The pictures at ``indices``: uint8 (B, SIDE, SIDE, 3)."""
        batch = np.empty((len(indices), SIDE, SIDE, 3), np.uint8)
        shards = np.searchsorted(self.starts, indices, side="right") - 1
        for row, (index, shard) in enumerate(zip(indices, shards, strict=True)):
            batch[row] = self.arrays[shard][index - self.starts[shard]]
        return batch


def open_split(ref: DatasetRef, split: str) -> Pictures:
    """The pictures of a split, decoded now if this machine has not done it yet.

    Raises:
        InputError: a shard is missing, is not what the manifest says, or holds something unreadable.
    """
    folder, manifest = ensure(ref), manifest_of(ref)
    arrays, keys, labels = [], [], []
    for shard in manifest.of(split):
        array, samples = _decoded(folder, shard)
        arrays.append(array)
        keys += [key for key, _ in samples]
        labels += [label for _, label in samples]
    index = {label: i for i, label in enumerate(manifest.classes)}
    if unknown := set(labels) - set(index):
        raise InputError(f"{folder}: a sample has the label {unknown.pop()!r}, which the manifest does not know")
    targets = np.array([index[label] for label in labels], dtype=np.int64)
    starts = np.cumsum([0, *(len(array) for array in arrays)])[:-1]
    return Pictures(tuple(keys), targets, manifest.classes, tuple(arrays), starts)


def _decoded(folder: Folder, shard: Shard) -> tuple[np.ndarray, list[tuple[str, str]]]:
    """The shard's pictures, memory-mapped uint8 (N, SIDE, SIDE, 3), and its (key, label) pairs."""
    cache = cache_folder() / "decoded"
    cache.mkdir(parents=True, exist_ok=True)
    array_file, index_file = cache / f"{shard.sha256}-{SIDE}.npy", cache / f"{shard.sha256}-{SIDE}.json"
    if not (index_file.exists() and array_file.exists()):  # the index is written last
        with FileLock(cache / f"{shard.sha256}.lock"):
            if not (index_file.exists() and array_file.exists()):
                _decode(folder, shard, array_file, index_file)
    return np.load(array_file, mmap_mode="r"), json.loads(index_file.read_text())


def _decode(folder: Folder, shard: Shard, array_file: Path, index_file: Path) -> None:
    where = str(folder / shard.file)
    data = folder.read(shard.file)
    if data is None:
        raise InputError(f"{where}: missing, though the manifest lists it; run emotune.shard again")
    if hashlib.sha256(data).hexdigest() != shard.sha256:
        raise InputError(
            f"{where}: damaged (not the bytes that the manifest lists); delete it, run emotune.shard again"
        )
    part = array_file.with_suffix(f".{os.getpid()}.part")
    try:
        array = np.lib.format.open_memmap(part, "w+", np.uint8, (shard.samples, SIDE, SIDE, 3))
        samples = []
        for sample in read_samples(data, where):
            if len(samples) == shard.samples:
                raise InputError(f"{where}: more samples than the {shard.samples} of the manifest; shard again")
            try:
                array[len(samples)] = decode_square(sample.jpg, SIDE)
            except UnreadablePictureError as error:
                raise InputError(f"{where}: {sample.key} ({sample.source}): {error}") from None
            samples.append((sample.key, sample.label))
        if len(samples) != shard.samples:
            raise InputError(f"{where}: {len(samples)} samples, the manifest says {shard.samples}; shard again")
        array.flush()
        del array
        part.replace(array_file)
    finally:
        part.unlink(missing_ok=True)
    Folder(str(index_file.parent)).write_json(index_file.name, samples)
