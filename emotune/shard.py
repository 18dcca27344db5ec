"""`python -m emotune.shard SOURCE`: pictures to WebDataset shards with a manifest."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from emotune.data.manifest import SPLITS, Manifest
from emotune.emotions import MIKELS
from emotune.errors import InputError, print_error
from emotune.machine import available_cpus

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code."""
    options = _parser().parse_args(arguments)
    console = Console(stderr=True)
    try:
        manifest = _shard(options, console)
    except InputError as error:
        print_error("emotune.shard", error)
        return 2
    except OSError as error:  # a full disk, say; finished shards are kept
        print_error("emotune.shard", error)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. The same command goes on with the shards that are missing.", file=sys.stderr)
        return 130
    _print_summary(console, manifest, options.out)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m emotune.shard", description="Pictures to WebDataset shards with a manifest."
    )
    sources = parser.add_subparsers(dest="source", required=True, metavar="SOURCE")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--out", type=Path, required=True, metavar="DATA", help="folder for the shards")
    common.add_argument("--name", help="the data set's name in reports (default: the folder's, or scenes)")
    common.add_argument("--split", default="0.7/0.1/0.2", help="shares of train/val/test (default: %(default)s)")
    common.add_argument("--workers", type=int, default=available_cpus(), help="processes that read pictures")
    folder = sources.add_parser("folder", parents=[common], help="one folder of pictures per class")
    folder.add_argument("directory", type=Path, metavar="DIR", help="holds one folder of pictures per class")
    folder.add_argument(
        "--labels", choices=["mikels", "any"], default="mikels",
        help="the classes: Mikels' eight emotions, or whatever the folders are called (default: %(default)s)",
    )  # fmt: skip
    folder.add_argument("--size", type=int, default=256, help="shorter side in pixels that larger pictures get")
    scenes = sources.add_parser("scenes", parents=[common], help="the embedded synthetic pictures, any number of them")
    scenes.add_argument("--pictures", type=int, default=1600, help="how many to draw (default: %(default)s)")
    scenes.add_argument("--seed", type=int, default=0, help="which set of pictures (default: %(default)s)")
    return parser


def _shard(options: argparse.Namespace, console: Console) -> Manifest:
    from emotune.data import sources
    from emotune.data.shards import write_shards

    parts = _parts(options.split)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
               TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, console=console) as progress:
        if options.source == "folder":
            if options.size < 1:
                raise InputError(f"--size {options.size}: give a positive number of pixels")
            labels = MIKELS if options.labels == "mikels" else None
            listing = sources.folder(
                options.directory, labels=labels, shorter_side=options.size, name=options.name,
                track=lambda files: progress.track(files, description="hashing"),
            )  # fmt: skip
        else:
            if options.pictures < 1 or options.seed < 0:
                raise InputError("--pictures must be positive and --seed not negative")
            listing = sources.scenes(options.pictures, options.seed, name=options.name or "scenes")
        task = progress.add_task("writing shards", total=len(listing.items))
        return write_shards(
            listing, options.out, parts=parts, workers=max(1, options.workers),
            advance=lambda pictures: progress.advance(task, pictures),
        )  # fmt: skip


def _parts(text: str) -> tuple[float, float, float]:
    try:
        train, val, test = (float(part) for part in text.split("/"))
    except ValueError:
        raise InputError(f"--split {text}: give three shares, such as 0.7/0.1/0.2") from None
    if not (min(train, val, test) > 0 and abs(train + val + test - 1) < 1e-6):  # so that NaN is refused
        raise InputError(f"--split {text}: three positive shares that sum to one, such as 0.7/0.1/0.2")
    return train, val, test


def _print_summary(console: Console, manifest: Manifest, out: Path) -> None:
    table = Table("class", *SPLITS, title=f"{manifest.name} in {out}", title_justify="left")
    for label in manifest.classes:
        table.add_row(label, *(str(manifest.counts[split][label]) for split in SPLITS))
    console.print(table)
    if manifest.left_out:
        console.print(f"{len(manifest.left_out)} pictures left out; each with its reason in {out / 'left_out.csv'}")


if __name__ == "__main__":
    sys.exit(main())
