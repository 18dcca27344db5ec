"""Batches of a split, whatever the number of ranks, and wherever the images are kept.

Which images come when is a pure function of seed and epoch; where a study asks for the order of shards, of how the
images are cut into shards too.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch

from emotune.config.run import DatasetRef
from emotune.config.train import Order
from emotune.core.threads import parallel_map, prefetch
from emotune.data.annotations import agreement_of
from emotune.data.datasets.location import manifest_of
from emotune.data.image_io import IMAGE_SIDE
from emotune.data.read.indexed_shard import IndexedShard
from emotune.data.read.open_dataset import MAX_DECODE_THREADS, SHARDS_MIXED, open_shards

__all__ = [
    "Batch",
    "ImageReader",
    "Split",
    "epoch_batches",
    "open_split",
    "rank_slice",
    "shard_order",
    "steps_per_epoch",
]

AHEAD = 2
"""Batches that are ready, or being made, while one is computed."""


def steps_per_epoch(images: int, batch_size: int) -> int:
    """Steps that visit every image once.

    >>> steps_per_epoch(101, 50)
    3
    """
    return -(-images // batch_size)


def epoch_batches(
    images: int, batch_size: int, seed: int, epoch: int, shards: np.ndarray | None = None
) -> list[np.ndarray]:
    """The epoch's global batches of indices: a permutation that depends only on seed and epoch, cut evenly.

    Batches differ in size by one at most, and none exceeds ``batch_size``: a small rest would be a noisy step.

    Args:
        images: How many the split has.
        batch_size: Of the largest batch.
        seed: Of the order.
        epoch: Counted from 0.
        shards: The number of each image's shard, for `shard_order`; None: a random order of all images.

    >>> [len(batch) for batch in epoch_batches(101, 50, seed=0, epoch=0)]
    [34, 34, 33]
    """
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(images) if shards is None else shard_order(shards, generator)
    return np.array_split(order, steps_per_epoch(images, batch_size))


def shard_order(shards: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """An order of images that needs few shards at a time: shards in a random order, and the images of each
    `SHARDS_MIXED` of them in a random order.

    Args:
        shards: The number of each image's shard (N,).
        generator: Decides about the order.
    """
    place = generator.permutation(int(shards.max(initial=-1)) + 1)
    together = place[shards] // SHARDS_MIXED
    return np.lexsort((generator.permutation(len(shards)), together))


def rank_slice(indices: np.ndarray, rank: int, world_size: int) -> np.ndarray:
    """The part of a global batch that a rank computes; the ranks' parts are disjoint and complete."""
    return indices[rank::world_size]


@dataclass(frozen=True)
class Batch:
    """A rank's part of a global batch.

    Attributes:
        indices: Of the images in their split, (B,).
        images: The images, each uint8 (SIDE, SIDE, 3); decoded ones are views of the cache, copied by whoever crops
            them. For a GPU: one tensor (B, SIDE, SIDE, 3) in memory that it can copy from by itself.
        total: Images of the global batch.
    """

    indices: np.ndarray
    images: Sequence[torch.Tensor] | torch.Tensor
    total: int

    def images_on(self, device: torch.device) -> Sequence[torch.Tensor] | torch.Tensor:
        """The images on the device."""
        return self.images.to(device, non_blocking=True) if isinstance(self.images, torch.Tensor) else self.images


@dataclass(frozen=True)
class ImageReader:
    """The images of a split, by index.

    Attributes:
        shards: Of each shard the decoded images, or its file.
        starts: The number of each shard's first image.
        rows: The numbers of the split's images, if it is of a part; None: all, in their order.
        threads: Threads that decode.
    """

    shards: tuple[np.ndarray | IndexedShard, ...]
    starts: np.ndarray
    rows: np.ndarray | None = None
    threads: int = 1

    @property
    def decoded(self) -> bool:
        """Whether all of them are kept decoded."""
        return not any(isinstance(shard, IndexedShard) for shard in self.shards)

    def shard_numbers(self, indices: np.ndarray) -> np.ndarray:
        """The number of the shard of each image at ``indices``."""
        return np.searchsorted(self.starts, self._numbers(indices), side="right") - 1

    def take(self, indices: np.ndarray) -> list[np.ndarray]:
        """The images at ``indices``, B of uint8 (SIDE, SIDE, 3) that are not to be written to."""
        return [self._image(place) for place in self._places(indices)]

    def taken(self, parts: Sequence[np.ndarray]) -> Iterator[list[np.ndarray]]:
        """`take` of each part; what has to be read and decoded is so by threads, while earlier parts are used."""
        if self.decoded:
            yield from map(self.take, parts)
            return
        with (
            closing(self._arriving(parts)) as places,
            closing(parallel_map(self._image, places, self.threads)) as images,
        ):
            for part in parts:
                yield list(islice(images, len(part)))

    def _arriving(self, parts: Sequence[np.ndarray]) -> Iterator[tuple[int, int]]:
        """The places of the parts' images, once their shards are on this machine; the next ones are fetched ahead."""
        numbers = self.shard_numbers(np.concatenate([np.empty(0, np.int64), *parts]))
        first_uses = list(dict.fromkeys(numbers.tolist()))
        with closing(prefetch(map(self._fetch, first_uses), SHARDS_MIXED)) as fetched:
            there: set[int] = set()
            for part in parts:
                for shard, place in self._places(part):
                    while shard not in there:
                        there.add(next(fetched))
                    yield shard, place

    def _fetch(self, number: int) -> int:
        shard = self.shards[number]
        if isinstance(shard, IndexedShard) and shard.fetch:
            shard.fetch()
        return number

    def _numbers(self, indices: np.ndarray) -> np.ndarray:
        return indices if self.rows is None else self.rows[indices]

    def _places(self, indices: np.ndarray) -> list[tuple[int, int]]:
        """(shard, place in it) of the images at ``indices``."""
        shards = self.shard_numbers(indices)
        return list(zip(shards.tolist(), (self._numbers(indices) - self.starts[shards]).tolist(), strict=True))

    def _image(self, place: tuple[int, int]) -> np.ndarray:
        return self.shards[place[0]][place[1]]


