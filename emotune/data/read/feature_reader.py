"""Reads the features of a split's images by index, from files that are memory-mapped."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

__all__ = ["FeatureReader"]

IN_MEMORY = 2**28
"""Bytes up to which all features are read into memory: small rows take longer to find in their files than to copy."""

AT_ONCE = 2**23
"""Bytes of features that are read for several batches at once, if their rows are that small."""


@dataclass(frozen=True)
class FeatureReader:
    """The features of a split's images, by index and view.

    Those of a clip are those of its frames, with one more dimension: (B, T, …).

    Attributes:
        arrays: The rows of the files by view and by shard, as `emotune.data.read.feature_cache.FeatureCache` gives
            them; all have the same type.
        starts: The number of the first image of each shard, (number of shards,).
        rows: The numbers of the split's images if it has only some of the images; None if it has all, in order.
    """

    arrays: tuple[tuple[np.ndarray, ...], ...]
    starts: np.ndarray
    rows: np.ndarray | None = None

    def take(self, indices: np.ndarray, views: np.ndarray | int = 0) -> list[torch.Tensor]:
        """The features of images: float16 tensors (B, …, C, h, w), with their channels last in memory.

        Args:
            indices: The images' positions in the split, (B,).
            views: The number of each image's view, (B,), or that of all.
        """
        numbers = indices if self.rows is None else self.rows[indices]
        if self._in_memory is not None:
            positions = torch.from_numpy(views * self._images + numbers)
            return [_channels_first(tensor.index_select(0, positions)) for tensor in self._in_memory]
        shards = np.searchsorted(self.starts, numbers, side="right") - 1
        places = list(zip(
            np.broadcast_to(views, len(numbers)).tolist(), shards.tolist(), (numbers - self.starts[shards]).tolist(),
            strict=True,
        ))  # fmt: skip
        return [_channels_first(torch.from_numpy(_gathered(field, places))) for field in self._fields]

    def take_parts(
        self, parts: Sequence[np.ndarray], views: np.ndarray | int = 0
    ) -> Generator[list[torch.Tensor], None, None]:
        """The features of each part, as `take` gives them; those of small rows are read for several parts at once.

        Args:
            parts: The positions of the images of each part.
            views: The number of the view of each of the split's images, (N,), or of all.
        """
        at_once = max(1, AT_ONCE // self._type.itemsize)
        for block in _blocks(parts, at_once):
            indices = block[0] if len(block) == 1 else np.concatenate(block)
            features = self.take(indices, views if isinstance(views, int) else views[indices])
            sizes = [len(part) for part in block]
            yield from map(list, zip(*(tensor.split(sizes) for tensor in features), strict=True))

    @property
    def _type(self) -> np.dtype:
        return self.arrays[0][0].dtype

    @property
    def _images(self) -> int:
        return sum(map(len, self.arrays[0]))

    @cached_property
    def _fields(self) -> list[list[list[np.ndarray]]]:
        """The arrays of each tensor, by view and by shard; plain ones, whose rows are found faster."""
        return [
            [[np.asarray(array[name]) for array in view] for view in self.arrays] for name in self._type.names or ()
        ]

    @cached_property
    def _in_memory(self) -> list[torch.Tensor] | None:
        """Each tensor of the features for all images of all views, (V · N, …), if they are small enough."""
        if sum(array.nbytes for view in self.arrays for array in view) > IN_MEMORY:
            return None
        return [torch.from_numpy(np.concatenate([array for view in field for array in view])) for field in self._fields]


def _gathered(field: list[list[np.ndarray]], places: list[tuple[int, int, int]]) -> np.ndarray:
    """The rows at some places: view, shard, and row in the shard."""
    out = np.empty((len(places), *field[0][0].shape[1:]), np.float16)
    for position, (view, shard, row) in enumerate(places):
        out[position] = field[view][shard][row]
    return out


def _blocks(parts: Sequence[np.ndarray], at_once: int) -> Generator[list[np.ndarray], None, None]:
    """Groups of consecutive parts with at most so many images, or with one part."""
    block: list[np.ndarray] = []
    for part in parts:
        if block and sum(map(len, block)) + len(part) > at_once:
            yield block
            block = []
        block.append(part)
    if block:
        yield block


def _channels_first(tensor: torch.Tensor) -> torch.Tensor:
    """A view of (B, …, h, w, C) as (B, …, C, h, w)."""
    return tensor.movedim(-1, -3)
