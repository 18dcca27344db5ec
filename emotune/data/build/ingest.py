"""Ingests images in parallel processes, each image once: an interrupted command that is run again goes on.

Images are ingested in chunks. The JPEGs of a chunk go into one file of the spool folder; what is known of them goes
into a second file, which is written last. The next call skips the finished chunks whose images have not changed.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from typing import TypedDict

from emotune.core.storage import Folder, to_json_bytes
from emotune.data.build.decode_clip import VERSION as CLIP_VERSION
from emotune.data.build.ingest_image import VERSION, IngestedImage, Limits, ingest_image
from emotune.data.build.reader_pool import reader_pool
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
    spool: Path,
    limits: Limits,
    *,
    workers: int = 1,
    advance: Callable[[int], None] = lambda images: None,
) -> list[IngestedImage]:
    """The ingested images, in the order of the entries; their JPEGs are in files in the spool folder.

    Args:
        entries: The listed images.
        spool: The folder for the JPEGs.
        limits: The size at which images are stored, and the sizes that are accepted.
        workers: The number of processes that read images; 1 reads them in this process.
        advance: A function that is called with the number of images that are finished, chunk by chunk.
    """
    size = CLIPS if entries and isinstance(entries[0].image, Clip) else CHUNK
    chunks = [entries[start : start + size] for start in range(0, len(entries), size)]
    names = [_chunk_name(chunk, limits) for chunk in chunks]
    spool.mkdir(parents=True, exist_ok=True)
    finished: dict[str, list[IngestedImage]] = {}
    missing: list[tuple[str, Sequence[Entry]]] = []
    for name, chunk in zip(names, chunks, strict=True):
        if images := _read_chunk(spool, name):
            finished[name] = images
            advance(len(chunk))
        else:
            missing.append((name, chunk))
    workers = min(workers, len(missing))
    if workers > 1:
        with reader_pool(workers) as pool:
            jobs = (pool.submit(_ingest_chunk, chunk, spool, name, limits) for name, chunk in missing)
            for count in _as_completed(jobs, 3 * workers):
                advance(count)
    else:  # no process of its own, so that a script needs no `if __name__ == "__main__"`
        for name, chunk in missing:
            advance(_ingest_chunk(chunk, spool, name, limits))
    return [image for name in names for image in finished.get(name) or _read_chunk(spool, name)]


def _as_completed(jobs: Iterable[Future[int]], at_a_time: int) -> Iterable[int]:
    """The results of the jobs as they complete. Only a few jobs are submitted ahead, because each holds its images."""
    running: set[Future[int]] = set()
    for job in jobs:
        running.add(job)
        if len(running) >= at_a_time:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)
    yield from (future.result() for future in running)


def _chunk_name(entries: Sequence[Entry], limits: Limits) -> str:
    """The name of a chunk's spool file, which changes with everything that its content depends on."""
    return digest([VERSION, repr(limits), *(f"{entry.key} {source_stamp(entry)}" for entry in entries)])


def _read_chunk(spool: Path, name: str) -> list[IngestedImage]:
    """The images of a finished chunk; empty if it is missing or incomplete."""
    try:
        rows: list[_SpoolRow] = json.loads((spool / f"{name}.json").read_bytes())
        complete = (spool / name).stat().st_size == sum(row["bytes"] for row in rows)
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


def _ingest_chunk(entries: Sequence[Entry], spool: Path, name: str, limits: Limits) -> int:
    """Writes the two spool files of a chunk, and returns the number of its images."""
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
    folder = Folder(str(spool))
    # Flushing to the disk would take a tenth of the time of reading. What a power cut leaves is checked anyway.
    folder.write(name, b"".join(jpegs), flush=False)
    folder.write(f"{name}.json", to_json_bytes(rows), flush=False)
    return len(entries)


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