@dataclass(frozen=True)
class Split:
    """What is known of all images of a split, in the order of their shards, and batches of the images themselves.

    Batches of images that are not decoded, and those for a GPU, are made ahead by threads that end with the iterator:
    close it (`contextlib.closing`) if you leave it early. Others are copied sooner than a thread could hand them over.

    Attributes:
        keys: Of the samples.
        targets: Indices into ``classes``, int64 (N,).
        votes: What annotators said of each sample, by class.
        groups: Of each sample: near-duplicates have one in common, see `emotune.data.shard_reader.Sample`.
        classes: Of the data set.
        images: Where they come from.
    """

    keys: tuple[str, ...]
    targets: np.ndarray
    votes: tuple[dict[str, float], ...]
    groups: tuple[str, ...]
    classes: tuple[str, ...]
    images: ImageReader

    def __len__(self) -> int:
        return len(self.keys)

    def training_batches(
        self, batch_size: int, seed: int, epoch: int,
        *, order: Order = "images", first: int = 0, rank: int = 0, world_size: int = 1, pin: bool = False,
    ) -> Iterator[Batch]:  # fmt: skip
        """A rank's part of an epoch's global batches.

        Args:
            batch_size: Of global batches, at most.
            seed: Of the order.
            epoch: Counted from 0.
            order: Of `TrainConfig`.
            first: Batch to begin with, counted from 0.
            rank: Whose part.
            world_size: Number of ranks.
            pin: Give images in memory that a GPU can copy from by itself.
        """
        shards = self.images.shard_numbers(np.arange(len(self))) if order == "shards" else None
        whole = epoch_batches(len(self), batch_size, seed, epoch, shards)[first:]
        parts = [rank_slice(indices, rank, world_size) for indices in whole]
        yield from self._prepared(parts, [len(indices) for indices in whole], pin)

    def evaluation_batches(
        self, batch_size: int, *, rank: int = 0, world_size: int = 1, pin: bool = False
    ) -> Iterator[Batch]:
        """A rank's part of all images; each image is in one batch of one rank."""
        own = rank_slice(np.arange(len(self)), rank, world_size)
        parts = [own[start : start + batch_size] for start in range(0, len(own), batch_size)]
        yield from self._prepared(parts, [len(part) for part in parts], pin)

    def _prepared(self, parts: Sequence[np.ndarray], totals: Sequence[int], pin: bool) -> Iterator[Batch]:
        taken = self.images.taken(parts)

        def batches() -> Iterator[Batch]:
            for indices, arrays, total in zip(parts, taken, totals, strict=True):
                images = [torch.from_numpy(array) for array in arrays]
                if pin:
                    stacked = (
                        torch.stack(images)
                        if images
                        else torch.empty((0, IMAGE_SIDE, IMAGE_SIDE, 3), dtype=torch.uint8)
                    )
                    images = stacked.pin_memory()
                yield Batch(indices, images, total)

        ahead = pin or not self.images.decoded
        with closing(taken), closing(prefetch(batches(), AHEAD) if ahead else batches()) as ready:
            yield from ready


def open_split(
    ref: DatasetRef,
    split: str,
    *,
    decoded: Collection[str] | None = None,
    order: Order = "images",
    cache_gb: float | None = None,
    threads: int = 1,
    advance: Callable[[int], None] = lambda images: None,
) -> Split:
    """A split of a data set, verified and decoded now if this machine has not done it yet.

    Args:
        ref: The data set.
        split: Its name.
        decoded: Hashes of the shards that are kept decoded, see `opening.decoded_shards`; None: all. The images of
            others are read from their files.
        order: Of the training images, see `opening.open_shards`.
        cache_gb: Budget of the cache, see `cache.Cache`.
        threads: Threads that decode.
        advance: Called with the number of images that are through, shard by shard.

    Raises:
        InputError: a shard is missing, is not what the manifest says, or holds something unreadable.
    """
    shards = open_shards(
        ref, [split], decoded=decoded, order=order, cache_gb=cache_gb, threads=threads, advance=advance
    )
    samples, classes = [sample for shard in shards for sample in shard.samples], manifest_of(ref).classes
    index = {label: i for i, label in enumerate(classes)}
    starts = np.cumsum([0, *(len(shard.samples) for shard in shards)])[:-1]
    rows = None
    if ref.part != "all":
        rows = np.flatnonzero([agreement_of(sample.label, sample.votes) == ref.part for sample in samples])
        samples = [samples[row] for row in rows]
    return Split(
        keys=tuple(sample.key for sample in samples),
        targets=np.array([index[sample.label] for sample in samples], dtype=np.int64),
        votes=tuple(sample.votes for sample in samples),
        groups=tuple(sample.group for sample in samples),
        classes=classes,
        images=ImageReader(tuple(shard.images for shard in shards), starts, rows, min(threads, MAX_DECODE_THREADS)),
    )
