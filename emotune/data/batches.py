"""Batches of a split: by index from the cache, or from a stream of shards.

Which pictures come when is a pure function of seed and epoch, whatever the number of ranks; for a stream, of the number
of ranks too.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch

from emotune.data.background import prefetched
from emotune.data.cache import MOST_THREADS, SIDE, open_shards
from emotune.data.datasets import ensure, manifest_of
from emotune.data.manifest import SPLITS
from emotune.data.stream import Stream
from emotune.data.votes import part_of
from emotune.run import DatasetRef

__all__ = ["Batch", "Decoded", "Split", "epoch_batches", "open_split", "share", "steps_per_epoch"]

AHEAD = 2
"""Batches that are ready, or being made, while one is computed."""


def steps_per_epoch(pictures: int, batch_size: int) -> int:
    """Steps that visit every picture once.

    >>> steps_per_epoch(101, 50)
    3
    """
    return -(-pictures // batch_size)


def epoch_batches(pictures: int, batch_size: int, seed: int, epoch: int) -> list[np.ndarray]:
    """The epoch's global batches of indices: a permutation that depends only on seed and epoch, cut evenly.

    Batches differ in size by one at most, and none exceeds ``batch_size``: a small rest would be a noisy step.

    >>> [len(batch) for batch in epoch_batches(101, 50, seed=0, epoch=0)]
    [34, 34, 33]
    """
    order = np.random.default_rng([seed, epoch]).permutation(pictures)
    return np.array_split(order, steps_per_epoch(pictures, batch_size))


def share(indices: np.ndarray, rank: int, world_size: int) -> np.ndarray:
    """The part of a global batch that a rank computes; the ranks' parts are disjoint and complete."""
    return indices[rank::world_size]


@dataclass(frozen=True)
class Batch:
    """A rank's part of a global batch.

    Attributes:
        indices: Of the pictures in their split, (B,).
        images: The pictures, each uint8 (SIDE, SIDE, 3); decoded ones are views of the cache, copied by whoever crops
            them. For a GPU: one tensor (B, SIDE, SIDE, 3) in memory that it can copy from by itself.
        total: Pictures of the global batch.
    """

    indices: np.ndarray
    images: Sequence[torch.Tensor] | torch.Tensor
    total: int

    def on(self, device: torch.device) -> Sequence[torch.Tensor] | torch.Tensor:
        """The images on the device."""
        return self.images.to(device, non_blocking=True) if isinstance(self.images, torch.Tensor) else self.images


@dataclass(frozen=True)
class Decoded:
    """The pictures of a split in the cache.

    Attributes:
        arrays: The pictures of each shard.
        starts: The number of each shard's first picture.
        rows: The numbers of the split's pictures, if it is of a part; None: all, in their order.
    """

    arrays: tuple[np.ndarray, ...]
    starts: np.ndarray
    rows: np.ndarray | None = None

    def take(self, indices: np.ndarray) -> list[np.ndarray]:
        """The pictures at ``indices``, B views uint8 (SIDE, SIDE, 3) that are not to be written to."""
        numbers = indices if self.rows is None else self.rows[indices]
        shards = np.searchsorted(self.starts, numbers, side="right") - 1
        places = zip(shards.tolist(), (numbers - self.starts[shards]).tolist(), strict=True)
        return [self.arrays[shard][place] for shard, place in places]


