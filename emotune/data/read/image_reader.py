"""Reads the images of a split by index, from decoded arrays or from the files of shards."""

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice

import numpy as np

from emotune.config.input_spec import InputSpec
from emotune.core.threads import parallel_map, prefetch
from emotune.data.read.epoch_order import SHARDS_MIXED
from emotune.data.read.indexed_shard import IndexedShard

__all__ = ["ImageReader"]


@dataclass(frozen=True)
class ImageReader:
    """The images of a split, by index.

    Attributes:
        shards: The decoded images of each shard, or its file.
        starts: The number of the first image of each shard, (number of shards,).
        rows: The numbers of the split's images if it has only some of the images; None if it has all, in order.
        threads: The number of threads that decode.
        side: The height and width of the images, in pixels.
        frames: The number of frames of a clip; 1 for images.
    """

    shards: tuple[np.ndarray | IndexedShard, ...]
    starts: np.ndarray
    rows: np.ndarray | None = None
    threads: int = 1
    side: int = InputSpec.resize
    frames: int = 1

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of an image, (side, side, 3), or of a clip, (frames, side, side, 3)."""
        return (*([self.frames] if self.frames > 1 else []), self.side, self.side, 3)

    @property
    def decoded(self) -> bool:
        """Whether all images are kept decoded."""
        return not any(isinstance(shard, IndexedShard) for shard in self.shards)

    def shard_numbers(self, indices: np.ndarray) -> np.ndarray:
        """The number of the shard that holds each image at ``indices``."""
        return np.searchsorted(self.starts, self._numbers(indices), side="right") - 1

    def take(self, indices: np.ndarray) -> list[np.ndarray]:
        """The images at ``indices``, each uint8 of `shape`; they must not be written to."""
        return [self._image(position) for position in self._positions(indices)]

    def take_parts(self, parts: Sequence[np.ndarray]) -> Generator[list[np.ndarray], None, None]:
        """The images of each part, as `take` gives them; threads read and decode them while earlier parts are used."""
        if self.decoded:
            yield from map(self.take, parts)
            return
        with (
            closing(self._available_positions(parts)) as positions,
            closing(parallel_map(self._image, positions, self.threads)) as images,
        ):
            for part in parts:
                yield list(islice(images, len(part)))

    def _available_positions(self, parts: Sequence[np.ndarray]) -> Generator[tuple[int, int], None, None]:
        """The position of each image of the parts, once its shard is on this machine; the next shards are fetched."""
        numbers = self.shard_numbers(np.concatenate([np.empty(0, np.int64), *parts]))
        first_uses = list(dict.fromkeys(numbers.tolist()))
        with closing(prefetch(map(self._fetch, first_uses), SHARDS_MIXED)) as fetched:
            available: set[int] = set()
            for part in parts:
                for shard, row in self._positions(part):
                    while shard not in available:
                        available.add(next(fetched))
                    yield shard, row

    def _fetch(self, number: int) -> int:
        """Copies the shard with this number to this machine if need be; returns the number."""
        shard = self.shards[number]
        if isinstance(shard, IndexedShard) and shard.fetch:
            shard.fetch()
        return number

    def _numbers(self, indices: np.ndarray) -> np.ndarray:
        return indices if self.rows is None else self.rows[indices]

    def _positions(self, indices: np.ndarray) -> list[tuple[int, int]]:
        """The position of each image at ``indices``: the number of its shard, and its row in the shard."""
        shards = self.shard_numbers(indices)
        return list(zip(shards.tolist(), (self._numbers(indices) - self.starts[shards]).tolist(), strict=True))

    def _image(self, position: tuple[int, int]) -> np.ndarray:
        shard, row = position
        return self.shards[shard][row]
