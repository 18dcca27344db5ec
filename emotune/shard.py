"""`python -m emotune.shard SOURCE`: images to WebDataset shards, with a health report; `verify` checks shards."""

import argparse
import errno
import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from emotune.cli.arguments import CommandLine, exits_on_broken_pipe, local_path, path_or_url, reraise_broken_pipe
from emotune.core.cache_dir import cache_folder
from emotune.core.errors import InputError, describe_os_error, print_error
from emotune.core.host import available_cpus
from emotune.core.storage import Folder
from emotune.data.build.curate import KEEPABLE
from emotune.data.build.ingest_image import Limits
from emotune.data.build.shards import write_shards
from emotune.data.build.verify import verify
from emotune.data.manifest import HEALTH, SPLITS, Manifest, Problem
from emotune.data.sources.base import Listing, Url
from emotune.data.sources.public_datasets import SOURCES
from emotune.data.split import carved_splits

__all__ = ["main"]


@exits_on_broken_pipe
def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Returns:
        0: done, or sound; 1: something is damaged, or could not be written; 2: the input cannot be used; 130:
        interrupted; 141: nobody reads the output any more.
    """
    options = _parser().parse_args(arguments)
    console = Console(stderr=True)
    try:
        return _verify(options, console) if options.source == "verify" else _shard(options, console)
    except InputError as error:
        print_error("emotune.shard", error)
        return 2
    except OSError as error:  # what is finished is kept
        reraise_broken_pipe(error)
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        where = f"{getattr(options, 'out', '')}: the disk is full; make room, or name another place. " if full else ""
        print_error("emotune.shard", OSError(f"{where}{describe_os_error(error)}"))
        return 1
    except BrokenProcessPool:
        killed = "a process that read images was killed, perhaps for lack of memory; fewer --workers need less of it"
        print_error("emotune.shard", RuntimeError(f"{killed}. The same command goes on from here."))
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. The same command goes on from here.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = CommandLine(prog="python -m emotune.shard", description="Images to WebDataset shards with a manifest.")
    sources = parser.add_subparsers(dest="source", required=True, metavar="SOURCE")
    common, download = _common_options(), _download_options()
    for name, source in SOURCES.items():
        parents = [common, download] if name in ("csv", "fi-links") else [common]
        _add_fields(sources.add_parser(name, parents=parents, help=source.help), source)
    check = sources.add_parser("verify", help="check shards: any flipped byte, missing or extra sample")
    check.add_argument("data", type=path_or_url, metavar="DATA", help="folder or URL of shards")
    return parser


def _common_options() -> argparse.ArgumentParser:
    common = CommandLine(add_help=False)
    add = common.add_argument
    add("--out", required=True, type=path_or_url, metavar="DATA", help="folder or URL (s3://…) for the shards")
    add("--name", help="the data set's name in reports (default: the source's)")
    add("--split", default="0.7/0.1/0.2", metavar="T/V/T",
        help="shares of train/val/test, where the source prescribes none (default: %(default)s)")  # fmt: skip
    add("--size", default="256", help='pixels that a larger image\'s shorter side gets, or "original" (default: 256)')
    add("--min-side", type=int, default=Limits.min_side, help="pixels; smaller images are tiny (default: %(default)s)")
    add("--max-aspect", type=float, default=Limits.max_aspect,
        help="longer by shorter side; more is extreme (default: %(default)s)")  # fmt: skip
    add("--max-pixels", type=int, default=Limits.max_pixels,
        help="of what is decoded of an image; more could fill the memory (default: %(default)s)")  # fmt: skip
    add("--keep", nargs="+", default=[], choices=[problem.name.lower() for problem in KEEPABLE],
        help="problems with which an image is not left out")  # fmt: skip
    add("--allow-thumbnails", action="store_true",
        help="reports may show some of these images, if licence and people on them allow it")  # fmt: skip
    add("--replace", action="store_true", help="replace shards that are there already, of whatever source")
    add("--shard-images", type=int, default=1000, help="images in a shard, at most (default: %(default)s)")
    add("--workers", type=int, default=available_cpus(), help="processes that read images (default: all CPUs)")
    return common


def _download_options() -> argparse.ArgumentParser:
    from emotune.data.build.download import DownloadOptions

    download = CommandLine(add_help=False)
    add = download.add_argument_group("downloading").add_argument
    add(
        "--downloads",
        type=local_path,
        metavar="DIR",
        help="where downloaded images are kept (default: in emotune's cache)",
    )
    add("--concurrency", type=int, default=DownloadOptions.concurrency, help="downloads at a time (%(default)s)")
    add("--per-host", type=int, default=DownloadOptions.per_host, help="of these, from one host (default: %(default)s)")
    add(
        "--timeout-s",
        type=float,
        default=DownloadOptions.timeout_s,
        help="seconds without an answer (default: %(default)s)",
    )
    add("--allow-private", action="store_true", help="also fetch from private addresses, and through proxies")
    return download


def _add_fields(parser: argparse.ArgumentParser, source: type) -> None:
    """A source's fields as arguments: positional if they must be given."""
    hints = get_type_hints(source, include_extras=True)
    for field in fields(source):
        kind, text = get_args(hints[field.name])
        how: dict[str, Any] = {"help": text}
        if get_origin(kind) is Literal:
            how |= {"choices": get_args(kind), "type": type(get_args(kind)[0])}
        else:
            how |= {"type": local_path if kind is Path else kind, "metavar": field.name.upper()}
        if field.default is MISSING:
            parser.add_argument(field.name, **how)
        else:
            how["help"] += " (default: %(default)s)" if field.default != "" else ""
            parser.add_argument(f"--{field.name.replace('_', '-')}", default=field.default, **how)


