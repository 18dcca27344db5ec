"""Output of `emotune.predict`: rows of a CSV file, JSON lines, and tables, of classes or of ratings."""

import csv
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from rich.markup import escape
from rich.table import Table

from emotune.core.sample_noun import noun_of
from emotune.core.terminal import make_console, print_table

if TYPE_CHECKING:
    from emotune.inference.predictor import Predictor

__all__ = ["ImagePrediction", "note_if_alike", "print_predictions", "write_csv"]

FEW = 3
"""The number of images from which equal predictions are no coincidence."""
ALIKE = 0.01
"""The largest difference of probabilities, or of ratings as shares of their scale, that counts as none."""


@dataclass(frozen=True)
class ImagePrediction:
    """An image's path and the probabilities of its classes, or its ratings, by name."""

    path: Path
    probabilities: Mapping[str, float]
    ratings: Mapping[str, float]

    @property
    def label(self) -> str:
        """The most probable class."""
        return max(self.probabilities, key=self.probabilities.__getitem__)


def note_if_alike(predictions: Iterable[ImagePrediction], predictor: "Predictor") -> Iterator[ImagePrediction]:
    """Passes the predictions on; then says on stderr if they are nearly the same for all of three images or more."""
    spans = {one.name: one.high - one.low for one in predictor.dimensions} or dict.fromkeys(predictor.classes, 1.0)
    lowest, highest, number = dict.fromkeys(spans, inf), dict.fromkeys(spans, -inf), 0
    for prediction in predictions:
        number += 1
        for name, value in (prediction.ratings or prediction.probabilities).items():
            lowest[name], highest[name] = min(lowest[name], value), max(highest[name], value)
        yield prediction
    if number >= FEW and all(highest[name] - lowest[name] < ALIKE * span for name, span in spans.items()):
        kind = "ratings" if predictor.dimensions else "probabilities"
        print(
            f"Note: all {number} {noun_of([predictor.input_spec.frames])}s get nearly the same {kind}, as they do from "
            'a network that has learned nothing; see "Did it learn" in the report of its study.',
            file=sys.stderr,
        )


def write_csv(
    predictions: Iterable[ImagePrediction], file: TextIO, predictor: "Predictor"
) -> Iterator[ImagePrediction]:
    """Writes each image's row at once, so that an interruption loses none, and passes the predictions on."""
    writer = csv.writer(file, lineterminator="\n")
    names = predictor.classes
    writer.writerow(["image", *(names if predictor.dimensions else ["label", *(f"p_{label}" for label in names)])])
    for prediction in predictions:
        label = [] if predictor.dimensions else [prediction.label]
        values = (prediction.ratings or prediction.probabilities).values()
        writer.writerow([str(prediction.path), *label, *(f"{value:.6g}" for value in values)])
        file.flush()
        yield prediction


def print_predictions(
    predictions: Iterable[ImagePrediction], predictor: "Predictor", *, as_json: bool
) -> Iterator[ImagePrediction]:
    """Prints a JSON object per prediction at once, or a table of all at the end or interruption; passes them on."""
    rows: list[ImagePrediction] = []
    try:
        for prediction in predictions:
            if as_json:
                found = {"ratings": prediction.ratings} if predictor.dimensions else {
                    "label": prediction.label, "probabilities": prediction.probabilities
                }  # fmt: skip
                print(json.dumps({"image": str(prediction.path)} | found), flush=True)
            else:
                rows.append(prediction)
            yield prediction
    finally:
        if rows:
            table = _rating_table(rows, predictor) if predictor.dimensions else _table(rows, predictor)
            print_table(make_console(), table)


def _rating_table(rows: Iterable[ImagePrediction], predictor: "Predictor") -> Table:
    """A table with a row per image and the ratings on the dimensions' own scales."""
    table = Table(box=None, pad_edge=False)
    table.add_column(noun_of([predictor.input_spec.frames]), overflow="fold")
    for one in predictor.dimensions:
        table.add_column(f"{one.name} ({one.scale})", justify="right")
    for row in rows:
        table.add_row(escape(str(row.path)), *(f"{value:.2f}" for value in row.ratings.values()))
    return table


def _table(rows: Iterable[ImagePrediction], predictor: "Predictor") -> Table:
    """A table with a row per image and the probabilities in per cent, the largest in bold."""
    table = Table(box=None, pad_edge=False)
    for name in (noun_of([predictor.input_spec.frames]), "label"):
        table.add_column(name, overflow="fold")  # long names are wrapped, not cut
    for label in predictor.classes:
        table.add_column(escape(label), justify="right")
    for row in rows:
        per_cent = {label: f"{100 * p:.1f}" for label, p in row.probabilities.items()}
        cells = [f"[bold]{cell}[/]" if label == row.label else cell for label, cell in per_cent.items()]
        table.add_row(escape(str(row.path)), escape(row.label), *cells)
    return table
