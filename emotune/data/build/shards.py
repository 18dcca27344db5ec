"""Builds WebDataset shards of a listing: ingest, curate, split, write.

Every file appears complete or not at all, and `manifest.json` is written last. An interrupted command that is run
again goes on where it stopped; a finished command that is run again changes nothing.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import NoReturn

from emotune.config.types import MAX_CLASS_NAME, MAX_TEXT, escape_control_characters
from emotune.core.errors import InputError, raise_if_any
from emotune.core.sample_noun import worded
from emotune.core.storage import Folder
from emotune.data.annotations import agreement_of
from emotune.data.build.curate import CurationResult, curate
from emotune.data.build.decode_clip import MAX_ROWS
from emotune.data.build.executor import LocalExecutor, ShardExecutor
from emotune.data.build.ingest import ingest, source_stamp
from emotune.data.build.ingest_image import LIMITS, VERSION, IngestedImage, Limits
from emotune.data.build.output_folder import REFUSED_HEALTH, SPOOL, finished_manifest, lock_output, remove_leftovers
from emotune.data.build.overwrite import require_outside, require_same_source, require_shared_images
from emotune.data.build.rejections import explain_missing_splits, explain_too_few_listed
from emotune.data.build.shard_files import ShardMember, cut_into_shards, write_shard
from emotune.data.manifest import (
    HEALTH,
    MANIFEST,
    MAX_NAME_LENGTH,
    SPLITS,
    ExcludedImage,
    Manifest,
    Problem,
    Shard,
    content_digest,
    content_line,
    count_excluded,
    digest,
    hash_with_split,
    health_csv,
    write_manifest,
)
from emotune.data.sources.base import Entry, Listing
from emotune.data.split import SHARES, ImageToSplit, assign_splits

__all__ = ["write_shards"]


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
    executor: ShardExecutor | None = None,
    advance: Callable[[int], None] = lambda images: None,
) -> Manifest:
    """Writes the shards, ``health.csv`` and ``manifest.json`` of a listing into a folder, and returns the manifest.

    Args:
        listing: The images, from `emotune.data.sources.base`; links must have been downloaded
            (`emotune.data.build.download`).
        out: An empty or new folder, or one with shards of an earlier or interrupted call, which are replaced.
        shares: The shares of train, val and test, for images whose split the source does not prescribe.
        samples_per_shard: The largest number of images in a shard; `shard_files.MAX_SHARD_BYTES` limits it further.
        limits: The size at which images are stored, and the sizes that are accepted.
        keep: The problems with which an image is kept anyway, out of `emotune.data.build.curate.KEEPABLE`.
        allow_thumbnails: Whether reports may show these images.
        overwrite: Whether shards of another source may be replaced.
        workers: The number of processes that read images; 1 reads them in this process.
        executor: The executor that reads images and writes shards; None: so many processes of this machine. The shards
            are the same.
        advance: A function that is called with the number of images that are finished, step by step.

    Raises:
        InputError: ``out`` holds other files or another source's shards, or is in use; or a class has no image in a
            split; or the frames of a clip have more rows than a JPEG.
    """
    _check_class_names(listing)
    _check_rows(listing, limits)
    require_outside(out, listing)
    _check_enough_listed(listing, out)
    recipe = _recipe(listing, shares, samples_per_shard, limits, keep)
    executor = executor or LocalExecutor(workers)
    with lock_output(out) as home:
        # What other machines read and write is beside the shards, where all of them reach it.
        out = Folder(str(out.local)) if out.local else out
        spool = out / SPOOL if executor.is_distributed else Folder(str(home))
        if (finished := finished_manifest(out, recipe)) is not None:
            advance(len(listing.entries))
            return _keep_finished(out, finished, allow_thumbnails, spool)
        if not overwrite:
            require_same_source(out, listing)
        executor.prepare(out, listing.entries)
        images = ingest(listing.entries, spool, limits, executor=executor, advance=advance)
        curated = curate(listing.entries, images, keep)
        problems = sorted([*listing.left_out, *curated.problems], key=lambda row: list(Problem).index(row.problem))
        members = _members(listing.entries, images, curated, shares)
        _check_every_split(listing, members, problems, out)
        if not overwrite:
            _check_shared_images(out, members, spool)
        parts = [(out, spool, name, part) for name, part in cut_into_shards(members, samples_per_shard)]
        shards = tuple(executor.in_order(write_shard, parts))
        out.write(HEALTH, table := health_csv(problems))
        manifest = _manifest(
            listing, members, problems, shards, shares=shares, health_sha256=hashlib.sha256(table).hexdigest(),
            recipe=recipe, allow_thumbnails=allow_thumbnails,
        )  # fmt: skip
        write_manifest(out, manifest)
        remove_leftovers(out, manifest, spool)
    return manifest


def _keep_finished(out: Folder, finished: Manifest, allow_thumbnails: bool, spool: Folder) -> Manifest:
    """The manifest of the finished shards, updated if only the permission to show the images is another."""
    manifest = replace(finished, allow_thumbnails=allow_thumbnails)
    if manifest != finished:
        write_manifest(out, manifest)
    remove_leftovers(out, manifest, spool)
    return manifest


def _recipe(
    listing: Listing,
    shares: tuple[float, float, float],
    samples_per_shard: int,
    limits: Limits,
    keep: Collection[Problem],
) -> str:
    """A digest of everything that decides about the content of the shards."""
    source = replace(listing, entries=(), left_out=())
    settings = repr((VERSION, shares, samples_per_shard, limits, sorted(keep), source))
    target = [] if listing.target == "classes" else [repr((listing.target, listing.dimensions))]
    return digest([settings, *target, *map(_entry_line, listing.entries), *map(repr, listing.left_out)])


def _entry_line(entry: Entry) -> str:
    """Everything that decides about the sample of one image, as text."""
    parts = (entry.source, entry.label, dict(entry.votes), entry.key, entry.split, entry.group, source_stamp(entry))
    return repr((*parts, dict(entry.ratings)) if entry.ratings else parts)


def _members(
    entries: Sequence[Entry],
    images: Sequence[IngestedImage],
    curated: CurationResult,
    shares: tuple[float, float, float],
) -> list[ShardMember]:
    """The images that become samples, ordered by split and then by key."""
    placed = [
        ImageToSplit(group, entries[index].label, entries[index].split) for index, group in curated.groups.items()
    ]
    members = [
        ShardMember(entries[index], images[index], group, split)
        for (index, group), split in zip(curated.groups.items(), assign_splits(placed, shares), strict=True)
    ]
    return sorted(members, key=lambda member: (SPLITS.index(member.split), member.image.key))


def _manifest(
    listing: Listing,
    members: Sequence[ShardMember],
    problems: Sequence[ExcludedImage],
    shards: tuple[Shard, ...],
    *,
    shares: tuple[float, float, float],
    health_sha256: str,
    recipe: str,
    allow_thumbnails: bool,
) -> Manifest:
    noisy = [m for m in members if agreement_of(m.entry.label, m.entry.votes) == "noisy"]
    return Manifest(
        name=re.sub(r"[^a-z0-9_.-]+", "-", listing.name.lower()).strip("-_.")[:MAX_NAME_LENGTH] or "images",
        classes=listing.classes,
        counts=_count(members, listing.classes),
        noisy=_count(noisy, listing.classes),
        shards=shards,
        content_hash=_content_hash(listing, members, shares),
        health=count_excluded(problems),
        health_sha256=health_sha256,
        source=escape_control_characters(listing.source)[:MAX_TEXT],
        licence=escape_control_characters(listing.licence)[:MAX_TEXT],
        recipe=recipe,
        synthetic=listing.synthetic,
        allow_thumbnails=allow_thumbnails,
        target=listing.target,
        dimensions=listing.dimensions,
        frames=listing.frames,
        rating_errors=dict(listing.rating_errors),
    )


def _content_hash(listing: Listing, members: Sequence[ShardMember], shares: tuple[float, float, float]) -> str:
    if listing.content_hash:
        return hash_with_split(listing.content_hash, shares)
    lines = (
        content_line(m.image.key, m.entry.label, dict(m.entry.votes), m.split, m.image.sha256, m.entry.ratings)
        for m in members
    )
    return content_digest(lines, listing.dimensions)


def _count(members: Iterable[ShardMember], classes: Sequence[str]) -> dict[str, dict[str, int]]:
    """The number of members by split and class."""
    counts = Counter((member.split, member.entry.label) for member in members)
    return {split: {label: counts[split, label] for label in classes} for split in SPLITS}


def _check_class_names(listing: Listing) -> None:
    """Raises an InputError if the name of a class is too long, empty or not printable."""
    raise_if_any([
        f'class "{escaped}": a name is a line of 1 to {MAX_CLASS_NAME} characters; rename it'
        for label in listing.classes
        if (escaped := escape_control_characters(label)) != label or not 0 < len(label) <= MAX_CLASS_NAME
    ])  # fmt: skip


def _check_rows(listing: Listing, limits: Limits) -> None:
    """Raises an InputError if the frames of a clip could not be stored below each other."""
    if (limits.shorter_side or 0) * listing.frames > MAX_ROWS:
        raise InputError(
            f"--frames {listing.frames} --size {limits.shorter_side}: a JPEG has at most {MAX_ROWS} rows; take fewer "
            f"frames, or --size {MAX_ROWS // listing.frames} or less"
        )


def _check_enough_listed(listing: Listing, out: Folder) -> None:
    """Raises an InputError if a class has fewer listed images than there are splits; nothing has been read yet."""
    lines = explain_too_few_listed(listing)
    if lines and listing.left_out:
        with lock_output(out):
            _reject(out, lines, listing.left_out)
    if lines:
        raise InputError("\n".join(lines))


def _check_every_split(
    listing: Listing, members: Sequence[ShardMember], problems: Sequence[ExcludedImage], out: Folder
) -> None:
    """Raises an InputError if a class has no image in a split."""
    groups = Counter(label for _, label in {(member.group, member.entry.label) for member in members})
    if lines := explain_missing_splits(listing, _count(members, listing.classes), groups, problems):
        _reject(out, lines, problems)


def _check_shared_images(out: Folder, members: Sequence[ShardMember], spool: Folder) -> None:
    """Raises an InputError if the folder holds shards that have no image in common with the members."""
    try:
        require_shared_images(out, [member.image.key for member in members])
    except InputError:
        with suppress(OSError):
            spool.remove()  # the folder belongs to other shards
        raise


def _reject(out: Folder, lines: Sequence[str], problems: Sequence[ExcludedImage]) -> NoReturn:
    """Writes the table of the excluded images, and raises an InputError with the lines and the table's path."""
    lines = list(lines)
    if problems:
        # If there is a manifest, the existing health.csv belongs to its shards.
        name = HEALTH if out.read(MANIFEST) is None else REFUSED_HEALTH
        try:
            out.write(name, health_csv(problems))
            lines.append(f"All excluded {worded('images')} and the reasons are listed in {out / name}")
        except OSError as error:
            lines.append(f"{out / name}: cannot be written ({error.strerror or error})")
    raise InputError("\n".join(lines))