def _shard(options: argparse.Namespace, console: Console) -> int:
    source = SOURCES[options.source]
    shares, limits = _shares(options.split), _limits(options)
    if options.shard_images < 1:
        raise InputError(f"--shard-images {options.shard_images}: give a positive number")
    out = Folder(options.out)
    listing = source(**{field.name: getattr(options, field.name) for field in fields(source)}).listing()
    listing = replace(listing, name=options.name or listing.name)
    for note in (*listing.notes, *_note_on_splits(listing)):
        print(f"emotune.shard: {note}", file=sys.stderr)
    with _progress(console) as progress:
        if any(isinstance(entry.image, Url) for entry in listing.entries):
            listing = _fetched(listing, options, progress, console)
        task = progress.add_task("reading", total=len(listing.entries), note="")
        manifest = write_shards(
            listing, out, shares=shares, limits=limits, samples_per_shard=options.shard_images,
            keep=[problem for problem in KEEPABLE if problem.name.lower() in options.keep],
            allow_thumbnails=options.allow_thumbnails, overwrite=options.replace, workers=max(1, options.workers),
            advance=lambda images: progress.advance(task, images),
        )  # fmt: skip
    _print_summary(console, manifest, out)
    return 0


def _note_on_splits(listing: Listing) -> list[str]:
    """Where splits come from that the source does not have."""
    carved = carved_splits(entry.split for entry in listing.entries)
    if not carved:
        return []
    kept = [split for split in SPLITS[1:] if split not in carved]
    stays = f"{' and '.join(kept)} stays as published" if kept else "the source prescribes train alone"
    lacks, become = " and no ".join(carved), " and ".join(carved)
    return [f"the source has no {lacks}: images of its train become {become}, near-duplicates together; {stays}"]


def _fetched(listing: Listing, options: argparse.Namespace, progress: Progress, console: Console) -> Listing:
    """The listing with its links downloaded; prints what was lost, by class."""
    from emotune.data.build.download import (  # not needed where processes import this file
        DownloadOptions,
        DownloadResult,
        download,
    )

    links = {entry.image.url for entry in listing.entries if isinstance(entry.image, Url)}
    task = progress.add_task("downloading", total=len(links), note="")
    seen: Counter[str] = Counter()

    def advance(outcome: DownloadResult) -> None:
        seen["lost" if outcome.reason else "before" if outcome.from_cache else "got"] += 1
        note = ", ".join(f"{seen[what]} {what}" for what in ("got", "before", "lost") if seen[what])
        progress.update(task, advance=1, note=note)

    how = DownloadOptions(
        concurrency=options.concurrency, per_host=options.per_host, timeout_s=options.timeout_s,
        allow_private=options.allow_private,
    )  # fmt: skip
    fetched = download(listing, options.downloads or cache_folder() / "downloads", how, on_result=advance)
    lost = [row for row in fetched.left_out if row.problem is Problem.LOST]
    if lost:
        by_reason = Counter((re.split(r": | \(sent as", row.detail)[0], row.label) for row in lost)
        console.print(_by_class("not downloaded", fetched.classes, by_reason))
    return fetched


