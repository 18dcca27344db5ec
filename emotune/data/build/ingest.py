"""Images read once: each is decoded, looked at, shrunk and encoded, a chunk of them at a time, by several processes.

A chunk's JPEGs go into one file of the spool; what was seen of them goes into another, written last. An interrupted
command, repeated, finds the chunks that are whole, as long as their images have not changed.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import asdict, dataclass
from pathlib import Path

import PIL
from PIL import Image

from emotune.core.storage import Folder, to_json_bytes
from emotune.data.build.perceptual_hash import is_blank, perceptual_hashes
from emotune.data.build.reader_pool import reader_pool
from emotune.data.image_io import (
    MAX_PIXELS,
    DecompressionBombError,
    Loaded,
    TruncatedImageError,
    UnreadableImageError,
    encode,
    load,
    read_file,
    shrink,
)
from emotune.data.jpeg_integrity import missing_scans, pixels_only, scan_damage
from emotune.data.manifest import Problem, digest
from emotune.data.sources.base import Entry

__all__ = ["LIMITS", "VERSION", "IngestedImage", "Limits", "ingest", "source_stamp"]

CHUNK = 64
"""Images that an interruption may cost each process."""
VERSION = f"2, Pillow {PIL.__version__}"
"""Of how images are read, judged and encoded: raised when the same ones would give other samples."""


@dataclass(frozen=True)
class Limits:
    """How large images are stored, and which are worth it.

    Attributes:
        shorter_side: Pixels that the shorter side of a larger image gets; None keeps its size.
        min_side: Pixels; an image whose shorter side has fewer is tiny.
        max_aspect: Longer by shorter side; more is extreme: the centre square would show little of the image.
        max_pixels: Of what is decoded of an image; of a large JPEG that is an eighth of each side at least.
    """

    shorter_side: int | None = 256
    min_side: int = 64
    max_aspect: float = 5.0
    max_pixels: int = MAX_PIXELS


LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class IngestedImage:
    """What reading an image found.

    Attributes:
        key: Its name in the shards: the hash of its file, 20 hexadecimal digits; empty if there is no reading it.
        problems: Each with what is to be said of it.
        phash: `emotune.data.build.perceptual_hash.perceptual_hash`; empty for images without structure, and for drawn
        ones.
        mirrored_phash: The look of the image's mirror image, likewise.
        pixels: The hash of its pixels, where there is no look.
        spool: The file that holds its JPEG, from ``start`` on, ``bytes`` long.
        sha256: Of the JPEG.
    """

    key: str
    problems: tuple[tuple[Problem, str], ...] = ()
    phash: bytes = b""
    mirrored_phash: bytes = b""
    pixels: str = ""
    spool: str = ""
    start: int = 0
    bytes: int = 0
    sha256: str = ""


def ingest(
    entries: Sequence[Entry],
    spool: Path,
    limits: Limits,
    *,
    workers: int = 1,
    advance: Callable[[int], None] = lambda images: None,
) -> list[IngestedImage]:
    """Reads all images into files in ``spool``, and says what was found, in the order of the entries."""
    chunks = [entries[start : start + CHUNK] for start in range(0, len(entries), CHUNK)]
    names = [
        digest([VERSION, repr(limits), *(f"{entry.key} {source_stamp(entry)}" for entry in chunk)]) for chunk in chunks
    ]
    spool.mkdir(parents=True, exist_ok=True)
    found, missing = {}, []
    for name, chunk in zip(names, chunks, strict=True):
        if rows := _chunk(spool, name):
            found[name] = rows
            advance(len(chunk))
        else:
            missing.append((name, chunk))
    if missing:
        with reader_pool(min(workers, len(missing))) as pool:
            jobs = (pool.submit(_take_in_chunk, chunk, spool, name, limits) for name, chunk in missing)
            for images in _as_completed(jobs, 3 * workers):
                advance(images)
    return [taken for name in names for taken in found.get(name) or _chunk(spool, name)]


def _as_completed(jobs: Iterable[Future[int]], at_a_time: int) -> Iterable[int]:
    """The jobs' results as they come, submitting no more than a few ahead: images by the thousand wait in a list."""
    running: set[Future[int]] = set()
    for job in jobs:
        running.add(job)
        if len(running) >= at_a_time:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)
    yield from (future.result() for future in running)


def _chunk(spool: Path, name: str) -> list[IngestedImage]:
    """What was found in a chunk; nothing if it is not there, or not whole."""
    try:
        rows = json.loads((spool / f"{name}.json").read_bytes())
        whole = (spool / name).stat().st_size == sum(row["bytes"] for row in rows)
        return [_taken(row, name) for row in rows] if whole else []
    except (OSError, ValueError, LookupError, TypeError):
        return []


