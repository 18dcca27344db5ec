"""Shards opened for reading, decoded as far as a machine has room: that decides how fast they are read, not what is.

Images of shards that do not fit decoded are read from the shards' files, at their offsets. Shards behind a URL are
copied to this machine first: all of them at once, or, in the order of shards, one after another.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

import numpy as np

from emotune.config.model import NetworkConfig
from emotune.config.run import DatasetRef, RunConfig
from emotune.config.train import Order
from emotune.core.cache_dir import cache_folder
from emotune.core.errors import InputError
from emotune.core.threads import parallel_map
from emotune.data.datasets.location import manifest_of, materialise, shards_folder
from emotune.data.manifest import SPLITS, Manifest, Shard
from emotune.data.read.cache import Cache, SampleInfo, decoded_bytes
from emotune.data.read.indexed_shard import IndexedShard

__all__ = [
    "MAX_DECODE_THREADS",
    "SHARDS_MIXED",
    "CachedShard",
    "decoded_shards",
    "open_shards",
    "order_of",
    "room_needed",
]

MAX_DECODE_THREADS = 8
"""That decode: they share Python's lock, so more would hold more in memory and be little faster."""

SHARDS_MIXED = 4
"""Shards whose images are mixed where a study asks for the order of shards; part of what the order means."""

SHARDS_ON_DISK = 2 * SHARDS_MIXED + 1
"""Shards that a run in the order of shards needs on the disk: those being read, those that come next, and one more."""


@dataclass(frozen=True)
class CachedShard:
    """A shard's samples, and its images: decoded, memory-mapped uint8 (N, SIDE, SIDE, 3), or in its file."""

    shard: Shard
    samples: tuple[SampleInfo, ...]
    images: np.ndarray | IndexedShard


def open_shards(
    ref: DatasetRef,
    splits: Collection[str],
    *,
    decoded: Collection[str] | None = None,
    order: Order = "images",
    cache_gb: float | None = None,
    threads: int = 1,
    advance: Callable[[int], None] = lambda images: None,
) -> list[CachedShard]:
    """The shards of some splits, each verified, and decoded or copied, now if this machine has not done it yet.

    Args:
        ref: The data set.
        splits: Which of its shards.
        decoded: Hashes of the shards that are kept decoded, see `decoded_shards`; None: all.
        order: Of the training images. In that of shards, files behind a URL are copied when they are read.
        cache_gb: Budget of the cache, see `Cache`.
        threads: Threads that decode.
        advance: Called with the number of images that are through, shard by shard.

    Raises:
        InputError: a shard is missing, is not what the manifest says, or holds something unreadable.
    """
    folder, manifest = materialise(ref), manifest_of(ref)
    everything = frozenset(shard.sha256 for shard in manifest.shards)
    kept = everything if decoded is None else frozenset(decoded)
    copied = folder.local is None and order == "images"
    cache = Cache(cache_folder() / "decoded", cache_gb, everything if copied else kept)

    def opened(shard: Shard) -> CachedShard:
        if shard.sha256 in kept:
            images = cache.images(folder, shard)
        else:
            if copied:
                cache.copy(folder, shard)
            images = IndexedShard.open(cache, folder, shard)
        samples = cache.samples(folder, shard)
        if unknown := {sample.label for sample in samples} - set(manifest.classes):
            raise InputError(f"{folder}: a sample has the label {unknown.pop()!r}, which the manifest does not know")
        return CachedShard(shard, samples, images)

    shards = []
    for shard in parallel_map(
        opened, _of(manifest, splits), min(threads + 1, MAX_DECODE_THREADS)
    ):  # one waits for the disk
        advance(shard.shard.samples)
        shards.append(shard)
    return shards


def decoded_shards(ref: DatasetRef, cache_gb: float | None = None, order: Order = "images") -> frozenset[str]:
    """Hashes of the shards that this machine keeps decoded: all, if they fit its cache, else of val and test, or none.

    Raises:
        InputError: the shards are behind a URL, and even their files do not fit; with the numbers.
    """
    materialise(ref)
    return frozenset(shard.sha256 for shard in _placed(ref, Cache(cache_folder() / "decoded", cache_gb), order)[0])


def room_needed(runs: Iterable[RunConfig], cache_gb: float | None = None) -> int:
    """Bytes by which the cache will grow for the data sets of runs; what only replaces others is not counted.

    Raises:
        InputError: as `decoded_shards`.
    """
    cache, missing = Cache(cache_folder() / "decoded", cache_gb), 0
    by_data: dict[str, list[RunConfig]] = {}
    for run in runs:
        by_data.setdefault(run.dataset.identity, []).append(run)
    for same in by_data.values():
        missing += cache.missing(*_placed(same[0].dataset, cache, order_of(same)))
    return int(min(missing, max(0.0, cache.room()))) if missing else 0


def order_of(runs: Iterable[RunConfig]) -> Order:
    """The order that needs the most room among those of runs: models that are fitted read shard after shard."""
    by_image = (isinstance(run.model, NetworkConfig) and run.train.order == "images" for run in runs)
    return "images" if any(by_image) else "shards"


def _placed(ref: DatasetRef, cache: Cache, order: Order) -> tuple[list[Shard], list[Shard]]:
    """The shards that are decoded, and those of which there are copies at a time."""
    manifest, remote = manifest_of(ref), shards_folder(ref).local is None
    capacity, copied = cache.capacity, []
    for splits in (SPLITS, ("val", "test"), ()):
        decoded = _of(manifest, splits)
        copied = [shard for shard in manifest.shards if remote and shard.split not in splits]
        if order == "shards":
            copied = sorted(copied, key=lambda shard: -shard.bytes)[:SHARDS_ON_DISK]
        if sum(map(decoded_bytes, decoded)) + _file_bytes(copied) <= capacity:
            return decoded, copied
    raise InputError(_too_large(ref, cache, order, copied))


def _file_bytes(shards: Iterable[Shard]) -> int:
    return sum(shard.bytes for shard in shards)


def _too_large(ref: DatasetRef, cache: Cache, order: Order, copied: Collection[Shard]) -> str:
    needed, capacity = (f"{size / 1e9:,.3g} GB" for size in (_file_bytes(copied), cache.capacity))
    if cache.gigabytes is None:
        room = f"the disk of {cache.folder} can have {capacity} for it"
        remedies = ["make room", "let EMOTUNE_CACHE name another place"]
    else:
        room, remedies = f"the cache {cache.folder} may fill {capacity}", ["raise --cache-gb"]
    if order == "images":
        remedies.append("or have images drawn shard by shard, in another order (train: {order: shards})")
    which = "its shards" if order == "images" else f"{len(copied)} of its shards at a time"
    return (
        f"{ref.name}: {which} are copied from {ref.location} to this machine, which takes {needed}, and {room}; "
        f"{', '.join(remedies)}"
    )


def _of(manifest: Manifest, splits: Collection[str]) -> list[Shard]:
    return [shard for split in splits for shard in manifest.shards_of(split)]
