"""Images of another data set that networks have seen in training: the same file, or nearly the same picture.

Compared are the perceptual hashes of the images as shards hold them, also mirrored, at the distance within which images
of one data set land in the same split (`emotune.data.build.perceptual_hash`), and the keys of samples, which are hashes
of the images' original files. Images without structure have no perceptual hash.
"""

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock
from PIL import Image

from emotune.config.run import DatasetRef
from emotune.core.cache_dir import cache_folder
from emotune.core.storage import Folder
from emotune.core.threads import parallel_map
from emotune.data.annotations import agreement_of
from emotune.data.build.hamming_search import WORDS, pairs_within
from emotune.data.build.near_duplicates import hash_table
from emotune.data.build.perceptual_hash import SCENE_DISTANCE, perceptual_hashes
from emotune.data.datasets.location import manifest_of, materialise
from emotune.data.manifest import SPLITS, Shard
from emotune.data.shard_reader import checked_samples

__all__ = ["near_training"]

FORMAT = 2
"""A part of the name of the folder; it is raised when its files would hold something else than before."""
HASH_BYTES = 8 * WORDS
_found: dict[tuple[DatasetRef, bool, DatasetRef, tuple[str, ...]], frozenset[str]] = {}  # runs of a study ask alike


@dataclass(frozen=True)
class _Hashes:
    """Samples, and how they look.

    Attributes:
        keys: Their keys.
        agreement: How far annotators agreed about each of them, see `agreement_of`.
        table: Their perceptual hashes followed by those of their mirror images, (N, 8) of uint64: zeros for an image
            without structure.
    """

    keys: tuple[str, ...]
    agreement: tuple[str, ...]
    table: np.ndarray


def near_training(
    trained_on: DatasetRef,
    other: DatasetRef,
    splits: Sequence[str],
    *,
    threads: int = 1,
    advance: Callable[[int], None] = lambda images: None,
) -> frozenset[str]:
    """The keys of those images of another data set that are near an image that networks were trained or validated on.

    Of a data set of which a part is used, only images of that part count as seen. Of one that is divided otherwise than
    its shards, those of all splits do, so that all divisions are tested on the same images. Hashes are computed once
    per shard and machine, and kept in the cache folder.

    Args:
        trained_on: The data set that the networks were trained on.
        other: The other data set.
        splits: Its splits.
        threads: The number of threads that compute hashes.
        advance: A function that is called with the number of images that are ready, shard by shard.

    Raises:
        InputError: a shard cannot be read.
    """
    key = (trained_on.undivided, bool(trained_on.division), other, tuple(splits))
    if key not in _found:
        seen = _hashes(trained_on, SPLITS if trained_on.division else ("train", "val"), threads, advance)
        _found[key] = _near(_hashes(other, splits, threads, advance), seen)
    return _found[key]


def _near(images: _Hashes, seen: _Hashes) -> frozenset[str]:
    """The keys of the images that are near one that was seen."""
    near = np.isin(np.array(images.keys, dtype=object), np.array(seen.keys, dtype=object))
    rows, of_seen = (np.flatnonzero(one.table.any(axis=1)) for one in (images, seen))

    def add(i: np.ndarray, _: np.ndarray) -> None:
        near[rows[i]] = True

    straight = seen.table[of_seen, :WORDS]
    for part in (images.table[rows, :WORDS], images.table[rows, WORDS:]):
        if len(part) and len(straight):
            pairs_within(np.ascontiguousarray(part), np.ascontiguousarray(straight), SCENE_DISTANCE, add)
    return frozenset(key for key, is_near in zip(images.keys, near, strict=True) if is_near)


def _hashes(ref: DatasetRef, splits: Iterable[str], threads: int, advance: Callable[[int], None]) -> _Hashes:
    """The hashes of all images of some splits, in the part of the data set that is used."""
    folder, manifest = materialise(ref), manifest_of(ref)
    keys: list[str] = []
    agreement: list[str] = []
    tables = [np.empty((0, 2 * WORDS), np.uint64)]
    shards = [shard for split in splits for shard in manifest.shards_of(split)]
    for one in parallel_map(lambda shard: _of_shard(folder, shard), shards, threads):
        used = [row for row, kind in enumerate(one.agreement) if ref.part in ("all", kind)]
        keys += [one.keys[row] for row in used]
        agreement += [one.agreement[row] for row in used]
        tables.append(one.table[used])
        advance(len(one.keys))
    return _Hashes(tuple(keys), tuple(agreement), np.concatenate(tables))


def _of_shard(folder: Folder, shard: Shard) -> _Hashes:
    """The hashes of a shard's images, from the cache if it has them."""
    cache = cache_folder() / f"hashes-{FORMAT}"
    cache.mkdir(parents=True, exist_ok=True)
    path = cache / f"{shard.sha256}.npz"
    with FileLock(f"{path}.lock"):
        if path.exists():
            with np.load(path, allow_pickle=False) as file:
                return _Hashes(tuple(file["keys"].tolist()), tuple(file["agreement"].tolist()), file["table"])
        samples = [
            (sample.key, agreement_of(sample.label, sample.votes), *_hash(sample.jpg))
            for sample in checked_samples(folder, shard)
        ]
        keys, agreement, straight, mirrored = zip(*samples, strict=True)
        found = _Hashes(keys, agreement, hash_table(straight, mirrored))
        _write(path, found)
    return found


def _hash(jpeg: bytes) -> tuple[bytes, bytes]:
    with Image.open(io.BytesIO(jpeg)) as image:
        straight, mirrored = perceptual_hashes(image)
    return straight or bytes(HASH_BYTES), mirrored or bytes(HASH_BYTES)


def _write(path: Path, hashes: _Hashes) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, keys=np.array(hashes.keys), agreement=np.array(hashes.agreement), table=hashes.table)
    Folder(str(path.parent)).write(path.name, buffer.getvalue())
