"""Read samples from shards and decode their images; errors name the shard and the remedy."""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import NotRequired, TypedDict

import numpy as np

from emotune.config.input_spec import InputSpec
from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.data.image_io import UnreadableImageError, decode_frames, decode_square
from emotune.data.manifest import Rating, Shard

__all__ = [
    "Sample",
    "SampleMetadata",
    "checked_samples",
    "count_mismatch",
    "decode_input",
    "decode_sample",
    "read_samples",
    "read_shard",
]


@dataclass(frozen=True)
class Sample:
    """One labelled image of a shard.

    Attributes:
        key: The sample's name in the shard.
        label: The class.
        votes: The annotators' votes by class.
        source: The image's path within the data set that it comes from, or its link.
        group: The name of the group of near-duplicates that the image belongs to.
        sha256: The hash of the image's file, as recorded when the shard was written.
        jpg: The bytes of the image's JPEG file.
        start: The offset of that file in the shard, in bytes.
        ratings: The annotators' ratings by dimension; empty unless the data set's target is *dimensions*.
    """

    key: str
    label: str
    votes: dict[str, float]
    source: str
    group: str
    sha256: str
    jpg: bytes
    start: int
    ratings: dict[str, Rating]


class SampleMetadata(TypedDict):
    """The content of a sample's ``.json`` file."""

    label: str
    votes: dict[str, float]
    source: str
    split_group: str
    sha256: str
    ratings: NotRequired[dict[str, Rating]]


def read_samples(shard: bytes, name: str) -> Iterator[Sample]:
    """The samples of a shard, in the order of the file.

    Args:
        shard: The bytes of the shard.
        name: The shard's path, for messages.

    Raises:
        InputError: the bytes are not a WebDataset tar file, or a sample lacks its image or its metadata.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(shard), mode="r:") as tar:
            for key, members in groupby(tar, lambda member: member.name.partition(".")[0]):
                files = {member.name.rpartition(".")[2]: member for member in members}
                metadata: SampleMetadata = json.loads(_content(shard, files["json"]))
                yield Sample(
                    key=key,
                    label=metadata["label"],
                    votes=metadata["votes"],
                    source=metadata["source"],
                    group=metadata["split_group"],
                    sha256=metadata["sha256"],
                    jpg=_content(shard, files["jpg"]),
                    start=files["jpg"].offset_data,
                    ratings={name: (mean, sd) for name, (mean, sd) in metadata.get("ratings", {}).items()},
                )
    except (tarfile.TarError, LookupError, TypeError, ValueError, EOFError) as error:
        raise InputError(f"{name}: not a readable shard ({error}); delete it, then run emotune.shard again") from None


def _content(shard: bytes, member: tarfile.TarInfo) -> bytes:
    end = member.offset_data + member.size
    if end > len(shard):
        raise EOFError(f"the file ends in the middle of {member.name}")
    return shard[member.offset_data : end]


def read_shard(folder: Folder, shard: Shard) -> bytes:
    """The bytes of a shard.

    Raises:
        InputError: the shard is missing, or its hash is not that in the manifest.
    """
    data, path = folder.read(shard.file), folder / shard.file
    if data is None:
        raise InputError(f"{path}: missing, although the manifest lists it; run emotune.shard again")
    if hashlib.sha256(data).hexdigest() != shard.sha256:
        raise InputError(
            f"{path}: damaged (its sha256 is not that in the manifest); delete it, then run emotune.shard again"
        )
    return data


def checked_samples(folder: Folder, shard: Shard) -> Iterator[Sample]:
    """The samples of a shard, checked against the manifest.

    Raises:
        InputError: as in `read_shard`, or the number of samples is not that in the manifest.
    """
    count = 0
    for count, sample in enumerate(read_samples(read_shard(folder, shard), str(folder / shard.file)), 1):
        if count > shard.samples:
            break
        yield sample
    if count != shard.samples:
        raise InputError(count_mismatch(folder, shard, count))


def count_mismatch(folder: Folder, shard: Shard, count: int) -> str:
    """The message about a shard that holds ``count`` samples, which is not the number in the manifest."""
    actual = f"more than {shard.samples}" if count > shard.samples else str(count)
    return f"{folder / shard.file}: {actual} samples, but {shard.samples} in the manifest; run emotune.shard again"


def decode_sample(sample: Sample, where: str, input_spec: InputSpec = InputSpec()) -> np.ndarray:
    """The sample's image, or clip, as it is before it is cropped: as `decode_input` gives it.

    Args:
        sample: The sample.
        where: The path of its shard, for messages.
        input_spec: The input of the network, which gives size and interpolation.

    Raises:
        InputError: the image cannot be decoded.
    """
    try:
        return decode_input(sample.jpg, input_spec)
    except UnreadableImageError as error:
        raise InputError(f"{where}: {sample.key} ({sample.source}): {error}") from None


def decode_input(data: bytes, input_spec: InputSpec) -> np.ndarray:
    """An image of a shard before it is cropped, uint8 (resize, resize, 3); or a clip, (frames, resize, resize, 3).

    Args:
        data: The bytes of the file.
        input_spec: The input of the network, which gives size, interpolation, and the number of frames.

    Raises:
        UnreadableImageError: the data is not an image or clip, or is damaged.
    """
    if input_spec.frames > 1:
        return decode_frames(data, input_spec.frames, input_spec.resize, input_spec.interpolation)
    return decode_square(data, input_spec.resize, input_spec.interpolation)
