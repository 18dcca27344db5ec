"""Pictures of a split that does not fit the cache, read from its shards as they come.

WebDataset's pipeline: shards in an order that follows from seed and epoch, every rank its own, their samples shuffled
in a buffer of undecoded files, decoded last. What a rank sees is a function of seed, epoch, rank and number of ranks.
"""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from emotune.data.background import in_parallel, prefetched
from emotune.data.manifest import Manifest, Shard
from emotune.data.samples import Sample, decode_sample, read_samples, read_shard
from emotune.errors import InputError
from emotune.storage import Folder

__all__ = ["Stream", "require_shards"]

SHUFFLE_BUFFER = 1000
"""Samples: a shard of the usual size. The samples within a shard are in no order that means something."""


def require_shards(manifest: Manifest, ranks: int) -> None:
    """Checks that every rank of a streamed run has a shard of its own to train on.

    Raises:
        InputError: there are more ranks than shards.
    """
    shards = len(manifest.of("train"))
    if shards < ranks:
        raise InputError(
            f"{manifest.name}: its decoded pictures exceed the cache's budget, and its {shards} train shards cannot be "
            f"streamed to {ranks} workers; shard again with smaller shards, or raise --cache-gb"
        )


class _Undecoded(NamedTuple):
    index: int
    sample: Sample
    where: str


@dataclass(frozen=True)
class Stream:
    """The pictures of a split, in its shards.

    Attributes:
        folder: Of the shards.
        shards: Of the split.
        threads: Threads that decode.
        places: The index in the split of each sample of the shards, or -1 for one that is not of the part which the
            split is of; None: all are, in their order.
    """

    folder: Folder
    shards: tuple[Shard, ...]
    threads: int = 1
    places: np.ndarray | None = None

    def shuffled(
        self, seed: int, epoch: int, *, rank: int = 0, world_size: int = 1, skip: int = 0
    ) -> Iterator[tuple[int, np.ndarray]]:
        """A rank's pictures of an epoch, without end: when its shards are through, it begins them again.

        Args:
            seed: Of the order.
            epoch: Counted from 0.
            rank: Whose pictures.
            world_size: Number of ranks.
            skip: Pictures to leave out at the beginning; they are not decoded.

        Yields:
            A picture's index in the split, and the picture, uint8 (SIDE, SIDE, 3).
        """
        with closing(self._rounds(f"{seed}/{epoch}", rank, world_size)) as samples:
            yield from in_parallel(_decode, itertools.islice(samples, skip, None), self.threads)

    def in_order(self, *, rank: int = 0, world_size: int = 1) -> Iterator[tuple[int, np.ndarray]]:
        """A rank's part of the split, each picture once: (index in the split, picture)."""
        with closing(self._samples({"url": shard.file} for shard in self.part(rank, world_size))) as samples:
            yield from in_parallel(_decode, samples, self.threads)

    def part(self, rank: int, world_size: int) -> Sequence[Shard]:
        """The shards that a rank reads in order."""
        return self.shards[rank::world_size]

    def count(self, rank: int, world_size: int) -> int:
        """How many pictures a rank reads in order."""
        counts = [shard.samples for shard in self.shards]
        if self.places is not None:
            counts = [int((own >= 0).sum()) for own in np.split(self.places, np.cumsum(counts)[:-1])]
        return sum(counts[rank::world_size])

    def _rounds(self, order: str, rank: int, world_size: int) -> Iterator[_Undecoded]:
        import webdataset as wds

        for number in itertools.count():
            pipeline = wds.DataPipeline(
                wds.SimpleShardList([shard.file for shard in self.shards], seed=order),
                # As `split_by_node` does, which asks the environment who we are.
                lambda sources: itertools.islice(sources, rank, None, world_size),
                self._samples,
                wds.shuffle(SHUFFLE_BUFFER, initial=SHUFFLE_BUFFER, seed=f"{order}/{number}"),
            )
            read = 0
            with closing(iter(pipeline)) as samples:
                for sample in samples:
                    read += 1
                    yield sample
            if not read:
                raise InputError(
                    f"{self.folder}: the shards that worker {rank} streams hold no picture of the part that is asked "
                    "for; use fewer workers, or raise --cache-gb"
                )

    def _samples(self, sources: Iterator[dict[str, str]]) -> Iterator[_Undecoded]:
        """The samples of some shards; the next shard is fetched while one is read."""
        ends = itertools.accumulate(shard.samples for shard in self.shards)
        known = {shard.file: (shard, end - shard.samples) for shard, end in zip(self.shards, ends, strict=True)}

        def fetched() -> Iterator[tuple[int, str, bytes]]:
            for source in sources:
                shard, start = known[source["url"]]
                yield start, str(self.folder / shard.file), read_shard(self.folder, shard)

        with closing(prefetched(fetched(), ahead=1)) as shards:
            for start, where, data in shards:
                for number, sample in enumerate(read_samples(data, where), start):
                    index = number if self.places is None else int(self.places[number])
                    if index >= 0:
                        yield _Undecoded(index, sample, where)


def _decode(undecoded: _Undecoded) -> tuple[int, np.ndarray]:
    picture = decode_sample(undecoded.sample, undecoded.where)
    return undecoded.index, picture if picture.flags.writeable else picture.copy()  # as torch wants it
