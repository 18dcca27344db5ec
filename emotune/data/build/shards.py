"""Images into WebDataset shards.

All images are first read into a spool (`intake`), then judged (`health`), then cut into shards. Files appear whole or
not at all, and `manifest.json` comes last: an interrupted command, repeated, goes on; a finished one does nothing.
"""

import hashlib
import io
import json
import re
import shutil
import tarfile
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from emotune.config.types import MAX_CLASS_NAME, MAX_TEXT, escape_control_characters
from emotune.core.cache_dir import cache_folder
from emotune.core.errors import InputError, raise_if_any
from emotune.core.storage import Folder
from emotune.core.threads import parallel_map
from emotune.data.annotations import agreement_of
from emotune.data.build.curate import CurationResult, curate
from emotune.data.build.ingest import ingest, source_stamp
from emotune.data.build.ingest_image import LIMITS, VERSION, IngestedImage, Limits
from emotune.data.build.overwrite import require_outside, require_same_source, require_shared_images
from emotune.data.build.rejections import explain_missing_splits, explain_too_few_listed
from emotune.data.build.verify import describe_damage
from emotune.data.manifest import (
    HEALTH,
    MANIFEST,
    MOST_NAME,
    SPLITS,
    ExcludedImage,
    Manifest,
    Problem,
    Shard,
    content_line,
    count_excluded,
    digest,
    hash_with_split,
    health_table,
    read_manifest,
    write_manifest,
)
from emotune.data.sources.base import Entry, Listing
from emotune.data.split import SHARES, Placed, assign_splits

__all__ = ["MAX_BYTES", "write_shards"]

MAX_BYTES = 64_000_000
"""Of a shard's images, unless one has more."""

SHARDS_AT_ONCE = 2
"""One is put together while another one goes to the disk, or to S3."""

SPOOL = ".spool"
REFUSED_HEALTH = "health.refused.csv"
"""Of images that were refused, beside shards that were made before."""
OWN = (MANIFEST, HEALTH, REFUSED_HEALTH)
SHARD_NAME = re.compile(r"^(train|val|test)-\d{6}-[0-9a-f]{8}\.tar\Z")
UNFINISHED = re.compile(r"^\.(train|val|test)-\d{6}-[0-9a-f]{8}\.tar\.\w+\Z")
"""What `Folder.write` leaves of a shard when the command is killed."""


@dataclass(frozen=True)
class _Member:
    """An image on its way into a shard."""

    entry: Entry
    taken: IngestedImage
    group: str
    split: str


def write_shards(
    listing: Listing,
    out: Folder,
    *,
    shares: tuple[float, float, float] = SHARES,
    samples_per_shard: int = 1000,
    limits: Limits = LIMITS,
    keep: Collection[Problem] = (),
    allow_thumbnails: bool = False,
    overwrite: bool = False,
    workers: int = 1,
    advance: Callable[[int], None] = lambda images: None,
) -> Manifest:
    """Writes the shards, ``health.csv`` and ``manifest.json`` of a listing into ``out``.

    Args:
        listing: From `emotune.data.sources.base`; its links fetched (`emotune.data.build.download`).
        out: An empty or new folder, or one with shards of an earlier or interrupted call, which are replaced.
        shares: Of train, val and test, for images whose split the source does not prescribe.
        samples_per_shard: At most so many images in a shard, and at most `MAX_BYTES`.
        limits: How images are stored, and which are fit to be.
        keep: Problems with which an image is kept (`emotune.data.build.curate.KEEPABLE`).
        allow_thumbnails: Whether reports may show these images.
        overwrite: Whether shards of another source may be replaced.
        workers: Processes that read images.
        advance: Called with numbers of images that are through.

    Raises:
        InputError: ``out`` holds other files or another source's shards, or is in use, or a class has no image in a
            split.
    """
    _check_names(listing)
    require_outside(out, listing)
    if few := explain_too_few_listed(listing):
        if listing.left_out:
            with _occupied(out):
                _refuse(out, few, listing.left_out)
        raise InputError("\n".join(few))
    how = repr((VERSION, shares, samples_per_shard, limits, sorted(keep), replace(listing, entries=(), left_out=())))
    recipe = digest([how, *map(_line, listing.entries), *map(repr, listing.left_out)])
    with _occupied(out) as spool:
        if (earlier := _finished(out, recipe)) is not None:
            advance(len(listing.entries))
            if earlier.allow_thumbnails != allow_thumbnails:
                write_manifest(out, earlier := replace(earlier, allow_thumbnails=allow_thumbnails))
            _tidy(out, earlier, spool)
            return earlier
        if not overwrite:
            require_same_source(out, listing)
        taken = ingest(listing.entries, spool, limits, workers=workers, advance=advance)
        judged = curate(listing.entries, taken, keep)
        problems = sorted([*listing.left_out, *judged.problems], key=lambda row: list(Problem).index(row.problem))
        members = _members(listing.entries, taken, judged, shares)
        counts = _counts(members, listing.classes)
        groups = Counter(label for _, label in {(m.group, m.entry.label) for m in members})
        _refuse(out, explain_missing_splits(listing, counts, groups, problems), problems)
        if not overwrite:
            try:
                require_shared_images(out, [member.taken.key for member in members])
            except InputError:
                shutil.rmtree(spool, ignore_errors=True)  # it is not this folder's
                raise
        shards = tuple(
            parallel_map(partial(_write_shard, out, spool), _cut(members, samples_per_shard), SHARDS_AT_ONCE)
        )
        out.write(HEALTH, table := health_table(problems))
        manifest = _describe(
            listing, members, counts, problems, shards, content_hash=_content_hash(listing, members, shares),
            health_sha256=hashlib.sha256(table).hexdigest(), recipe=recipe, allow_thumbnails=allow_thumbnails,
        )  # fmt: skip
        write_manifest(out, manifest)
        _tidy(out, manifest, spool)
    return manifest


