"""Opens the shards of a data set, decoded as far as the cache has room for them.

What fits the cache decides how fast images are read, not which images. Images of shards that do not fit decoded are
read from the files of the shards, at their offsets. Shards behind a URL are copied to this machine first: all of them,
or, in the order of shards, one after another.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace

import numpy as np

from emotune.config.head_training import gets_features
from emotune.config.input_spec import InputSpec
from emotune.config.network import NetworkConfig
from emotune.config.run import DatasetRef, RunConfig
from emotune.config.train import Order
from emotune.core.cache_dir import cache_folder
from emotune.core.errors import InputError
from emotune.core.threads import parallel_map
from emotune.data.datasets.location import manifest_of, materialise, shards_folder
from emotune.data.manifest import SPLITS, Manifest, Shard
from emotune.data.read.cache import Cache, SampleInfo, decoded_bytes
from emotune.data.read.epoch_order import SHARDS_MIXED
from emotune.data.read.indexed_shard import IndexedShard
from emotune.data.read.split_rows import shards_of

__all__ = [
    "MAX_DECODE_THREADS",
    "CachedShard",
    "decoded_shards",
    "open_shards",
    "order_of",
    "room_needed",
    "sizes_of",
]

MAX_DECODE_THREADS = 8
"""Maximum number of threads that decode: more would use more memory, while the GIL limits their speed."""

SHARDS_ON_DISK = 2 * SHARDS_MIXED + 1
"""Number of shards that a run in the order of shards needs on the disk: those in use, the next ones, and one more."""


@dataclass(frozen=True)
class CachedShard:
    """A shard that has been verified, and decoded or copied as far as intended.

    Attributes:
        shard: The entry of the shard in the manifest.
        samples: The shard's index.
        images: The images: decoded, memory-mapped uint8 (N, resize, resize, 3), or in the shard's file.
    """

    shard: Shard
    samples: tuple[SampleInfo, ...]
    images: np.ndarray | IndexedShard


def open_shards(
    ref: DatasetRef,
    splits: Collection[str],
    input_spec: InputSpec = InputSpec(),
    *,
    decoded: Collection[str] | None = None,
    order: Order = "images",
    cache_gb: float | None = None,
    threads: int = 1,
    advance: Callable[[int], None] = lambda images: None,
) -> list[CachedShard]:
    """The shards of some splits, which are verified, decoded or copied now if this machine has not done so yet.

    In another division than that of the shards, images of a split are in all of them.

    Args:
        ref: The data set.
        splits: The names of the splits.
        input_spec: The input of the network, which gives the images' size and interpolation.
        decoded: The hashes of the shards that are kept decoded, see `decoded_shards`; None for all.
        order: The order of the training images; in that of shards, files behind a URL are copied when they are read.
        cache_gb: The size of the cache, see `Cache`.
        threads: The number of threads that decode.
        advance: A function that is called with the number of images that are ready, shard by shard.

    Raises:
        InputError: a shard is missing, differs from the manifest, or holds something unreadable.
    """
    folder, manifest = materialise(ref), manifest_of(ref)
    everything = frozenset(shard.sha256 for shard in manifest.shards)
    kept = everything if decoded is None else frozenset(decoded)
    copied = folder.local is None and order == "images"
    cache = Cache(cache_folder() / "decoded", cache_gb, everything if copied else kept, input_spec)

    def open_shard(shard: Shard) -> CachedShard:
        images: np.ndarray | IndexedShard
        if shard.sha256 in kept:
            images = cache.images(folder, shard)
        else:
            if copied:
                cache.copy(folder, shard)
            images = IndexedShard.open(cache, folder, shard, input_spec)
        samples = cache.samples(folder, shard)
        if unknown := {sample.label for sample in samples} - set(manifest.classes):
            raise InputError(f"{folder}: a sample has the label {unknown.pop()!r}, which is not in the manifest")
        return CachedShard(shard, samples, images)

    shards = []
    threads = min(threads + 1, MAX_DECODE_THREADS)  # one more, which waits for the disk
    for shard in parallel_map(open_shard, shards_of(ref, splits), threads):
        advance(shard.shard.samples)
        shards.append(shard)
    return shards


def decoded_shards(
    ref: DatasetRef, cache_gb: float | None = None, order: Order = "images", input_spec: InputSpec = InputSpec()
) -> frozenset[str]:
    """The hashes of the shards that this machine keeps decoded: of all if they fit, else of val and test, or of none.

    Args:
        ref: The data set.
        cache_gb: The size of the cache, see `Cache`.
        order: The order of the training images.
        input_spec: The input of the network, which gives the images' size.

    Raises:
        InputError: the shards are behind a URL, and even their files do not fit the cache.
    """
    materialise(ref)
    cache = Cache(cache_folder() / "decoded", cache_gb, input_spec=input_spec)
    return frozenset(shard.sha256 for shard in _plan(ref, cache, order)[0])


def room_needed(runs: Iterable[RunConfig], cache_gb: float | None = None) -> int:
    """The number of bytes by which the cache will grow for some runs; data that replace other data do not count.

    Images that are needed in several sizes count in each of them.

    Args:
        runs: The runs that are about to start.
        cache_gb: The size of the cache, see `Cache`.

    Raises:
        InputError: the shards of a data set are behind a URL, and even their files do not fit the cache.
    """
    cache = Cache(cache_folder() / "decoded", cache_gb)
    by_dataset: dict[str, list[RunConfig]] = {}
    for run in runs:
        by_dataset.setdefault(run.dataset.content_hash, []).append(run)
    missing = 0
    for group in by_dataset.values():
        copied: list[Shard] = []
        for input_spec in sizes_of(group):
            sized = replace(cache, input_spec=input_spec)
            decoded, copies = _plan(group[0].dataset, sized, order_of(group))
            missing += sized.missing_bytes(decoded, [shard for shard in copies if shard not in copied])
            copied += copies
    return int(min(missing, max(0.0, cache.free_bytes()))) if missing else 0


def sizes_of(runs: Iterable[RunConfig]) -> list[InputSpec]:
    """An input for each size and interpolation in which some runs read images again and again.

    Runs on features read them once (`emotune.training.features`, `emotune.training.handmade`).
    """
    reading = [run.input for run in runs if not gets_features(run.model)]
    return list({(seen.resize, seen.interpolation): seen for seen in reading}.values())


def order_of(runs: Iterable[RunConfig]) -> Order:
    """The order among those of the runs that needs the most disk space; baselines read one shard after another."""
    by_image = (isinstance(run.model, NetworkConfig) and run.train.order == "images" for run in runs)
    return "images" if any(by_image) else "shards"


def _plan(ref: DatasetRef, cache: Cache, order: Order) -> tuple[list[Shard], list[Shard]]:
    """The shards that are kept decoded, and those of which copies are on the disk at the same time."""
    manifest, remote = manifest_of(ref), shards_folder(ref).local is None
    capacity, copied = cache.capacity, []
    for splits in (SPLITS, ("val", "test"), ()):
        decoded = _of(manifest, splits)
        copied = [shard for shard in manifest.shards if remote and shard.split not in splits]
        if order == "shards":
            copied = sorted(copied, key=lambda shard: -shard.bytes)[:SHARDS_ON_DISK]
        arrays = sum(decoded_bytes(shard, cache.input_spec) for shard in decoded)
        if arrays + _file_bytes(copied) <= capacity:
            return decoded, copied
    raise InputError(_too_large(ref, cache, order, copied))


def _file_bytes(shards: Iterable[Shard]) -> int:
    return sum(shard.bytes for shard in shards)


def _too_large(ref: DatasetRef, cache: Cache, order: Order, copied: Collection[Shard]) -> str:
    """The message that the copies of shards behind a URL do not fit the cache."""
    needed, capacity = (f"{size / 1e9:,.3g} GB" for size in (_file_bytes(copied), cache.capacity))
    if cache.gigabytes is None:
        space = f"the disk of {cache.folder} has room for {capacity}"
        remedies = ["free disk space", "set EMOTUNE_CACHE to another folder"]
    else:
        space, remedies = f"the cache {cache.folder} has room for {capacity}", ["raise --cache-gb"]
    if order == "images":
        remedies.append("or read the images shard by shard, in another order (train: {order: shards})")
    shards = "its shards" if order == "images" else f"{len(copied)} of its shards at a time"
    return (
        f"{ref.name}: copying {shards} from {ref.location} to this machine needs {needed}, but {space}; "
        f"{', '.join(remedies)}"
    )


def _of(manifest: Manifest, splits: Collection[str]) -> list[Shard]:
    return [shard for split in splits for shard in manifest.shards_of(split)]
