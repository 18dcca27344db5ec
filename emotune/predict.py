"""`python -m emotune.predict RUN IMAGE…`: which emotions a finished run's network expects pictures to evoke."""

import argparse
import csv
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from emotune.errors import InputError, print_error
from emotune.inference.naming import distinct_stems, named_pictures

if TYPE_CHECKING:
    from emotune.inference.predictor import Predictor

__all__ = ["load", "main"]

TABLE = "predictions.csv"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Returns:
        0: all pictures are told; 1: some could not be read, the others are told; 2: the input cannot be used; 130:
        interrupted.
    """
    options = _parser().parse_args(arguments)
    try:
        return _predict(options)
    except InputError as error:
        print_error("emotune.predict", error)
        return 2
    except (OSError, ArithmeticError) as error:  # a full disk, an export that is not what it should be
        print_error("emotune.predict", error)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return 130


def load(run: str, device: str = "auto") -> "Predictor":
    """The network of a finished run; see `emotune.inference.predictor.load`.

    >>> load("runs/attention-scenes-s0-1234abcd").predict(["a.jpg", "b.png"]).labels  # doctest: +SKIP
    ['awe', 'fear']
    """
    from emotune.inference import predictor  # late: with torch

    return predictor.load(run, device)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m emotune.predict", description="What a finished run's network says of pictures."
    )
    add = parser.add_argument
    add("run", metavar="RUN", help="folder or URL of a finished run, such as runs/attention-scenes-s0-…")
    add("images", metavar="IMAGE", nargs="*", help="pictures, folders of pictures, or - for names from stdin")
    add(
        "--out",
        type=Path,
        metavar="DIR",
        help=f"write {TABLE} there, and for each picture a PNG with its attention map",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="an object per line and picture, instead of a table")
    form.add_argument("--csv", action="store_true", help="comma-separated values instead of a table")
    add("--onnx", type=Path, metavar="FILE", help="export the network, checked with onnxruntime")
    add("--batch-size", type=_count, default=50, metavar="N", help="pictures at a time (default: %(default)s)")
    add("--device", choices=["auto", "cpu", "cuda"], default="auto", help="default: the GPU if there is one")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'"{text}" is not a number of pictures')
    return int(text)


def _predict(options: argparse.Namespace) -> int:
    if not options.images and not options.onnx:
        raise InputError("nothing to do: name pictures, or --onnx FILE")
    paths = named_pictures(options.images, sys.stdin) if options.images else []
    predictor = load(options.run, options.device)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
    if options.onnx:
        from emotune.inference.onnx import export

        difference = export(predictor, options.onnx)
        print(f"{options.onnx}: the same as torch but for {difference:.1e}", file=sys.stderr)
    found = list(_shown(_told(predictor, paths, options), options, predictor.classes))
    if options.out and paths:
        with (options.out / TABLE).open("w", newline="", encoding="utf-8") as file:
            _write_csv(file, found, predictor.classes)
    return 0 if len(found) == len(paths) else 1


@dataclass(frozen=True)
class _Told:
    """A picture, and what the network says of it."""

    path: Path
    probabilities: Mapping[str, float]

    @property
    def label(self) -> str:
        return max(self.probabilities, key=self.probabilities.__getitem__)


def _told(predictor: "Predictor", paths: Sequence[Path], options: argparse.Namespace) -> Iterator[_Told]:
    """What the network says of each picture that can be read; the others are named on stderr."""
    from emotune.inference.predictor import square

    stems, console = distinct_stems(paths), Console(stderr=True)
    todo = iter(track(paths, "pictures", console=console, transient=True, disable=not console.is_terminal))
    while chunk := list(islice(todo, options.batch_size)):
        squares: dict[Path, np.ndarray] = {}
        for path in chunk:
            try:
                squares[path] = square(path)
            except (OSError, ValueError) as error:  # of the system's own, the reason without the name
                print_error("emotune.predict", InputError(f"{path}: {getattr(error, 'strerror', None) or error}"))
        if not squares:
            continue
        answers = predictor.answers(list(squares.values()))
        for row, (path, picture) in enumerate(squares.items()):
            said = dict(zip(answers.classes, map(float, answers.probabilities[row]), strict=True))
            if options.out:
                maps = {layer: weights[row] for layer, weights in answers.attention.items()}
                _draw(options.out / f"{stems[path]}.png", path.name, picture, maps, said)
            yield _Told(path, said)


def _draw(
    out: Path, title: str, picture: np.ndarray, weights: Mapping[str, np.ndarray], said: Mapping[str, float]
) -> None:
    """Writes a picture's PNG; ``weights`` by attention layer (P,)."""
    from emotune.data.samples import CROP
    from emotune.report.figures.answers import picture_and_answer

    first = (len(picture) - CROP) // 2
    seen = picture[first : first + CROP, first : first + CROP]
    maps = {layer: (w * w.size).reshape(2 * (round(w.size**0.5),)) for layer, w in weights.items()}
    picture_and_answer(title, seen, maps, said).savefig(out, metadata={"Software": None})


def _shown(told: Iterator[_Told], options: argparse.Namespace, classes: Sequence[str]) -> Iterator[_Told]:
    """Prints as asked for: lines as they come, a table when all is known."""
    if options.csv:
        yield from _write_csv_as_it_comes(told, classes)
        return
    rows = []
    for one in told:
        if options.json:
            value = {"picture": str(one.path), "label": one.label, "probabilities": one.probabilities}
            print(json.dumps(value), flush=True)
        rows.append(one)
        yield one
    if rows and not options.json:
        Console(width=None if sys.stdout.isatty() else 160).print(_table(rows, classes))


def _table(rows: Iterable[_Told], classes: Sequence[str]) -> Table:
    """A row per picture, probabilities in per cent."""
    table = Table("picture", "label", box=None, pad_edge=False)
    for label in classes:
        table.add_column(label, justify="right")
    for one in rows:
        cells = [f"{100 * p:.1f}" for p in one.probabilities.values()]
        marked = [f"[bold]{c}[/]" if k == one.label else c for k, c in zip(one.probabilities, cells, strict=True)]
        table.add_row(escape(str(one.path)), one.label, *marked)
    return table


def _head(classes: Sequence[str]) -> list[str]:
    return ["picture", "label", *(f"p_{label}" for label in classes)]


def _cells(one: _Told) -> list[Any]:
    return [str(one.path), one.label, *(f"{p:.6g}" for p in one.probabilities.values())]


def _write_csv_as_it_comes(told: Iterator[_Told], classes: Sequence[str]) -> Iterator[_Told]:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(_head(classes))
    for one in told:
        writer.writerow(_cells(one))
        yield one


def _write_csv(file: Any, rows: Iterable[_Told], classes: Sequence[str]) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(_head(classes))
    writer.writerows(_cells(one) for one in rows)


if __name__ == "__main__":
    sys.exit(main())
