"""Ratings in the columns of a CSV table: one row per image, or one per rater."""

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotune.config.target import Dimension, parse_scale
from emotune.core.errors import InputError, raise_if_any
from emotune.data.manifest import Rating
from emotune.data.sources.base import Url
from emotune.data.sources.csv_rows import summarise_problems
from emotune.data.sources.rated_images import RatedImage, parse_rating, parse_sd
from emotune.data.split import match_split

__all__ = ["RatingColumns", "rated_rows", "rating_columns"]

KNOWN = ("valence", "arousal", "dominance")
"""The dimensions that a table may have, in this order; the first one that is there stratifies the split."""


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
    problems = [f'{where}: no column "{column}"; found {", ".join(names)}'
                for column in [*means.values(), *sds.values()] if column and column not in names]  # fmt: skip
    problems += [f"--{name}-sd: give --{name}, too" for name in KNOWN if sds[name] and not means[name]]
    texts = [text.strip() for text in scale.split(",") if text.strip()]
    texts = texts * len(given) if len(texts) == 1 else texts
    if len(texts) != len(given):
        problems.append(f'--scale "{scale}": give the scale of {", ".join(given)}, such as 1..9, or one for each')
    dimensions = []
    for name, text in zip(given, texts, strict=False):
        try:
            dimensions.append(Dimension(name, *parse_scale(text)))
        except ValueError as error:
            message = str(error) if "\n" not in str(error) else f'"{text}": give the lower end first'
            problems.append(f"--scale: {message}")
    raise_if_any(problems)
    return RatingColumns(
        tuple(dimensions), {name: means[name] for name in given}, {name: sds[name] for name in given if sds[name]}
    )


def rated_rows(
    table: Path, rows: Sequence[tuple[int, Mapping[str | None, Any]]], roles: Mapping[str, str], columns: RatingColumns,
    base: Path,
) -> tuple[list[RatedImage], list[str]]:  # fmt: skip
    """The images of a table, and notes on how rows were merged.

    Several rows of an image are its raters: their mean counts, and their standard deviation (n - 1).

    Args:
        table: The table, for messages.
        rows: The rows with the numbers of their lines.
        roles: The columns of path or url, split and group.
        columns: The columns of ratings.
        base: The folder to which paths are relative.

    Raises:
        InputError: rows cannot be used; the message has one line per kind of problem.
    """
    found: dict[str, list[RatedImage]] = defaultdict(list)
    problems: list[tuple[str, str]] = []
    for line, cells in rows:
        try:
            image = _rated_row(cells, roles, columns, base)
            found[image.source].append(image)
        except ValueError as error:
            problems.append((f"{table}:{line}", str(error)))
    raise_if_any(summarise_problems(problems))
    if not found:
        raise InputError(f"{table}: lists no images")
    several = sum(len(images) > 1 for images in found.values())
    notes = [f"{several} images are in several rows: each row is a rater, and their mean counts"] if several else []
    return [_merged(images) for images in found.values()], notes


def _rated_row(
    cells: Mapping[str | None, Any], roles: Mapping[str, str], columns: RatingColumns, base: Path
) -> RatedImage:
    if None in cells.values() or any(cells.get(None) or ()):
        raise ValueError("more or fewer cells than the header has")
    values = {role: str(cells[name]).strip() for role, name in roles.items()}
    source = values.get("path") or values.get("url")
    if not source:
        raise ValueError("neither path nor url")
    split = match_split(values.get("split", ""))
    if values.get("split") and not split:
        raise ValueError(f'split "{values["split"]}" is not train, val or test')
    ratings: dict[str, Rating] = {}
    for one in columns.dimensions:
        sd = columns.sds.get(one.name)
        mean = parse_rating(one, str(cells[columns.means[one.name]]).strip())
        ratings[one.name] = (mean, parse_sd(one, str(cells[sd])) if sd else None)
    image: Path | Url = base / source if values.get("path") else Url(source)
    return RatedImage(source, image, ratings, split, values.get("group") or None)


def _merged(images: Sequence[RatedImage]) -> RatedImage:
    """An image with the mean of its rows."""
    first = images[0]
    if len(images) == 1:
        return first
    ratings: dict[str, Rating] = {}
    for name in first.ratings:
        values = [image.ratings[name][0] for image in images]
        ratings[name] = (statistics.fmean(values), statistics.stdev(values))
    split = next((image.split for image in images if image.split), None)
    return RatedImage(first.source, first.image, ratings, split, first.group)
