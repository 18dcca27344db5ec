"""The images in shards that belong to a split of a data set as a run sees it: in its part and its division."""

from collections.abc import Collection, Sequence
from functools import lru_cache

import numpy as np

from emotune.config.division import Division
from emotune.config.run import DatasetRef
from emotune.core.errors import InputError
from emotune.data.annotations import agreement_of
from emotune.data.datasets.location import manifest_of
from emotune.data.division import divide
from emotune.data.manifest import SPLITS, Shard
from emotune.data.read.cache import SampleInfo
from emotune.data.split import ImageToSplit

__all__ = ["shards_of", "split_rows"]


def shards_of(ref: DatasetRef, splits: Collection[str]) -> list[Shard]:
    """The shards that images of some splits are in: in another division than that of the shards, all of them.

    Raises:
        InputError: there is no manifest, or it cannot be used.
    """
    manifest = manifest_of(ref)
    return [shard for split in (SPLITS if ref.division else splits) for shard in manifest.shards_of(split)]


def split_rows(
    ref: DatasetRef, splits: Collection[str], shards: Sequence[tuple[Shard, Sequence[SampleInfo]]]
) -> np.ndarray | None:
    """The numbers of the images of some splits among all images in their shards, ascending; None if these are all.

    Args:
        ref: The data set.
        splits: The names of the splits.
        shards: The shards that `shards_of` names, in its order, each with its index.

    Raises:
        InputError: the division cannot have every class in every split.
    """
    samples = [(sample, shard.split) for shard, index in shards for sample in index]
    rows = list(range(len(samples)))
    if ref.part != "all":
        rows = [row for row in rows if agreement_of(samples[row][0].label, samples[row][0].votes) == ref.part]
    if ref.division:
        images = (ImageToSplit(samples[row][0].group, samples[row][0].label, samples[row][1]) for row in rows)
        try:
            divided = _divided(tuple(images), ref.division, ref.task != "dimensions")
        except InputError as error:
            raise InputError(f"{ref.whole}: {error}") from None
        rows = [row for row, split in zip(rows, divided, strict=True) if split in splits]
    return None if len(rows) == len(samples) else np.array(rows, np.int64)


@lru_cache(maxsize=1)
def _divided(images: tuple[ImageToSplit, ...], division: Division, every_class: bool) -> list[str]:
    """The same as `divide`, computed once for the three splits of a run."""
    return divide(images, division, every_class=every_class)