@dataclass(frozen=True)
class Split:
    """What is known of all pictures of a split, in the order of their shards, and batches of the pictures themselves.

    Streamed batches, and those for a GPU, are made ahead by a thread that ends with the iterator: close it
    (`contextlib.closing`) if you leave it early. Others are copied sooner than a thread could hand them over.

    Attributes:
        keys: Of the samples.
        targets: Indices into ``classes``, int64 (N,).
        votes: What annotators said of each sample, by class.
        groups: Of each sample: near-duplicates have one in common, see `emotune.data.samples.Sample`.
        classes: Of the data set.
        pictures: Where they come from.
    """

    keys: tuple[str, ...]
    targets: np.ndarray
    votes: tuple[dict[str, float], ...]
    groups: tuple[str, ...]
    classes: tuple[str, ...]
    pictures: Decoded | Stream

    def __len__(self) -> int:
        return len(self.keys)

    def training_batches(
        self, batch_size: int, seed: int, epoch: int,
        *, first: int = 0, rank: int = 0, world_size: int = 1, pin: bool = False,
    ) -> Iterator[Batch]:  # fmt: skip
        """A rank's part of an epoch's global batches.

        Args:
            batch_size: Of global batches, at most.
            seed: Of the order.
            epoch: Counted from 0.
            first: Batch to begin with, counted from 0.
            rank: Whose part.
            world_size: Number of ranks.
            pin: Give images in memory that a GPU can copy from by itself.
        """
        whole = epoch_batches(len(self), batch_size, seed, epoch)
        parts = [share(indices, rank, world_size) for indices in whole]
        if isinstance(self.pictures, Decoded):
            batches = ((part, self.pictures.take(part)) for part in parts[first:])
        else:
            skip = sum(map(len, parts[:first]))
            stream = self.pictures.shuffled(seed, epoch, rank=rank, world_size=world_size, skip=skip)
            batches = _cut(stream, [len(part) for part in parts[first:]])
        yield from self._prepared(batches, [len(indices) for indices in whole[first:]], pin)

    def evaluation_batches(
        self, batch_size: int, *, rank: int = 0, world_size: int = 1, pin: bool = False
    ) -> Iterator[Batch]:
        """A rank's part of all pictures; each picture is in one batch of one rank."""
        if isinstance(self.pictures, Decoded):
            own = share(np.arange(len(self)), rank, world_size)
            parts = [own[start : start + batch_size] for start in range(0, len(own), batch_size)]
            sizes, batches = [len(part) for part in parts], ((part, self.pictures.take(part)) for part in parts)
        else:
            count = self.pictures.count(rank, world_size)
            sizes = [min(batch_size, count - start) for start in range(0, count, batch_size)]
            batches = _cut(self.pictures.in_order(rank=rank, world_size=world_size), sizes)
        yield from self._prepared(batches, sizes, pin)

    def _prepared(
        self, parts: Iterator[tuple[np.ndarray, list[np.ndarray]]], totals: Sequence[int], pin: bool
    ) -> Iterator[Batch]:
        def batches() -> Iterator[Batch]:
            for (indices, pictures), total in zip(parts, totals, strict=True):
                images = [torch.from_numpy(picture) for picture in pictures]
                if pin:
                    stacked = torch.stack(images) if images else torch.empty((0, SIDE, SIDE, 3), dtype=torch.uint8)
                    images = stacked.pin_memory()
                yield Batch(indices, images, total)

        ahead = pin or isinstance(self.pictures, Stream)
        with closing(parts), closing(prefetched(batches(), AHEAD) if ahead else batches()) as ready:
            yield from ready


def open_split(
    ref: DatasetRef,
    split: str,
    *,
    decoded: Collection[str] = SPLITS,
    cache_gb: float | None = None,
    threads: int = 1,
    advance: Callable[[int], None] = lambda pictures: None,
) -> Split:
    """A split of a data set, read and decoded now if this machine has not done it yet.

    Args:
        ref: The data set.
        split: Its name.
        decoded: The data set's splits that are kept decoded, see `cache.decodable_splits`; others are streamed.
        cache_gb: Budget of the cache, see `cache.Cache`.
        threads: Threads that decode.
        advance: Called with the number of pictures that are through, shard by shard.

    Raises:
        InputError: a shard is missing, is not what the manifest says, or holds something unreadable.
    """
    shards = open_shards(ref, [split], decoded=decoded, cache_gb=cache_gb, threads=threads, advance=advance)
    samples, classes = [sample for shard in shards for sample in shard.samples], manifest_of(ref).classes
    index = {label: i for i, label in enumerate(classes)}
    rows = places = None
    if ref.part != "all":
        chosen = np.array([part_of(sample.label, sample.votes) == ref.part for sample in samples])
        rows, places = np.flatnonzero(chosen), np.where(chosen, np.cumsum(chosen) - 1, -1)
        samples = [samples[row] for row in rows]
    if split in decoded:
        starts = np.cumsum([0, *(len(shard.samples) for shard in shards)])[:-1]
        pictures = Decoded(tuple(shard.pictures for shard in shards), starts, rows)
    else:
        files = tuple(shard.shard for shard in shards)
        pictures = Stream(ensure(ref), files, min(threads, MOST_THREADS), places)
    return Split(
        keys=tuple(sample.key for sample in samples),
        targets=np.array([index[sample.label] for sample in samples], dtype=np.int64),
        votes=tuple(sample.votes for sample in samples),
        groups=tuple(sample.group for sample in samples),
        classes=classes,
        pictures=pictures,
    )


def _cut(
    stream: Iterator[tuple[int, np.ndarray]], sizes: Sequence[int]
) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
    """Batches of these sizes: (indices, pictures)."""
    with closing(stream):
        for size in sizes:
            batch = list(islice(stream, size))
            yield np.array([index for index, _ in batch], np.int64), [picture for _, picture in batch]