def _taken(row: dict, spool: str) -> IngestedImage:
    problems = tuple((Problem(problem), detail) for problem, detail in row["problems"])
    looks = {name: bytes.fromhex(row[name]) for name in ("phash", "mirrored_phash")}
    return IngestedImage(**row | looks | {"problems": problems, "spool": spool})


def _take_in_chunk(entries: Sequence[Entry], spool: Path, name: str, limits: Limits) -> int:
    jpegs, rows, start = [], [], 0
    for entry in entries:
        taken, jpeg = _take(entry, limits)
        looks = {"phash": taken.phash.hex(), "mirrored_phash": taken.mirrored_phash.hex()}
        row = asdict(taken) | looks | {"start": start, "bytes": len(jpeg)}
        rows.append(row | {"sha256": hashlib.sha256(jpeg).hexdigest()})
        jpegs.append(jpeg)
        start += len(jpeg)
    folder = Folder(str(spool))
    # Not flushed to the disk, which would take as long as a tenth of the reading: what a power cut leaves is checked.
    folder.write(name, b"".join(jpegs), flush=False)
    folder.write(f"{name}.json", to_json_bytes(rows), flush=False)
    return len(entries)


def _take(entry: Entry, limits: Limits) -> tuple[IngestedImage, bytes]:
    """What was found, and the image as it goes into a shard; empty where there is none."""
    if not isinstance(entry.image, Path):  # drawn by us: nothing to be found
        jpeg = entry.image()
        return IngestedImage(entry.key or _key(jpeg)), jpeg
    try:
        data = read_file(entry.image)
    except UnreadableImageError as error:
        return IngestedImage("", ((_problem(error), str(error)),)), b""
    except (OSError, ValueError) as error:  # ValueError: no possible path
        return IngestedImage("", ((Problem.UNREADABLE, getattr(error, "strerror", None) or str(error)),)), b""
    key = entry.key or _key(data)
    try:
        loaded = load(data, limits.shorter_side, limits.max_pixels)
        _check_jpeg(data)
        image = shrink(loaded, limits.shorter_side)
        jpeg = _stored(data, loaded, image)
    except UnreadableImageError as error:
        return IngestedImage(key, ((_problem(error), str(error)),)), b""
    (seen, mirrored), problems = perceptual_hashes(image), _problems(loaded, limits)
    if seen:
        return IngestedImage(key, problems, seen, mirrored), jpeg
    if is_blank(image):
        problems += ((Problem.BLANK, "one colour, or nearly"),)
    return IngestedImage(key, problems, pixels=_key(repr(image.size).encode() + image.tobytes())), jpeg


def _check_jpeg(data: bytes) -> None:
    """Refuses a JPEG in which data are missing or damaged, though it can be decoded: a part of it would be grey.

    Raises:
        UnreadableImageError: says what is wrong.
    """
    if data[:2] != b"\xff\xd8":
        return
    if damage := scan_damage(data):
        kind = TruncatedImageError if "premature" in damage.lower() else UnreadableImageError
        raise kind(f"damaged: {damage}")
    if missing_scans(data):
        raise TruncatedImageError("damaged: the last scans of a progressive JPEG are missing")


def _stored(data: bytes, loaded: Loaded, image: Image.Image) -> bytes:
    """The image as it goes into a shard: pixels, and nothing else that its file had."""
    if loaded.plain and image is loaded.image:
        try:
            return pixels_only(data)
        except ValueError:  # an unusual file that can be decoded all the same
            pass
    return encode(image)


def _problem(error: UnreadableImageError) -> Problem:
    if isinstance(error, TruncatedImageError):
        return Problem.TRUNCATED
    return Problem.BOMB if isinstance(error, DecompressionBombError) else Problem.UNDECODABLE


def _problems(loaded: Loaded, limits: Limits) -> tuple[tuple[Problem, str], ...]:
    shorter, longer = sorted(loaded.size)
    size, found = "{}×{} pixels".format(*loaded.size), []
    if loaded.animated:
        found.append((Problem.ANIMATED, "more than one frame"))
    if loaded.pages:
        found.append((Problem.PAGES, "more than one page"))
    if shorter < limits.min_side:
        found.append((Problem.TINY, f"{size}, the shorter side under {limits.min_side}"))
    if longer > limits.max_aspect * shorter:
        found.append((Problem.ASPECT, f"{size}, more than {limits.max_aspect:g} : 1"))
    return tuple(found)


def source_stamp(entry: Entry) -> str:
    """What would differ if the image were another: its file's path, size and time of change, or how it is drawn."""
    if not isinstance(entry.image, Path):
        return repr(entry.image)
    try:
        status = entry.image.stat()
    except (OSError, ValueError):
        return f"{entry.image} missing"
    return f"{entry.image} {status.st_size} {status.st_mtime_ns}"


def _key(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:20]
