"""Command-line options of `emotune.shard`."""

import argparse
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

from emotune.cli.arguments import CommandLine, local_path, path_or_url
from emotune.core.errors import InputError
from emotune.core.host import available_cpus
from emotune.data.build.curate import KEEPABLE
from emotune.data.build.ingest_image import Limits
from emotune.data.sources.base import Source
from emotune.data.sources.registry import SOURCES

__all__ = ["command_line", "parse_limits", "parse_shares"]


def command_line() -> CommandLine:
    """The parser of the command, with a subcommand for each kind of data set and one to verify shards."""
    parser = CommandLine(
        prog="python -m emotune.shard", description="Convert images to WebDataset shards with a manifest."
    )
    sources = parser.add_subparsers(dest="source", required=True, metavar="SOURCE")
    common, download = _common_options(), _download_options()
    for name, source in SOURCES.items():
        parents = [common, download] if name in ("csv", "fi-links", "findingemo") else [common]
        _add_fields(sources.add_parser(name, parents=parents, help=cast("type[Source]", source).help), source)
    check = sources.add_parser("verify", help="check shards for changed bytes and for missing or extra samples")
    check.add_argument("data", type=path_or_url, metavar="DATA", help="folder or URL of shards")
    return parser


def _common_options() -> CommandLine:
    common = CommandLine(add_help=False)
    add = common.add_argument
    add("--out", required=True, type=path_or_url, metavar="DATA", help="folder or URL (s3://…) for the shards")
    add("--name", help="name of the data set in reports (default: the source's)")
    add("--split", default="0.7/0.1/0.2", metavar="T/V/T",
        help="shares of train/val/test if the source prescribes no splits (default: %(default)s)")  # fmt: skip
    add("--size", default="256",
        help='shorter side of larger images after resizing, in pixels, or "original" (default: 256)')  # fmt: skip
    add("--min-side", type=int, default=Limits.min_side,
        help="shortest accepted side, in pixels (default: %(default)s)")  # fmt: skip
    add("--max-aspect", type=float, default=Limits.max_aspect,
        help="largest accepted ratio of the longer to the shorter side (default: %(default)s)")  # fmt: skip
    add("--max-pixels", type=int, default=Limits.max_pixels,
        help="largest number of pixels to decode of an image (default: %(default)s)")  # fmt: skip
    add("--keep", nargs="+", default=[], choices=[problem.name.lower() for problem in KEEPABLE],
        help="problems with which images are kept anyway")  # fmt: skip
    add("--allow-thumbnails", action="store_true",
        help="let reports show some of these images, if the licence and the people depicted permit it")  # fmt: skip
    add("--replace", action="store_true", help="replace existing shards, even those of another source")
    add("--shard-images", type=int, default=1000, help="largest number of images in a shard (default: %(default)s)")
    add("--workers", type=int, default=available_cpus(),
        help="number of processes that read images (default: all CPUs)")  # fmt: skip
    return common


def _download_options() -> CommandLine:
    # Imported here because the reading processes import this file, too.
    from emotune.data.build.http_client import DownloadOptions

    download = CommandLine(add_help=False)
    add = download.add_argument_group("downloading").add_argument
    add("--downloads", type=local_path, metavar="DIR",
        help="folder for downloaded images (default: in emotune's cache)")  # fmt: skip
    add("--concurrency", type=int, default=DownloadOptions.concurrency,
        help="number of simultaneous downloads (default: %(default)s)")  # fmt: skip
    add("--per-host", type=int, default=DownloadOptions.per_host,
        help="number of simultaneous downloads from one host (default: %(default)s)")  # fmt: skip
    add("--timeout-s", type=float, default=DownloadOptions.timeout_s,
        help="seconds to wait for data from a server (default: %(default)s)")  # fmt: skip
    add("--allow-private", action="store_true", help="allow private addresses and proxies")
    return download


def _add_fields(parser: argparse.ArgumentParser, source: type) -> None:
    """Adds the fields of a source as arguments; those without a default are positional."""
    hints = get_type_hints(source, include_extras=True)
    for field in fields(source):
        kind, text = get_args(hints[field.name])
        settings: dict[str, Any] = {"help": text}
        if get_origin(kind) is Literal:
            settings |= {"choices": get_args(kind), "type": type(get_args(kind)[0])}
        else:
            settings |= {"type": local_path if kind is Path else kind, "metavar": field.name.upper()}
        if field.default is MISSING:
            parser.add_argument(field.name, **settings)
        else:
            settings["help"] += " (default: %(default)s)" if field.default != "" else ""
            parser.add_argument(f"--{field.name.replace('_', '-')}", default=field.default, **settings)


def parse_limits(options: argparse.Namespace) -> Limits:
    """The limits on the sizes of images that the options give.

    Raises:
        InputError: an option has an impossible value.
    """
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


def parse_shares(text: str) -> tuple[float, float, float]:
    """The shares of train, val and test in a text such as ``0.7/0.1/0.2``.

    Raises:
        InputError: these are not three positive shares that sum to one.
    """
    try:
        train, val, test = (float(share) for share in text.split("/"))
    except ValueError:
        raise InputError(f"--split {text}: give three shares, such as 0.7/0.1/0.2") from None
    if not (min(train, val, test) > 0 and abs(train + val + test - 1) < 1e-6):  # written so that NaN is rejected
        raise InputError(f"--split {text}: give three positive shares that sum to one, such as 0.7/0.1/0.2")
    return train, val, test
