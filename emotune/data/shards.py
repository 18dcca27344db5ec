"""Pictures into WebDataset shards, and samples out of them.

A shard's name holds a digest of what goes into it, and it is written under a temporary name and renamed: an interrupted
command, repeated, keeps every shard that is whole and writes the others. `manifest.json` comes last.
"""

import csv
import hashlib
import io
import json
import os
import re
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path

from emotune.data.manifest import MANIFEST, SPLITS, LeftOut, Manifest, Shard, read_manifest, write_manifest
from emotune.data.pictures import UnreadablePictureError
from emotune.data.sources import Item, Listing
from emotune.errors import InputError
from emotune.storage import Folder

__all__ = ["PARTS", "Sample", "hash_with_split", "read_samples", "split_of", "write_shards"]

PARTS = (0.7, 0.1, 0.2)
"""Shares of train, val and test."""

LEFT_OUT = "left_out.csv"
SHARD_NAME = re.compile(r"^(train|val|test)-\d{6}-[0-9a-f]{8}\.tar(\.part)?\Z")


@dataclass(frozen=True)
class Sample:
    """One labelled picture of a shard; ``jpg`` is its file."""

    key: str
    label: str
    votes: dict[str, int]
    source: str
    jpg: bytes


def split_of(key: str, parts: tuple[float, float, float] = PARTS) -> str:
    """The split of a picture: by its key, so that it never changes when other pictures are added.

    >>> split_of("00000000"), split_of("ffffffff")
    ('test', 'train')
    """
    position = int(key[:8], 16) / 2**32
    return "test" if position < parts[2] else "val" if position < parts[2] + parts[1] else "train"


def write_shards(
    listing: Listing,
    out: Path,
    *,
    parts: tuple[float, float, float] = PARTS,
    samples_per_shard: int = 1000,
    workers: int = 1,
    advance: Callable[[int], None] = lambda pictures: None,
) -> Manifest:
    """Writes the shards, ``left_out.csv`` and ``manifest.json`` of a listing into ``out``.

    Args:
        listing: From `emotune.data.sources`.
        out: An empty or new folder, or one with shards of an earlier or interrupted call, which are kept or replaced.
        parts: Shares of train, val and test.
        samples_per_shard: At most so many pictures in a shard.
        workers: Processes that read pictures.
        advance: Called with the number of pictures that are through.

    Raises:
        InputError: ``out`` holds other files, or a class has no picture in a split.
    """
    _check_counts(listing, Counter((item.label, split_of(item.key, parts)) for item in listing.items))
    _make_folder(out)
    _drop_damaged(out)
    left_out, shards, lines, counts = list(listing.left_out), [], [], Counter()
    with _reading_processes(workers) as pool:
        for split in SPLITS:
            chosen = sorted((i for i in listing.items if split_of(i.key, parts) == split), key=lambda item: item.key)
            for number, start in enumerate(range(0, len(chosen), samples_per_shard)):
                items = chosen[start : start + samples_per_shard]
                digest = _digest([listing.encoding, *(f"{i.key} {i.label} {i.votes}" for i in items)])
                path = out / f"{split}-{number:06d}-{digest[:8]}.tar"
                left_out += _write_shard(path, items, pool, advance)
                data = path.read_bytes()
                samples = list(read_samples(data, str(path)))
                lines += [f"{s.key} {s.label} {split} {hashlib.sha256(s.jpg).hexdigest()}" for s in samples]
                counts.update((s.label, split) for s in samples)
                shards.append(Shard(path.name, split, len(samples), len(data), hashlib.sha256(data).hexdigest()))
    _check_counts(listing, counts)
    manifest = Manifest(
        name=re.sub(r"[^a-z0-9_.-]+", "-", listing.name.lower()).strip("-_.") or "pictures",
        classes=listing.classes,
        counts={split: {label: counts[label, split] for label in listing.classes} for split in SPLITS},
        shards=tuple(shards),
        content_hash=hash_with_split(listing.content_hash, parts) if listing.content_hash else _digest(sorted(lines)),
        left_out=tuple(left_out),
        source=listing.source,
        licence=listing.licence,
        synthetic=listing.synthetic,
    )
    _write_left_out(out, left_out)
    write_manifest(Folder(str(out)), manifest)
    for path in out.iterdir():
        if SHARD_NAME.match(path.name) and path.name not in {shard.file for shard in shards}:
            path.unlink()
    return manifest


