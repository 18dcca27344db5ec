"""`python -m emotune.predict RUN IMAGE…`: which emotions a finished run's network expects images to evoke."""

import argparse
import csv
import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from emotune.cli.arguments import CommandLine, exits_on_broken_pipe, local_path, path_or_url, reraise_broken_pipe
from emotune.config.types import escape_control_characters
from emotune.core.errors import InputError, describe_os_error, print_error
from emotune.execution.run.signals import INTERRUPTED, Interruption, interruption
from emotune.inference.inputs import find_images, unique_stems

if TYPE_CHECKING:
    from emotune.inference.predictor import Predictor

__all__ = ["load", "main"]

TABLE = "predictions.csv"
UNLIMITED = 1_000_000
"""Columns of text where the output is no terminal: programs that read it need each image's whole name on one line."""


@exits_on_broken_pipe
def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Returns:
        0: all images are told; 1: some could not be read, the others are told; 2: the input cannot be used; 130:
        interrupted; 141: nobody reads the output any more.
    """
    options = _parser().parse_args(arguments)
    try:
        with interruption() as stopping:
            return _predict(options, stopping)
    except InputError as error:
        print_error("emotune.predict", error)
        return 2
    except OSError as error:
        reraise_broken_pipe(error)
        print_error("emotune.predict", OSError(describe_os_error(error)))
        return 1
    except ArithmeticError as error:  # a full disk, an export that is not what it should be
        print_error("emotune.predict", error)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return INTERRUPTED


def load(run: str, device: str = "auto") -> "Predictor":
    """The network of a finished run; see `emotune.inference.predictor.load_predictor`.

    >>> load("runs/attention-scenes-s0-1234abcd").predict(["a.jpg", "b.png"]).labels  # doctest: +SKIP
    ['awe', 'fear']
    """
    from emotune.inference import predictor  # late: with torch

    return predictor.load_predictor(run, device)


def _parser() -> argparse.ArgumentParser:
    parser = CommandLine(prog="python -m emotune.predict", description="What a finished run's network says of images.")
    add = parser.add_argument
    add(
        "run",
        type=path_or_url,
        metavar="RUN",
        help="folder or URL of a finished run, such as runs/attention-scenes-s0-…",
    )
    add(
        "images",
        metavar="IMAGE",
        nargs="*",
        type=path_or_url,
        help="images, folders of images, or - for names from stdin",
    )
    add(
        "--out",
        type=local_path,
        metavar="DIR",
        help=f"write {TABLE} there, and for each image a PNG with its attention map",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="an object per line and image, instead of a table")
    form.add_argument("--csv", action="store_true", help="comma-separated values instead of a table")
    add("--onnx", type=local_path, metavar="FILE", help="export the network, checked with onnxruntime")
    add("--batch-size", type=_count, default=50, metavar="N", help="images at a time (default: %(default)s)")
    add("--device", choices=["auto", "cpu", "cuda"], default="auto", help="default: the GPU if there is one")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'"{text}" is not a number of images')
    return int(text)


def _predict(options: argparse.Namespace, stopping: Interruption) -> int:
    if not options.images and not options.onnx:
        raise InputError("nothing to do: name images, or --onnx FILE")
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")  # names of files need not be UTF-8
    paths = find_images(options.images, sys.stdin) if options.images else []
    predictor = load(options.run, options.device)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
    if options.onnx:
        from emotune.inference.onnx import export

        difference = export(predictor, options.onnx)
        print(f"{options.onnx}: the same as torch but for {difference:.1e}", file=sys.stderr)
    if not paths:
        return 0
    told = _told(predictor, paths, options, stopping)
    with stopping.patient(), ExitStack() as stack:
        if options.out:
            table = stack.enter_context(
                (options.out / TABLE).open("w", newline="", encoding="utf-8", errors="surrogateescape")
            )
            told = _written(told, table, predictor.classes)
        shown = _written(told, sys.stdout, predictor.classes) if options.csv else _printed(told, options, predictor)
        return 0 if sum(1 for _ in shown) == len(paths) else 1


@dataclass(frozen=True)
class _Told:
    """An image, and what the network says of it."""

    path: Path
    probabilities: Mapping[str, float]

    @property
    def label(self) -> str:
        return max(self.probabilities, key=self.probabilities.__getitem__)


def _told(
    predictor: "Predictor", paths: Sequence[Path], options: argparse.Namespace, stop: Callable[[], bool]
) -> Iterator[_Told]:
    """What the network says of each image that can be read, until it is to stop; the others are named on stderr."""
    from emotune.inference.predictor import load_center_crop

    stems, console = unique_stems(paths), Console(stderr=True)
    todo = iter(track(paths, "images", console=console, transient=True, disable=not console.is_terminal))
    while chunk := list(islice(todo, options.batch_size)):
        squares: dict[Path, np.ndarray] = {}
        for path in chunk:
            if stop():
                return
            try:
                squares[path] = load_center_crop(path)
            except (OSError, ValueError) as error:  # of the system's own, the reason without the name
                print_error("emotune.predict", InputError(f"{path}: {getattr(error, 'strerror', None) or error}"))
        if not squares:
            continue
        answers = predictor.predict_batch(list(squares.values()))
        for row, (path, image) in enumerate(squares.items()):
            said = dict(zip(answers.classes, map(float, answers.probabilities[row]), strict=True))
            if stop():
                return
            if options.out:
                maps = {layer: weights[row] for layer, weights in answers.attention.items()}
                _draw(options.out / f"{stems[path]}.png", path.name, image, maps, said)
            yield _Told(path, said)


def _draw(
    out: Path, title: str, image: np.ndarray, weights: Mapping[str, np.ndarray], said: Mapping[str, float]
) -> None:
    """Writes an image's PNG; ``weights`` by attention layer (P,)."""
    from emotune.data.image_io import CROP_SIDE
    from emotune.report.figures.predictions import prediction_figure

    first = (len(image) - CROP_SIDE) // 2
    seen = image[first : first + CROP_SIDE, first : first + CROP_SIDE]
    maps = {layer: (w * w.size).reshape(2 * (round(w.size**0.5),)) for layer, w in weights.items()}
    prediction_figure(escape_control_characters(title), seen, maps, said).savefig(out, metadata={"Software": None})


