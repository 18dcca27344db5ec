"""Command `python -m emotune.shard SOURCE`: converts images to WebDataset shards; `verify` checks shards."""

import argparse
import errno
import re
import shlex
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from dataclasses import fields, replace

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

from emotune.cli.arguments import exits_on_broken_pipe, reraise_broken_pipe
from emotune.cli.shard_options import command_line, parse_limits, parse_shares
from emotune.core.cache_dir import cache_folder
from emotune.core.errors import TRY_AGAIN, InputError, describe_os_error, print_error
from emotune.core.sample_noun import speaking_of, worded
from emotune.core.storage import Folder
from emotune.core.terminal import make_console, print_next, print_table
from emotune.core.typed_command import error_prefix, typed_command
from emotune.data.build.curate import KEEPABLE
from emotune.data.build.executor import LocalExecutor, ShardExecutor
from emotune.data.build.shards import write_shards
from emotune.data.build.verify import verify
from emotune.data.manifest import HEALTH, SPLITS, Manifest, Problem
from emotune.data.sources.base import Listing, Url
from emotune.data.sources.registry import SOURCES
from emotune.data.split import carved_splits
from emotune.execution.run.lost_cluster import LostClusterError

__all__ = ["main"]


@exits_on_broken_pipe
def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code.

    Args:
        arguments: The arguments of the command; None for those of the process.

    Returns:
        0: success; 1: shards are damaged or cannot be written; 2: the input cannot be used; 75: Ray was lost; 130:
        interrupted; 141: nobody reads the output any more.
    """
    options = command_line().parse_args(arguments)
    console = make_console(stderr=True)
    try:
        return _verify(options, console) if options.source == "verify" else _shard(options, console)
    except InputError as error:
        print_error(error_prefix("shard"), error)
        return 2
    except OSError as error:  # finished files are kept
        reraise_broken_pipe(error)
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = f"{getattr(options, 'out', '')}: the disk is full; free space or name another folder. " if full else ""
        print_error(error_prefix("shard"), OSError(f"{advice}{describe_os_error(error)}"))
        return 1
    except BrokenProcessPool:
        killed = "a process that read images was killed, perhaps for lack of memory; try fewer --workers"
        print_error(error_prefix("shard"), RuntimeError(f"{killed}. Run the same command again to go on from here."))
        return 1
    except LostClusterError as error:
        print_error(error_prefix("shard"), error)
        return TRY_AGAIN
    except KeyboardInterrupt:
        print("\nInterrupted. Run the same command again to go on from here.", file=sys.stderr)
        return 130


def _shard(options: argparse.Namespace, console: Console) -> int:
    source = SOURCES[options.source]
    shares, limits = parse_shares(options.split), parse_limits(options)
    if options.shard_images < 1:
        raise InputError(f"--shard-images {options.shard_images}: give a positive number")
    out = Folder(options.out)
    listing = source(**{field.name: getattr(options, field.name) for field in fields(source)}).listing()
    listing = replace(listing, name=options.name or listing.name)
    for note in (*listing.notes, *_note_on_splits(listing)):
        print(f"{error_prefix('shard')}: {note}", file=sys.stderr)
    with (
        speaking_of([listing.frames]), _progress(console) as progress, _executor(options, progress) as executor,
    ):  # fmt: skip
        if any(isinstance(entry.image, Url) for entry in listing.entries):
            listing = _download(listing, options, progress, console)
        task = progress.add_task("reading", total=len(listing.entries), note="")
        manifest = write_shards(
            listing, out, shares=shares, limits=limits, samples_per_shard=options.shard_images,
            keep=[problem for problem in KEEPABLE if problem.name.lower() in options.keep],
            allow_thumbnails=options.allow_thumbnails, overwrite=options.replace, executor=executor,
            advance=lambda images: progress.advance(task, images),
        )  # fmt: skip
    _print_summary(console, manifest, out)
    print_next(console, f"{typed_command('ablate')} new --data {shlex.quote(options.out)}")
    return 0


@contextmanager
def _executor(options: argparse.Namespace, progress: Progress) -> Iterator[ShardExecutor]:
    """The executor that reads the images and writes the shards."""
    if options.executor == "local":
        yield LocalExecutor(max(1, options.workers))
        return
    # Imported here because the reading processes import this file, too.
    from emotune.execution.run.ray_shards import RayShardExecutor

    with ExitStack() as stack:
        yield RayShardExecutor(stack, lambda line: progress.console.print(line, highlight=False, markup=False))


def _note_on_splits(listing: Listing) -> list[str]:
    """A note about splits that the source lacks, and that are taken out of its train split; else nothing."""
    carved = carved_splits(entry.split for entry in listing.entries)
    if not carved:
        return []
    kept = [split for split in SPLITS[1:] if split not in carved]
    rest = f"{' and '.join(kept)} stays as published" if kept else "the source prescribes only train"
    missing = " and ".join(carved)
    return [f"the source lacks {missing}: taken from its train split, near-duplicates together; {rest}"]


def _download(listing: Listing, options: argparse.Namespace, progress: Progress, console: Console) -> Listing:
    """The listing with its links downloaded; prints the failed downloads by class."""
    # Imported here because the reading processes import this file, too.
    from emotune.data.build.download import DownloadOptions, DownloadResult, download

    links = {entry.image.url for entry in listing.entries if isinstance(entry.image, Url)}
    task = progress.add_task("downloading", total=len(links), note="")
    outcomes: Counter[str] = Counter()

    def show(result: DownloadResult) -> None:
        outcomes["failed" if result.reason else "cached" if result.from_cache else "downloaded"] += 1
        kinds = ("downloaded", "cached", "failed")
        note = ", ".join(f"{outcomes[kind]} {kind}" for kind in kinds if outcomes[kind])
        progress.update(task, advance=1, note=note)

    download_options = DownloadOptions(
        concurrency=options.concurrency, per_host=options.per_host, timeout_s=options.timeout_s,
        allow_private=options.allow_private,
    )  # fmt: skip
    folder = options.downloads or cache_folder() / "downloads"
    downloaded = download(listing, folder, download_options, on_result=show)
    failed = [row for row in downloaded.left_out if row.problem is Problem.LOST]
    if failed:
        by_reason = Counter((re.split(r": | \(sent as", row.detail)[0], row.label) for row in failed)
        print_table(console, _by_class("not downloaded", downloaded.classes, by_reason), wrapping="by class")
    return downloaded


class _Rate(ProgressColumn):
    """A column with the number of images per second, or of seconds per video if that is more than one."""

    def render(self, task: Task) -> Text:
        if not task.speed:
            return Text("")
        return Text(f"{task.speed:.0f}/s" if task.speed >= 1 else f"{1 / task.speed:.0f} s each")


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
        print(f"{folder}: damaged; run the command that made the shards again")
        return 1
    samples = sum(shard.samples for shard in manifest.shards)
    print(f"{folder}: sound: {samples} samples in {len(manifest.shards)} shards, content {manifest.content_hash[:16]}")
    return 0


def _print_summary(console: Console, manifest: Manifest, out: Folder) -> None:
    head = f"by {manifest.dimensions[0].name}" if manifest.dimensions else "class"
    table = Table(head, *SPLITS, title=f"{manifest.name} in {out}", title_justify="left")
    for label in manifest.classes:
        table.add_row(escape(label), *(str(manifest.counts[split][label]) for split in SPLITS))
    print_table(console, table)
    if not manifest.health:
        return
    counts = Counter({(problem, c): n for problem, by_class in manifest.health.items() for c, n in by_class.items()})
    with speaking_of([manifest.frames]):
        print_table(console, _by_class("left out", manifest.classes, counts), wrapping="by class")
    console.print(f"{out / HEALTH} lists each of them with the reason", highlight=False, markup=False, soft_wrap=True)


def _by_class(head: str, classes: Sequence[str], counts: Mapping[tuple[str, str], int]) -> Table:
    """A table with a row for each reason, the most frequent first.

    Args:
        head: The heading of the first column.
        classes: The names of the classes.
        counts: The number of images by reason and class.
    """
    totals: Counter[str] = Counter()
    for (reason, _), count in counts.items():
        totals[reason] += count
    # Not a column for each class: the names of eight classes would not fit a terminal of 80 columns.
    table = Table(head, worded("images"), "by class", show_footer=True)
    for reason, total in totals.most_common():
        pairs = [(label or "no class", counts.get((reason, label), 0)) for label in (*classes, "")]
        by_class = ", ".join(f"{label} {count}" for label, count in pairs if count)
        table.add_row(escape(reason), str(total), escape(by_class))
    table.columns[0].footer, table.columns[1].footer = "all", str(totals.total())
    return table


if __name__ == "__main__":
    sys.exit(main(None))