def _write_shard(
    path: Path, items: Sequence[Item], pool: ProcessPoolExecutor, advance: Callable[[int], None]
) -> list[LeftOut]:
    """Writes one shard unless it is there, and says which items are not in it."""
    if path.exists():
        present = {sample.key for sample in read_samples(path.read_bytes(), str(path))}
        advance(len(present))
        items = [item for item in items if item.key not in present]
        results = pool.map(_read, items)
        return [_left_out(item, result, advance) for item, result in zip(items, results, strict=True)]
    from webdataset import TarWriter  # imports torch

    left_out = []
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        # Fixed times and owners: the same pictures give the same shard, to the byte.
        with TarWriter(file, encoder=False, mtime=0, user="emotune", group="emotune", compress=False) as tar:
            for item, result in zip(items, pool.map(_read, items, chunksize=8), strict=True):
                if isinstance(result, str):
                    left_out.append(_left_out(item, result, advance))
                    continue
                known = {"label": item.label, "votes": item.votes, "source": item.source, "split_group": item.key}
                tar.write({"__key__": item.key, "jpg": result, "json": json.dumps(known, ensure_ascii=False).encode()})
                advance(1)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    return left_out


def _read(item: Item) -> bytes | str:
    """The picture as JPEG, or the reason why there is none."""
    try:
        return item.read()
    except (UnreadablePictureError, OSError) as error:
        return str(error)


def _left_out(item: Item, result: bytes | str, advance: Callable[[int], None]) -> LeftOut:
    advance(1)
    return LeftOut(item.source, result if isinstance(result, str) else "unreadable when the shard was written")


def read_samples(shard: bytes, name: str) -> Iterator[Sample]:
    """The samples of a shard, in its order.

    Raises:
        InputError: not a WebDataset tar, or a sample lacks its picture or its label.
    """
    import tarfile

    from webdataset.tariterators import group_by_keys, tar_file_expander  # imports torch

    try:
        for sample in group_by_keys(tar_file_expander([{"url": name, "stream": io.BytesIO(shard)}])):
            known = json.loads(sample["json"])
            yield Sample(sample["__key__"], known["label"], known["votes"], known["source"], sample["jpg"])
    except (tarfile.TarError, LookupError, TypeError, ValueError, EOFError) as error:
        reason = str(error.args[0] if error.args else error).partition(" @ <")[0]  # webdataset adds its stream
        raise InputError(f"{name}: not a readable shard ({reason}); delete it and run emotune.shard again") from None


def _check_counts(listing: Listing, counts: Counter[tuple[str, str]]) -> None:
    """Every class needs a picture in every split: without one it can't be learned, or its recall can't be known."""
    problems = []
    for label in listing.classes:
        if missing := [split for split in SPLITS if not counts[label, split]]:
            have = ", ".join(f"{split} {counts[label, split]}" for split in SPLITS)
            problems.append(f'class "{label}": too few pictures ({have}); {" and ".join(missing)} would be empty')
    if problems:
        raise InputError("\n".join([*problems, "Add pictures to these classes, or give other shares with --split"]))


def _write_left_out(out: Path, left_out: Sequence[LeftOut]) -> None:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["source", "reason"])
    writer.writerows([entry.source, entry.reason] for entry in left_out)
    Folder(str(out)).write(LEFT_OUT, text.getvalue().encode())


def hash_with_split(content_hash: str, parts: tuple[float, float, float]) -> str:
    """The content hash of pictures that are known beforehand, together with how they are split."""
    return _digest([content_hash, "/".join(f"{part:g}" for part in parts)])


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        strangers = sorted(path.name for path in out.iterdir() if not _is_ours(path.name))
    except OSError as error:
        raise InputError(f"{out}: cannot be used as a folder ({error.strerror}); name another one") from None
    if strangers:
        raise InputError(f"{out}: holds other files ({strangers[0]} …); name an empty or new folder")


def _drop_damaged(out: Path) -> None:
    """Removes shards that are not what an earlier, finished call wrote, so that they are written again."""
    try:
        earlier = read_manifest(Folder(str(out))).shards
    except InputError:
        return
    for shard in earlier:
        path = out / shard.file
        if path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() != shard.sha256:
            path.unlink()


@contextmanager
def _reading_processes(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that read pictures; what they have not begun is dropped when something goes wrong here."""
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=_end_with_parent) as pool:
        _start(pool, workers)
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _start(pool: ProcessPoolExecutor, workers: int) -> None:
    """Starts the reading processes, which Ctrl-C in a terminal shall not reach: this one ends them in good order."""
    if threading.current_thread() is not threading.main_thread():
        return  # signals are the main thread's
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # which processes started now inherit
    try:
        for started in [pool.submit(os.getpid) for _ in range(workers)]:
            started.result()
    finally:
        signal.signal(signal.SIGINT, before)


def _end_with_parent() -> None:
    """Ends a reading process when the command that started it was killed: it would wait for work for ever."""

    def watch() -> None:
        parent_process().join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _is_ours(name: str) -> bool:
    return bool(SHARD_NAME.match(name)) or name in (MANIFEST, LEFT_OUT) or name.startswith(".")


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
