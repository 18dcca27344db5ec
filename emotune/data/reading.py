"""Shards read and checked against the manifest, and their pictures decoded; what is wrong is named with the remedy."""

import hashlib
from collections.abc import Iterator

import numpy as np

from emotune.data.manifest import Shard
from emotune.data.pictures import UnreadablePictureError, decode_square
from emotune.data.shards import Sample, read_samples
from emotune.errors import InputError
from emotune.storage import Folder

__all__ = ["SIDE", "checked_samples", "decode_sample", "miscounted", "read_shard"]

SIDE = 256
"""Pixels; pictures are kept a little larger than the network's 227 so that crops differ."""


def read_shard(folder: Folder, shard: Shard) -> bytes:
    """The bytes of a shard.

    Raises:
        InputError: it is missing, or they are not those that the manifest lists.
    """
    data, where = folder.read(shard.file), folder / shard.file
    if data is None:
        raise InputError(f"{where}: missing, though the manifest lists it; run emotune.shard again")
    if hashlib.sha256(data).hexdigest() != shard.sha256:
        raise InputError(
            f"{where}: damaged (not the bytes that the manifest lists); delete it, run emotune.shard again"
        )
    return data


def checked_samples(folder: Folder, shard: Shard) -> Iterator[Sample]:
    """The samples of a shard.

    Raises:
        InputError: as `read_shard`, or they are not as many as the manifest says.
    """
    count = 0
    for count, sample in enumerate(read_samples(read_shard(folder, shard), str(folder / shard.file)), 1):
        if count > shard.samples:
            break
        yield sample
    if count != shard.samples:
        raise InputError(miscounted(folder, shard, count))


def miscounted(folder: Folder, shard: Shard, found: int) -> str:
    """What is wrong with a shard of ``found`` samples."""
    more = f"more than {shard.samples}" if found > shard.samples else str(found)
    return f"{folder / shard.file}: {more} samples, the manifest says {shard.samples}; run emotune.shard again"


def decode_sample(sample: Sample, where: str) -> np.ndarray:
    """A sample's picture, uint8 (SIDE, SIDE, 3).

    Raises:
        InputError: it cannot be decoded; the message names it and the shard, which is at ``where``.
    """
    try:
        return decode_square(sample.jpg, SIDE)
    except UnreadablePictureError as error:
        raise InputError(f"{where}: {sample.key} ({sample.source}): {error}") from None
