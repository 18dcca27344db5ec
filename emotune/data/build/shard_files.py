"""Writes WebDataset tar files: which samples go into which shard, and the bytes of each shard."""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, cast

from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.core.threads import parallel_map
from emotune.data.build.ingest_image import IngestedImage
from emotune.data.manifest import SPLITS, Shard, digest
from emotune.data.shard_reader import SampleMetadata
from emotune.data.sources.base import Entry

__all__ = ["MAX_SHARD_BYTES", "ShardMember", "cut_into_shards", "write_shard"]

MAX_SHARD_BYTES = 64_000_000
"""Most bytes of images in a shard; only a single larger image exceeds them."""

REQUESTS_AT_ONCE = 16
"""Images of a shard that are read at the same time if they are behind a URL."""


@dataclass(frozen=True)
class ShardMember:
    """An image that becomes a sample.

    Attributes:
        entry: The image as its source lists it.
        image: The ingested image.
        group: The name of its group of near-duplicates.
        split: ``train``, ``val`` or ``test``.
    """

    entry: Entry
    image: IngestedImage
    group: str
    split: str


def cut_into_shards(
    members: Sequence[ShardMember], samples_per_shard: int
) -> Iterator[tuple[str, Sequence[ShardMember]]]:
    """The file name and the members of each shard; all members of a shard belong to one split.

    Args:
        members: All members, ordered by split.
        samples_per_shard: The largest number of samples in a shard.
    """
    for split in SPLITS:
        parts: list[list[ShardMember]] = []
        room = 0
        for member in (member for member in members if member.split == split):
            if not parts or len(parts[-1]) == samples_per_shard or member.image.bytes > room:
                parts.append([])
                room = MAX_SHARD_BYTES
            parts[-1].append(member)
            room -= member.image.bytes
        for number, part in enumerate(parts):
            lines = (f"{member.image.sha256} {_metadata_json(member)}" for member in part)
            yield f"{split}-{number:06d}-{digest(lines)[:8]}.tar", part


def write_shard(out: Folder, spool: Folder, name: str, members: Sequence[ShardMember]) -> Shard:
    """Writes a shard, and returns its entry in the manifest.

    Args:
        out: The folder of the shards.
        spool: The folder that holds the JPEGs of the ingested images.
        name: The file name, from `cut_into_shards`.
        members: The members, likewise.

    Raises:
        InputError: the spool is damaged.
    """
    buffer = io.BytesIO()
    # Behind a URL each image is a request.
    threads = REQUESTS_AT_ONCE if spool.local is None else 1
    jpegs = parallel_map(partial(_read_jpeg, spool), [member.image for member in members], threads)
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for member, jpg in zip(members, jpegs, strict=True):
            for suffix, content in (("jpg", jpg), ("json", _metadata_json(member).encode())):
                # Without times and owners the same images give the same shard, byte for byte.
                info = tarfile.TarInfo(f"{member.image.key}.{suffix}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    data = buffer.getvalue()
    out.write(name, data)
    split = cast(Literal["train", "val", "test"], members[0].split)  # `Shard` checks it
    return Shard(name, split, len(members), len(data), hashlib.sha256(data).hexdigest())


def _read_jpeg(spool: Folder, image: IngestedImage) -> bytes:
    jpg = spool.read_part(image.spool, image.start, image.bytes)
    if hashlib.sha256(jpg).hexdigest() != image.sha256:
        raise InputError(f"{spool}: damaged; delete this folder and run the same command again")
    return jpg


def _metadata_json(member: ShardMember) -> str:
    entry = member.entry
    metadata: SampleMetadata = {
        "label": entry.label,
        "votes": dict(entry.votes),
        "source": entry.source,
        "split_group": member.group,
        "sha256": member.image.sha256,
    }
    if entry.ratings:
        metadata["ratings"] = dict(entry.ratings)
    return json.dumps(metadata, ensure_ascii=False)
