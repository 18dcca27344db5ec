"""Images are ingested in parallel, each once: an interrupted command that is run again goes on.

Images are ingested in chunks. The JPEGs of a chunk go into one file of the spool folder; what is known of them goes
into a second file, which is written last. The next call skips the finished chunks whose images have not changed.
"""

import hashlib
import json
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypedDict

from emotune.core.errors import InputError
from emotune.core.storage import Folder, to_json_bytes
from emotune.data.build.decode_clip import VERSION as CLIP_VERSION
from emotune.data.build.executor import ShardExecutor
from emotune.data.build.ingest_image import VERSION, IngestedImage, Limits, ingest_image
from emotune.data.manifest import Problem, digest
from emotune.data.sources.base import Clip, Entry

__all__ = ["ingest", "source_stamp"]

CHUNK = 64
"""Images in a chunk: an interruption costs each process at most so many."""
CLIPS = 2
"""Videos in a chunk: one takes as long as many images, and few videos should occupy all processes, too."""


class _SpoolRow(TypedDict):
    """An `IngestedImage` in the JSON file of its chunk; perceptual hashes are hexadecimal."""

    key: str
    problems: list[tuple[str, str]]
    phash: str
    mirrored_phash: str
    pixels: str
    start: int
    bytes: int
    sha256: str


def ingest(
    entries: Sequence[Entry],
    spool: Folder,
    limits: Limits,
    *,
    executor: ShardExecutor,
    advance: Callable[[int], None] = lambda images: None,
) -> list[IngestedImage]:
    """The ingested images, in the order of the entries; their JPEGs are in files in the spool folder.

    Args:
        entries: The listed images.
        spool: The folder for the JPEGs.
        limits: The size at which images are stored, and the sizes that are accepted.
        executor: The executor that reads the images.
        advance: A function that is called with the number of images that are finished, chunk by chunk.
    """
    size = CLIPS if entries and isinstance(entries[0].image, Clip) else CHUNK
    chunks = [entries[start : start + size] for start in range(0, len(entries), size)]
    names = [_chunk_name(chunk, limits) for chunk in chunks]
    files = spool.files()
    finished: dict[str, list[IngestedImage]] = {}
    missing: list[tuple[Sequence[Entry], Folder, str, Limits]] = []
    for name, chunk in zip(names, chunks, strict=True):
        if images := _read_chunk(spool, name, files):
            finished[name] = images
            advance(len(chunk))
        else:
            missing.append((chunk, spool, name, limits))
    function = _ingest_seen_alike if executor.is_distributed else _ingest_chunk
    for name, images in executor.as_completed(function, missing):
        finished[name] = images
        advance(len(images))
    return [image for name in names for image in finished[name]]


def _chunk_name(entries: Sequence[Entry], limits: Limits) -> str:
    """The name of a chunk's spool file, which changes with everything that its content depends on."""
    return digest([VERSION, repr(limits), *(f"{entry.key} {source_stamp(entry)}" for entry in entries)])


def _read_chunk(spool: Folder, name: str, files: Mapping[str, tuple[int, float]]) -> list[IngestedImage]:
    """The images of a finished chunk; empty if it is missing or incomplete.

    Args:
        spool: The folder of the spool files.
        name: The name of the chunk.
        files: The sizes of the spool files, from `Folder.files`.
    """
    if name not in files or f"{name}.json" not in files:
        return []
    try:
        rows: list[_SpoolRow] = json.loads(spool.read(f"{name}.json") or b"")
        complete = files[name][0] == sum(row["bytes"] for row in rows)
        return [_from_row(row, name) for row in rows] if complete else []
    except (OSError, ValueError, LookupError, TypeError):
        return []


def _from_row(row: _SpoolRow, spool: str) -> IngestedImage:
    return IngestedImage(
        key=row["key"],
        problems=tuple((Problem(problem), detail) for problem, detail in row["problems"]),
        phash=bytes.fromhex(row["phash"]),
        mirrored_phash=bytes.fromhex(row["mirrored_phash"]),
        pixels=row["pixels"],
        spool=spool,
        start=row["start"],
        bytes=row["bytes"],
        sha256=row["sha256"],
    )


def _ingest_seen_alike(
    entries: Sequence[Entry], spool: Folder, name: str, limits: Limits
) -> tuple[str, list[IngestedImage]]:
    """The result of `_ingest_chunk`, on a machine that must see the same files as the one that made the chunk.

    Raises:
        InputError: it sees other files, or none; they would be left out as unreadable.
    """
    if isinstance(entries[0].image, Path | Clip) and _chunk_name(entries, limits) != name:
        raise InputError(
            f"node {socket.gethostname()}: between {entries[0].source} and {entries[-1].source} an image is missing "
            "there, or has another size or time than where the command was started; mount the same folder at the same "
            "path on all nodes, and change nothing in it meanwhile"
        )
    return _ingest_chunk(entries, spool, name, limits)


def _ingest_chunk(
    entries: Sequence[Entry], spool: Folder, name: str, limits: Limits
) -> tuple[str, list[IngestedImage]]:
    """Writes the two spool files of a chunk, and returns its name and its images."""
    jpegs: list[bytes] = []
    rows: list[_SpoolRow] = []
    start = 0
    for entry in entries:
        image, jpeg = ingest_image(entry, limits)
        rows.append({
            "key": image.key,
            "problems": [(problem.value, detail) for problem, detail in image.problems],
            "phash": image.phash.hex(),
            "mirrored_phash": image.mirrored_phash.hex(),
            "pixels": image.pixels,
            "start": start,
            "bytes": len(jpeg),
            "sha256": hashlib.sha256(jpeg).hexdigest(),
        })  # fmt: skip
        jpegs.append(jpeg)
        start += len(jpeg)
    # Flushing to the disk would take a tenth of the time of reading. What a power cut leaves is checked anyway.
    spool.write(name, b"".join(jpegs), flush=False)
    spool.write(f"{name}.json", to_json_bytes(rows), flush=False)
    return name, [_from_row(row, name) for row in rows]


def source_stamp(entry: Entry) -> str:
    """A text that changes when the image does: the path, size and modification time of its file, or how it is drawn."""
    if not isinstance(entry.image, Path | Clip):
        return repr(entry.image)
    if isinstance(entry.image, Path):
        path, image = entry.image, str(entry.image)
    else:
        path, image = entry.image.path, f"{entry.image} {CLIP_VERSION}"
    try:
        status = path.stat()
    except (OSError, ValueError):
        return f"{image} missing"
    return f"{image} {status.st_size} {status.st_mtime_ns}"
