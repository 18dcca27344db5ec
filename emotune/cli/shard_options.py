"""Command-line options of `emotune.shard`."""

import argparse
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

from emotune.cli.arguments import CommandLine, local_path, path_or_url
from emotune.cli.help_text import HelpFormatter, examples
from emotune.core.errors import InputError
from emotune.core.host import available_cpus
from emotune.core.typed_command import typed_command
from emotune.data.build.curate import KEEPABLE
from emotune.data.build.ingest_image import Limits
from emotune.data.sources.base import Source
from emotune.data.sources.registry import SOURCES

__all__ = ["command_line", "parse_limits", "parse_shares"]

EXAMPLES = {
    "folder PHOTOS --out DATA": "a folder for each class, named after Mikels' eight emotions",
    "folder PHOTOS --labels any --out DATA": "a folder for each class of your own",
    "csv table.csv --out DATA": "a table of paths or links with labels, votes or ratings",
    "verify DATA": "whether every byte is as it was written",
}


def command_line() -> CommandLine:
    """The parser of the command, with a subcommand for each kind of data set and one to verify shards."""
    prog = typed_command("shard")
    shown = {f"{prog} {words}": text for words, text in EXAMPLES.items()}
    parser = CommandLine(
        prog=prog, description="Converts images to WebDataset shards with a manifest.", usage="%(prog)s SOURCE …",
        epilog=f"{prog} SOURCE --help shows the options of a source.\n\n{examples(shown)}",
        formatter_class=HelpFormatter,
    )  # fmt: skip
    sources = parser.add_subparsers(
        dest="source", required=True, metavar="SOURCE", title="sources", prog=prog, parser_class=CommandLine
    )
    for name, source in SOURCES.items():
        about = cast("type[Source]", source).help
        operands = " ".join(field.name.upper() for field in fields(source) if field.default is MISSING)
        one = sources.add_parser(
            name, help=about, description=f"{about[0].upper()}{about[1:]}.",
            usage=" ".join(f"%(prog)s {operands} --out DATA [options]".split()), formatter_class=HelpFormatter,
        )  # fmt: skip
        _add_fields(one.add_argument_group("source"), source)
        _add_common_options(one)
        if name in ("csv", "fi-links", "findingemo"):
            _add_download_options(one)
    check = sources.add_parser("verify", help="check shards for changed bytes and for missing or extra samples",
                               formatter_class=HelpFormatter)  # fmt: skip
    check.add_argument("data", type=path_or_url, metavar="DATA", help="folder or URL of shards")
    return parser


def _add_common_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("where").add_argument
    add("--out", required=True, type=path_or_url, metavar="DATA", help="folder or URL (s3://…) for the shards")
    add("--name", help="name of the data set in reports (default: the source's)")
    add("--replace", action="store_true", help="replace existing shards, even those of another source")
    add = parser.add_argument_group("which images").add_argument
    add("--split", default="0.7/0.1/0.2", metavar="T/V/T",
        help="shares of train/val/test if the source prescribes no splits (default: %(default)s)")  # fmt: skip
    add("--size", default="256",
        help='shorter side of larger images after resizing, in pixels, or "original" (default: 256)')  # fmt: skip
    add("--min-side", type=int, default=Limits.min_side, metavar="PIXELS",
        help="shortest accepted side (default: %(default)s)")  # fmt: skip
    add("--max-aspect", type=float, default=Limits.max_aspect, metavar="RATIO",
        help="largest accepted ratio of the longer to the shorter side (default: %(default)s)")  # fmt: skip
    add("--max-pixels", type=int, default=Limits.max_pixels, metavar="N",
        help="largest number of pixels to decode of an image (default: %(default)s)")  # fmt: skip
    problems = [problem.name.lower() for problem in KEEPABLE]
    add("--keep", nargs="+", default=[], choices=problems, metavar="PROBLEM",
        help=f"problems with which images are kept anyway: {', '.join(problems)}")  # fmt: skip
    add = parser.add_argument_group("report").add_argument
    add("--allow-thumbnails", action="store_true",
        help="let reports show some of these images, if the licence and the people depicted permit it")  # fmt: skip
    add = parser.add_argument_group("how to run").add_argument
    add("--shard-images", type=int, default=1000, metavar="N",
        help="largest number of images in a shard (default: %(default)s)")  # fmt: skip
    add("--workers", type=int, default=available_cpus(), metavar="N",
        help="number of processes of this machine that read images (default: all CPUs)")  # fmt: skip
    add("--executor", choices=["local", "ray"], default="local",
        help="local: processes of this machine; ray: all CPUs of the Ray that RAY_ADDRESS names, whose nodes must "
             "reach the images and DATA (default: %(default)s)")  # fmt: skip


def _add_download_options(parser: argparse.ArgumentParser) -> None:
    # Imported here because the reading processes import this file, too.
    from emotune.data.build.http_client import DownloadOptions

    add = parser.add_argument_group("downloading").add_argument
    add("--downloads", type=local_path, metavar="DIR",
        help="folder for downloaded images (default: in emotune's cache)")  # fmt: skip
    add("--concurrency", type=int, default=DownloadOptions.concurrency, metavar="N",
        help="number of simultaneous downloads (default: %(default)s)")  # fmt: skip
    add("--per-host", type=int, default=DownloadOptions.per_host, metavar="N",
        help="number of simultaneous downloads from one host (default: %(default)s)")  # fmt: skip
    add("--timeout-s", type=float, default=DownloadOptions.timeout_s, metavar="S",
        help="seconds to wait for data from a server (default: %(default)s)")  # fmt: skip
    add("--allow-private", action="store_true", help="allow private addresses and proxies")


def _add_fields(group: argparse._ArgumentGroup, source: type) -> None:
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
            group.add_argument(field.name, **settings)
        else:
            settings["help"] += " (default: %(default)s)" if field.default != "" else ""
            group.add_argument(f"--{field.name.replace('_', '-')}", default=field.default, **settings)


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