def _describe(
    listing: Listing,
    members: Sequence[_Member],
    counts: dict[str, dict[str, int]],
    problems: Sequence[ExcludedImage],
    shards: tuple[Shard, ...],
    **identity: Any,
) -> Manifest:
    """The manifest of shards that are written; ``identity`` has the fields that tell one content from another."""
    return Manifest(
        name=re.sub(r"[^a-z0-9_.-]+", "-", listing.name.lower()).strip("-_.")[:MOST_NAME] or "images",
        classes=listing.classes,
        counts=counts,
        noisy=_counts((m for m in members if agreement_of(m.entry.label, m.entry.votes) == "noisy"), listing.classes),
        shards=shards,
        health=count_excluded(problems),
        source=escape_control_characters(listing.source)[:MAX_TEXT],
        licence=escape_control_characters(listing.licence)[:MAX_TEXT],
        synthetic=listing.synthetic,
        **identity,
    )


def _line(entry: Entry) -> str:
    """All that decides about an image's sample, as text."""
    return repr(
        (entry.source, entry.label, dict(entry.votes), entry.key, entry.split, entry.group, source_stamp(entry))
    )


def _members(
    entries: Sequence[Entry], taken: Sequence[IngestedImage], judged: CurationResult, shares: tuple[float, float, float]
) -> list[_Member]:
    """The images that become samples, by split and then by key."""
    placed = [Placed(group, entries[index].label, entries[index].split) for index, group in judged.groups.items()]
    members = [
        _Member(entries[index], taken[index], group, split)
        for (index, group), split in zip(judged.groups.items(), assign_splits(placed, shares), strict=True)
    ]
    return sorted(members, key=lambda member: (SPLITS.index(member.split), member.taken.key))


def _cut(members: Sequence[_Member], samples_per_shard: int) -> Iterator[tuple[str, list[_Member]]]:
    """The shards' names and members."""
    for split in SPLITS:
        parts: list[list[_Member]] = []
        room = 0
        for member in (member for member in members if member.split == split):
            if not parts or len(parts[-1]) == samples_per_shard or member.taken.bytes > room:
                parts.append([])
                room = MAX_BYTES
            parts[-1].append(member)
            room -= member.taken.bytes
        for number, part in enumerate(parts):
            lines = (f"{member.taken.sha256} {_known(member)}" for member in part)
            yield f"{split}-{number:06d}-{digest(lines)[:8]}.tar", part


def _known(member: _Member) -> str:
    """What a sample's JSON says."""
    entry = member.entry
    known = {"label": entry.label, "votes": entry.votes, "source": entry.source, "split_group": member.group}
    return json.dumps(known | {"sha256": member.taken.sha256}, ensure_ascii=False)