def _written(told: Iterable[_Told], file: TextIO, classes: Sequence[str]) -> Iterator[_Told]:
    """Writes each image's row as it comes, so that nothing is lost with those that follow."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["image", "label", *(f"p_{label}" for label in classes)])
    for one in told:
        writer.writerow([str(one.path), one.label, *(f"{p:.6g}" for p in one.probabilities.values())])
        file.flush()
        yield one


def _printed(told: Iterable[_Told], options: argparse.Namespace, predictor: "Predictor") -> Iterator[_Told]:
    """Prints an object per line as they come, or a table of all, as far as it went."""
    rows: list[_Told] = []
    try:
        for one in told:
            if options.json:
                value = {"image": str(one.path), "label": one.label, "probabilities": one.probabilities}
                print(json.dumps(value), flush=True)
            else:
                rows.append(one)
            yield one
    finally:
        if rows:
            Console(width=None if sys.stdout.isatty() else UNLIMITED).print(_table(rows, predictor.classes))


def _table(rows: Iterable[_Told], classes: Sequence[str]) -> Table:
    """A row per image, probabilities in per cent."""
    table = Table(box=None, pad_edge=False)
    for name in ("image", "label"):
        table.add_column(name, overflow="fold")  # names are never cut
    for label in classes:
        table.add_column(escape(label), justify="right")
    for one in rows:
        cells = [f"{100 * p:.1f}" for p in one.probabilities.values()]
        marked = [f"[bold]{c}[/]" if k == one.label else c for k, c in zip(one.probabilities, cells, strict=True)]
        table.add_row(escape(str(one.path)), escape(one.label), *marked)
    return table


if __name__ == "__main__":
    sys.exit(main())