class _Rate(ProgressColumn):
    """Images per second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.0f}/s" if task.speed else "")


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(),
               TimeRemainingColumn(elapsed_when_finished=True), TextColumn("{task.fields[note]}"))  # fmt: skip
    return Progress(*columns, console=console)


def _verify(options: argparse.Namespace, console: Console) -> int:
    folder = Folder(options.data)
    with _progress(console) as progress:
        task = progress.add_task("checking", total=None, note="")
        manifest, problems = verify(folder, advance=lambda samples: progress.advance(task, samples))
    for problem in problems:
        print(f"{folder}: {problem}")
    if problems:
        print(f"{folder}: damaged; make the shards again with the same command as before")
        return 1
    samples = sum(shard.samples for shard in manifest.shards)
    print(f"{folder}: sound: {samples} samples in {len(manifest.shards)} shards, content {manifest.content_hash[:16]}")
    return 0


def _limits(options: argparse.Namespace) -> Limits:
    """What the options say about the images' size."""
    try:
        size = None if options.size == "original" else int(options.size)
    except ValueError:
        size = 0
    if size is not None and size < 1:
        raise InputError(f'--size {options.size}: give a positive number of pixels, or "original"')
    if options.min_side < 0 or not options.max_aspect >= 1:
        raise InputError("--min-side must not be negative, nor --max-aspect below 1")
    if options.max_pixels < 1:
        raise InputError(f"--max-pixels {options.max_pixels}: give a positive number")
    return Limits(size, options.min_side, options.max_aspect, options.max_pixels)


def _shares(text: str) -> tuple[float, float, float]:
    try:
        train, val, test = (float(share) for share in text.split("/"))
    except ValueError:
        raise InputError(f"--split {text}: give three shares, such as 0.7/0.1/0.2") from None
    if not (min(train, val, test) > 0 and abs(train + val + test - 1) < 1e-6):  # so that NaN is refused
        raise InputError(f"--split {text}: three positive shares that sum to one, such as 0.7/0.1/0.2")
    return train, val, test


def _print_summary(console: Console, manifest: Manifest, out: Folder) -> None:
    table = Table("class", *SPLITS, title=f"{manifest.name} in {out}", title_justify="left")
    for label in manifest.classes:
        table.add_row(escape(label), *(str(manifest.counts[split][label]) for split in SPLITS))
    console.print(table)
    if not manifest.health:
        return
    counts = Counter({(problem, c): n for problem, by_class in manifest.health.items() for c, n in by_class.items()})
    console.print(_by_class("left out", manifest.classes, counts))
    console.print(f"Each is named, with what is wrong with it, in {out / HEALTH}")


def _by_class(head: str, classes: Sequence[str], counts: Mapping[tuple[str, str], int]) -> Table:
    """A table of counts by (reason, class): a row for each reason, the most frequent first."""
    totals: Counter[str] = Counter()
    for (reason, _), count in counts.items():
        totals[reason] += count
    # No column for each class: with the names of eight of them, none could be read in a terminal of 80 columns.
    table = Table(head, "images", "by class", show_footer=True)
    for reason, total in totals.most_common():
        named = [(label or "no class", counts.get((reason, label), 0)) for label in (*classes, "")]
        by_class = ", ".join(f"{label} {count}" for label, count in named if count)
        table.add_row(escape(reason), str(total), escape(by_class))
    table.columns[0].footer, table.columns[1].footer = "all", str(totals.total())
    return table


if __name__ == "__main__":
    sys.exit(main())