def _write_shard(out: Folder, spool: Path, named: tuple[str, Sequence[_Member]]) -> Shard:
    name, members = named
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for member in members:
            with (spool / member.taken.spool).open("rb") as file:
                file.seek(member.taken.start)
                jpg = file.read(member.taken.bytes)
            if hashlib.sha256(jpg).hexdigest() != member.taken.sha256:
                raise InputError(f"{spool}: damaged; delete it, and give the same command again")
            for suffix, content in (("jpg", jpg), ("json", _known(member).encode())):
                # No times and owners: the same images give the same shard, to the byte.
                info = tarfile.TarInfo(f"{member.taken.key}.{suffix}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    data = buffer.getvalue()
    out.write(name, data)
    return Shard(name, members[0].split, len(members), len(data), hashlib.sha256(data).hexdigest())


def _content_hash(listing: Listing, members: Sequence[_Member], shares: tuple[float, float, float]) -> str:
    if listing.content_hash:
        return hash_with_split(listing.content_hash, shares)
    return digest(
        sorted(content_line(m.taken.key, m.entry.label, dict(m.entry.votes), m.split, m.taken.sha256) for m in members)
    )


def _counts(members: Iterable[_Member], classes: Sequence[str]) -> dict[str, dict[str, int]]:
    """By split and class."""
    found = Counter((member.split, member.entry.label) for member in members)
    return {split: {label: found[split, label] for label in classes} for split in SPLITS}


def _check_names(listing: Listing) -> None:
    """Before anything is read: a class whose name cannot be printed."""
    unprintable = [
        label
        for label in listing.classes
        if escape_control_characters(label) != label or not 0 < len(label) <= MAX_CLASS_NAME
    ]
    raise_if_any([f'class "{escape_control_characters(label)}": a name is a line of 1 to {MAX_CLASS_NAME} characters; '
                  "rename it"
            for label in unprintable])  # fmt: skip


def _refuse(out: Folder, lines: Sequence[str], problems: Sequence[ExcludedImage]) -> None:
    """Raises an InputError with the lines, if there are any, after it has written what was wrong with which image."""
    if not lines:
        return
    said = []
    if problems:
        # The health.csv of earlier shards belongs to these.
        name = HEALTH if out.read(MANIFEST) is None else REFUSED_HEALTH
        try:
            out.write(name, health_table(problems))
            said = [f"Every image that was left out, and why: {out / name}"]
        except OSError as error:
            said = [f"{out / name}: cannot be written ({error.strerror or error})"]
    raise InputError("\n".join([*lines, *said]))


@contextmanager
def _occupied(out: Folder) -> Iterator[Path]:
    """Makes the folder, for one command at a time; gives a place on this machine for the spool."""
    try:
        names = out.names()
        strangers = [n for n in names if not (SHARD_NAME.match(n) or n in OWN or n.startswith("."))]
        home = out.local or cache_folder() / "spool" / digest([out.url])[:16]
        home.mkdir(parents=True, exist_ok=True)
        if out.local is None:
            out.require_writable()
    except OSError as error:
        raise InputError(f"{out}: cannot be used as a folder ({error.strerror or error}); name another one") from None
    if strangers and MANIFEST not in names:  # beside finished shards there may be a README.md
        raise InputError(f"{out}: holds other files ({strangers[0]} …); name an empty or new folder")
    try:
        with FileLock(home / ".lock", timeout=0):
            yield home / SPOOL
    except Timeout:
        raise InputError(f"{out}: another command is writing here; wait for it, or name another folder") from None


def _finished(out: Folder, recipe: str) -> Manifest | None:
    """The manifest of an earlier call that did just this, if nothing has been damaged since."""
    try:
        manifest = read_manifest(out)
    except InputError:
        return None
    health = out.read(HEALTH) or b""
    sound = manifest.recipe == recipe and hashlib.sha256(health).hexdigest() == manifest.health_sha256
    return (
        manifest
        if sound and not any(describe_damage(out.read(shard.file), shard) for shard in manifest.shards)
        else None
    )


def _tidy(out: Folder, manifest: Manifest, spool: Path) -> None:
    """Removes the spool, and the shards of earlier calls."""
    current = {shard.file for shard in manifest.shards}
    for name in out.names():
        if (SHARD_NAME.match(name) and name not in current) or UNFINISHED.match(name) or name == REFUSED_HEALTH:
            out.delete(name)
    shutil.rmtree(spool, ignore_errors=True)
