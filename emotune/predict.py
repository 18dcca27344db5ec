"""`python -m emotune.predict RUN IMAGE…`: classes, or ratings, of images by the network of a finished run."""

import argparse
import io
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.progress import track

from emotune.cli.arguments import CommandLine, exits_on_broken_pipe, local_path, path_or_url, reraise_broken_pipe
from emotune.cli.help_text import HelpFormatter, examples
from emotune.cli.prediction_output import ImagePrediction, note_if_alike, print_predictions, write_csv
from emotune.config.resources import EVALUATION_BATCH_SIZE
from emotune.config.types import escape_control_characters
from emotune.core.errors import InputError, describe_os_error, print_error
from emotune.core.terminal import make_console
from emotune.core.typed_command import error_prefix, typed_command
from emotune.data.sources.video import VIDEO_SUFFIXES
from emotune.execution.run.signals import INTERRUPTED, Interruption, interruption
from emotune.inference.inputs import SUFFIXES, find_images, unique_stems

if TYPE_CHECKING:
    from emotune.inference.predictor import Predictor

__all__ = ["command_line", "main"]

TABLE = "predictions.csv"


@exits_on_broken_pipe
def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Returns:
        0: all images have a prediction, of classes or ratings; 1: some images could not be read, the others have one,
        or the output could not be written; 2: the input cannot be used; 130: interrupted; 141: the reader of the output
        has gone.
    """
    options = command_line().parse_args(arguments)
    try:
        with interruption() as stopping:
            return _predict(options, stopping)
    except InputError as error:
        print_error(error_prefix("predict"), error)
        return 2
    except OSError as error:
        reraise_broken_pipe(error)
        print_error(error_prefix("predict"), OSError(describe_os_error(error)))
        return 1
    except ArithmeticError as error:  # an exported file whose outputs differ from torch's
        print_error(error_prefix("predict"), error)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return INTERRUPTED


def command_line() -> CommandLine:
    """The parser of the command."""
    prog = typed_command("predict")
    shown = {
        f"{prog} runs/RUN PHOTOS": "a table with the probabilities of all classes",
        f"{prog} runs/RUN PHOTOS --out SEEN": f"SEEN/{TABLE}, and where the network looked",
        f"{prog} runs/RUN --onnx network.onnx": "the network for other programs",
    }
    parser = CommandLine(
        prog=prog, usage="%(prog)s RUN [IMAGE …] [options]", epilog=examples(shown), formatter_class=HelpFormatter,
        description="Predicts the classes of images, or their ratings, with a finished run's network.",
    )  # fmt: skip
    add = parser.add_argument_group("what to predict").add_argument
    add("run", type=path_or_url, metavar="RUN",
        help="folder or URL of a finished run, such as runs/attention-scenes-s0-…")  # fmt: skip
    add("images", metavar="IMAGE", nargs="*", type=path_or_url,
        help="images, folders of images, or - to read names from stdin")  # fmt: skip
    output = parser.add_argument_group("output")
    output.add_argument("--out", type=local_path, metavar="DIR",
                        help=f"write {TABLE} there, and a PNG with the attention map of each image")  # fmt: skip
    form = output.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print a JSON object per image and line instead of a table")
    form.add_argument("--csv", action="store_true", help="print comma-separated values instead of a table")
    output.add_argument("--onnx", type=local_path, metavar="FILE",
                        help="export the network to this file and check it with onnxruntime")  # fmt: skip
    add = parser.add_argument_group("how to run").add_argument
    add("--batch-size", type=_count, default=EVALUATION_BATCH_SIZE, metavar="N",
        help="images in a forward pass (default: %(default)s)")  # fmt: skip
    add("--device", choices=["auto", "cpu", "cuda"], default="auto", help="default: the GPU if there is one")
    add("--trust-code", action="store_true",
        help="execute the code of a network of one's own, which comes with the run; read it before")  # fmt: skip
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'"{text}" is not a positive number of images')
    return int(text)


def _predict(options: argparse.Namespace, stopping: Interruption) -> int:
    if not options.images and not options.onnx:
        raise InputError("nothing to do: name images, or use --onnx FILE")
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")  # file names need not be UTF-8
    from emotune.inference.predictor import load_predictor  # late: with torch

    predictor = load_predictor(options.run, options.device, trust_code=options.trust_code)
    found = (SUFFIXES, "images") if predictor.input_spec.frames == 1 else (VIDEO_SUFFIXES, "videos")
    paths = find_images(options.images, sys.stdin, *found) if options.images else []
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
    if options.onnx:
        from emotune.inference.onnx import export

        difference = export(predictor, options.onnx)
        print(f"{options.onnx}: outputs match torch's; the largest difference is {difference:.1e}", file=sys.stderr)
    if not paths:
        return 0
    predictions = _predict_each(predictor, paths, options, stopping)
    with stopping.patient(), ExitStack() as stack:
        if options.out:
            table = stack.enter_context(
                (options.out / TABLE).open("w", newline="", encoding="utf-8", errors="surrogateescape")
            )
            predictions = write_csv(predictions, table, predictor)
        if options.csv:
            predictions = write_csv(predictions, sys.stdout, predictor)
        else:
            predictions = print_predictions(predictions, predictor, as_json=options.json)
        return 0 if sum(1 for _ in note_if_alike(predictions, predictor)) == len(paths) else 1


def _predict_each(
    predictor: "Predictor", paths: Sequence[Path], options: argparse.Namespace, stop: Callable[[], bool]
) -> Iterator[ImagePrediction]:
    """The prediction for each image until ``stop`` is true; images that cannot be read are reported on stderr."""
    from emotune.data.image_io import center_crop
    from emotune.inference.predictor import load_center_crop

    stems, console = unique_stems(paths), make_console(stderr=True)
    todo = iter(track(paths, "images", console=console, transient=True, disable=not console.is_interactive))
    while chunk := list(islice(todo, options.batch_size)):
        squares: dict[Path, np.ndarray] = {}
        for path in chunk:
            if stop():
                return
            try:
                squares[path] = load_center_crop(path, predictor.input_spec)
            except (OSError, ValueError) as error:  # a system's error has the reason without the name
                print_error(error_prefix("predict"), InputError(f"{path}: {getattr(error, 'strerror', None) or error}"))
        if not squares:
            continue
        batch = predictor.predict_batch(list(squares.values()))
        for row, (path, image) in enumerate(squares.items()):
            rated = bool(predictor.dimensions)
            values = dict(zip(batch.classes, map(float, (batch.ratings if rated else batch.probabilities)[row]),
                              strict=True))  # fmt: skip
            probabilities, ratings = ({}, values) if rated else (values, {})
            if stop():
                return
            if options.out:
                weights = {layer: weights[row] for layer, weights in batch.attention.items()}
                crop = center_crop(image, predictor.input_spec.side)
                _save_figure(
                    options.out / f"{stems[path]}.png",
                    path.name,
                    crop,
                    weights,
                    probabilities,
                    _places(predictor, ratings),
                )
            yield ImagePrediction(path, probabilities, ratings)


def _places(predictor: "Predictor", ratings: Mapping[str, float]) -> dict[str, tuple[float, str]]:
    """The place of each rating on its scale, from 0 to 1, and the rating in words."""
    return {
        one.name: (min(max((ratings[one.name] - one.low) / (one.high - one.low), 0.0), 1.0), f"{ratings[one.name]:.2f}")
        for one in predictor.dimensions
    }


def _save_figure(
    out: Path,
    title: str,
    crop: np.ndarray,
    weights: Mapping[str, np.ndarray],
    probabilities: Mapping[str, float],
    ratings: Mapping[str, tuple[float, str]],
) -> None:
    """Writes the figure of an image: the crop that the network sees, its attention maps and the probabilities.

    Args:
        out: The PNG's path.
        title: The title of the figure.
        crop: The crop, uint8 (side, side, 3), or those of a clip's frames, (frames, side, side, 3).
        weights: The attention weights (P,) by layer.
        probabilities: The probabilities by class.
        ratings: The ratings by dimension, each as its place on its scale, from 0 to 1, and in words.
    """
    from emotune.inference.predictor import FRAMES
    from emotune.report.figures.predictions import clip_figure, prediction_figure

    shown = {name: place for name, (place, _) in ratings.items()} if ratings else probabilities
    texts = {name: text for name, (_, text) in ratings.items()}
    if crop.ndim == 4:
        over_frames = weights[FRAMES] * len(crop) if FRAMES in weights else None
        figure = clip_figure(escape_control_characters(title), crop, over_frames, shown, texts)
        figure.savefig(out, metadata={"Software": None})
        return
    sides = {layer: math.isqrt(w.size) for layer, w in weights.items()}
    maps = {  # weights of no square grid have no map
        layer: (w * w.size).reshape(sides[layer], -1) for layer, w in weights.items() if w.size == sides[layer] ** 2
    }
    figure = prediction_figure(escape_control_characters(title), crop, maps, shown, texts)
    figure.savefig(out, metadata={"Software": None})  # so that equal figures are equal files


if __name__ == "__main__":
    sys.exit(main())
