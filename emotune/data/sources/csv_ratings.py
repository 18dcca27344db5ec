"""Ratings in the columns of a CSV table: one row per image, or one per rater."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotune.config.target import Dimension, parse_scale
from emotune.core.errors import InputError, closest, raise_if_any
from emotune.data.manifest import Rating
from emotune.data.sources.csv_cells import CellReader, TableRow
from emotune.data.sources.csv_rows import (
    find_contradictions,
    find_split_groups,
    rows_by_image,
    split_and_group,
    summarise_problems,
)
from emotune.data.sources.rated_images import RatedImage, parse_rating, parse_sd

__all__ = ["RatingColumns", "rated_rows", "rating_columns"]

KNOWN = ("valence", "arousal", "dominance")
"""The dimensions that a table may have, in this order; every quarter of the first one is in every split if possible."""


@dataclass(frozen=True)
class RatingColumns:
    """The columns of ratings.

    Attributes:
        dimensions: The dimensions with their scales.
        means: The column of ratings of each dimension.
        sds: The column of standard deviations of each dimension that has one.
    """

    dimensions: tuple[Dimension, ...]
    means: Mapping[str, str]
    sds: Mapping[str, str]


def rating_columns(
    where: str, names: Sequence[str], means: Mapping[str, str], sds: Mapping[str, str], scale: str
) -> RatingColumns:
    """The columns that the options of the command name.

    Args:
        where: The place of the table's header, for messages.
        names: The names of the columns.
        means: The column of ratings that is given for each of `KNOWN`, or an empty text.
        sds: The same of standard deviations.
        scale: The scale of all dimensions, ``1..9``, or those of each that is given, separated by commas.

    Raises:
        InputError: a column is missing, or scales are missing or wrong.
    """
    given = [name for name in KNOWN if means[name]]
    options = {f"--{name}": column for name, column in means.items()}
    options |= {f"--{name}-sd": column for name, column in sds.items()}
    problems = [f'{where}: {option}: no column "{column}"{_offered(column, names)}'
                for option, column in options.items() if column and column not in names]  # fmt: skip
    problems += [f"--{name}-sd: give --{name}, too" for name in KNOWN if sds[name] and not means[name]]
    texts = [text.strip() for text in scale.split(",") if text.strip()]
    texts = texts * len(given) if len(texts) == 1 else texts
    if len(texts) != len(given):
        wrong = f'--scale "{scale}": give' if texts else "--scale is missing: give"
        problems.append(f"{wrong} the scale of {', '.join(given)}, such as 1..9, or one for each")
    dimensions = []
    for name, text in zip(given, texts, strict=False):
        try:
            dimensions.append(Dimension(name, *parse_scale(text)))
        except ValueError as error:
            message = str(error) if "\n" not in str(error) else f'"{text}": give the lower end first'
            problems.append(f"--scale: {message}")
    raise_if_any(list(dict.fromkeys(problems)))  # a scale of several dimensions is wrong once
    return RatingColumns(
        tuple(dimensions), {name: means[name] for name in given}, {name: sds[name] for name in given if sds[name]}
    )


def _offered(column: str, names: Sequence[str]) -> str:
    """The column that was probably meant, and all of them."""
    close = closest(column, names)
    meant = f'did you mean "{close}"? ' if close else ""
    return f"; {meant}found {', '.join(names)}"


@dataclass(frozen=True, slots=True)
class _RatedRow(TableRow):
    """A row with the ratings of its image, and with its cells of all columns but those about the image."""

    ratings: Mapping[str, Rating]
    cells: tuple[str, ...]


def rated_rows(
    table: Path, rows: Sequence[tuple[int, dict[str | None, Any]]], reader: CellReader, columns: RatingColumns
) -> tuple[list[RatedImage], list[str]]:
    """The images of a table, and notes on how rows were read and merged.

    Several rows of an image are its raters: their mean counts, and their standard deviation (n - 1). A row that is a
    copy of another, in all columns but those of path, split and group, counts once.

    Args:
        table: The table, for messages.
        rows: The rows with the numbers of their lines.
        reader: The reader of images.
        columns: The columns of ratings.

    Raises:
        InputError: rows cannot be used, or put an image or a group into several splits; the message has one line per
            kind of problem.
    """
    found: list[_RatedRow] = []
    problems: list[tuple[str, str]] = []
    for line, cells in rows:
        where = f"{table}:{line}"
        try:
            found.append(_rated_row(where, cells, reader, columns))
        except ValueError as error:
            problems.append((where, str(error)))
    images, distinct = [], []
    for image_rows in rows_by_image(found):
        problems += find_contradictions(image_rows)
        distinct.append(raters := list({row.cells: row for row in image_rows}.values()))
        if len(raters) > 1 and columns.sds:
            problems.append((raters[1].where, f'"{raters[0].source}" has several rows with different cells: with a '
                             "column of standard deviations, an image has one row"))  # fmt: skip
        first, (split, group) = image_rows[0], split_and_group(image_rows)
        known = dict.fromkeys(first.ratings, len(raters)) if len(raters) > 1 else {}
        images.append(RatedImage(first.source, first.image, _mean_ratings(raters), split, group, known))
    raise_if_any(summarise_problems(problems) + find_split_groups(table, images))
    if not found:
        raise InputError(f"{table}: lists no images")
    notes = reader.notes()
    if copies := len(found) - sum(map(len, distinct)):
        notes.append(f"rows that repeat another row of their image: {copies}; each counts once")
    if several := sum(len(raters) > 1 for raters in distinct):
        notes.append(f"images in several rows: {several}; each row is a rater, and their mean counts")
    return images, notes


def _rated_row(where: str, cells: dict[str | None, Any], reader: CellReader, columns: RatingColumns) -> _RatedRow:
    image = reader.row(where, cells)
    ratings: dict[str, Rating] = {}
    for one in columns.dimensions:
        sd = columns.sds.get(one.name)
        mean = parse_rating(one, cells[columns.means[one.name]].strip())
        ratings[one.name] = (mean, parse_sd(one, cells[sd]) if sd else None)
    others = tuple(str(cell).strip() for name, cell in cells.items() if name not in reader.columns)
    return _RatedRow(where, image.source, image.image, image.split, image.group, ratings, others)


def _mean_ratings(rows: Sequence[_RatedRow]) -> Mapping[str, Rating]:
    """The ratings of an image, whose rows are its raters."""
    if len(rows) == 1:
        return rows[0].ratings
    values = {name: [row.ratings[name][0] for row in rows] for name in rows[0].ratings}
    return {name: (statistics.fmean(given), statistics.stdev(given)) for name, given in values.items()}
