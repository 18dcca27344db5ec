"""Samples out of shards, and their images decoded; what is wrong is named with the remedy."""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.data.image_io import IMAGE_SIDE, UnreadableImageError, decode_square
from emotune.data.manifest import Shard

__all__ = ["Sample", "checked_samples", "count_mismatch", "decode_sample", "read_samples", "read_shard"]


@dataclass(frozen=True)
class Sample:
    """One labelled image of a shard.

    ``jpg`` is its file, which begins at byte ``start`` of the shard; ``sha256`` is what its hash was when it was
    written.
    """

    key: str
    label: str
    votes: dict[str, float]
    source: str
    group: str
    sha256: str
    jpg: bytes
    start: int


def read_samples(shard: bytes, name: str) -> Iterator[Sample]:
    """The samples of a shard, in its order.

    Raises:
        InputError: not a WebDataset tar, or a sample lacks its image or its label.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(shard), mode="r:") as tar:
            for key, members in groupby(tar, lambda member: member.name.partition(".")[0]):
                files = {member.name.rpartition(".")[2]: member for member in members}
                known = json.loads(_content(shard, files["json"]))
                yield Sample(
                    key, known["label"], known["votes"], known["source"], known["split_group"], known["sha256"],
                    _content(shard, files["jpg"]), files["jpg"].offset_data,
                )  # fmt: skip
    except (tarfile.TarError, LookupError, TypeError, ValueError, EOFError) as error:
        raise InputError(f"{name}: not a readable shard ({error}); delete it and run emotune.shard again") from None


def _content(shard: bytes, member: tarfile.TarInfo) -> bytes:
    end = member.offset_data + member.size
    if end > len(shard):
        raise EOFError(f"it ends in the middle of {member.name}")
    return shard[member.offset_data : end]


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
        raise InputError(count_mismatch(folder, shard, count))


def count_mismatch(folder: Folder, shard: Shard, found: int) -> str:
    """What is wrong with a shard of ``found`` samples."""
    more = f"more than {shard.samples}" if found > shard.samples else str(found)
    return f"{folder / shard.file}: {more} samples, the manifest says {shard.samples}; run emotune.shard again"


def decode_sample(sample: Sample, where: str) -> np.ndarray:
    """A sample's image, uint8 (SIDE, SIDE, 3).

    Raises:
        InputError: it cannot be decoded; the message names it and the shard, which is at ``where``.
    """
    try:
        return decode_square(sample.jpg, IMAGE_SIDE)
    except UnreadableImageError as error:
        raise InputError(f"{where}: {sample.key} ({sample.source}): {error}") from None
