"""Read the files of public data sets: tables of votes, lines of text, and the images that they name."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from emotune.config.labels import MIKELS
from emotune.config.target import Target
from emotune.core.errors import InputError, raise_if_any
from emotune.data.annotations import OTHER, leading_class, majority_class, parse_votes
from emotune.data.manifest import ExcludedImage, Problem
from emotune.data.sources.base import Entry, Listing
from emotune.data.sources.class_names import match_class, unknown_class
from emotune.data.sources.csv_rows import VoteTable, summarise_problems
from emotune.data.sources.folder_layout import require_folder

__all__ = [
    "RESEARCH_LICENCE",
    "convert_rows",
    "first_existing",
    "label_by_votes",
    "make_listing",
    "mikels_class",
    "read_lines",
    "read_vote_table",
]

RESEARCH_LICENCE = "for research; the images belong to their owners"

Row = TypeVar("Row")
Result = TypeVar("Result")


def make_listing(
    name: str,
    classes: tuple[str, ...],
    images: Iterable[Entry | ExcludedImage],
    source: str,
    licence: str,
    notes: Sequence[str] = (),
    target: Target = "classes",
) -> Listing:
    """A listing of the images, from entries and exclusions in any order."""
    images = list(images)
    entries = [image for image in images if isinstance(image, Entry)]
    left_out = [image for image in images if isinstance(image, ExcludedImage)]
    name = name if target == "classes" else f"{name}-{target}"
    return Listing(name, classes, entries, source, licence, left_out, notes=notes, target=target)


def label_by_votes(
    table: VoteTable, folders: Sequence[Path], target: Target = "classes"
) -> Iterator[Entry | ExcludedImage]:
    """The images, each labelled with the class that has most votes.

    If that is no single class, the image is excluded; where the target are distributions, only an image without a vote
    for any class is, and the first of the leading classes is the label.

    Args:
        table: The images' names and votes.
        folders: The folders in which the images may be; the first one that has any of them counts.
        target: The target of the data set, classes or distributions.
    """
    has_any = [folder for folder in folders if any((folder / name).is_file() for name, _ in table)]
    if not has_any:
        raise InputError(f"{folders[0]}: none of the {len(table)} listed images is here")
    for name, votes in table:
        label = majority_class(votes, tuple(votes))
        if target == "distributions":
            label = leading_class(votes, [name for name in votes if name != OTHER]) or OTHER
        if label and label != OTHER:
            yield Entry(name, label, votes, has_any[0] / name)
        else:
            yield ExcludedImage(
                name, "", Problem.VOTES, "neutral has most votes" if label else f"no single class: {votes}"
            )


def read_vote_table(path: Path, delimiter: str, classes: Sequence[str]) -> list[tuple[str, dict[str, float]]]:
    """The images of a table and their votes.

    A column belongs to a class if the last word of its header means it (``[prob. anger]``).
    """
    (where, header), *rows = read_lines(path, delimiter) or [(f"{path}:1", [])]
    words = [re.split("[^a-z]+", cell.lower().strip("[] "))[-1] for cell in header]
    columns = {match_class(word, classes) or word: column for column, word in enumerate(words)}
    if missing := [label for label in classes if label not in columns]:
        raise InputError(f"{where}: no column {', '.join(missing)}; found {', '.join(header) or 'nothing'}")

    def votes_of(cells: Sequence[str]) -> tuple[str, dict[str, float]]:
        if len(cells) != len(header):
            raise ValueError(f"{len(cells)} columns; the header has {len(header)}")
        return cells[0], {label: parse_votes(cells[columns[label]]) for label in classes}

    return convert_rows(rows, votes_of)


def convert_rows(rows: Iterable[tuple[str, Row]], convert: Callable[[Row], Result]) -> list[Result]:
    """The result of `convert` for each row.

    Args:
        rows: The rows, each with its place for messages.
        convert: A function that raises a ValueError if a row cannot be used.

    Raises:
        InputError: rows cannot be used; the message has one line per kind of problem.
    """
    results: list[Result] = []
    problems: list[tuple[str, str]] = []
    for where, row in rows:
        try:
            results.append(convert(row))
        except ValueError as error:
            problems.append((where, str(error)))
    raise_if_any(summarise_problems(problems))
    return results


def read_lines(path: Path, delimiter: str | None) -> list[tuple[str, list[str]]]:
    """The place and the cells of every line that is not blank; quotes around cells are removed."""
    try:
        rows = [line.rstrip().split(delimiter) for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text in UTF-8 ({error})") from None
    return [(f"{path}:{n}", [cell.strip().strip("'\"") for cell in row]) for n, row in enumerate(rows, 1) if any(row)]


def mikels_class(name: str) -> str:
    """The class that a name means; a ValueError if it means none."""
    label = match_class(name, MIKELS)
    if label is None:
        raise ValueError(unknown_class(name, MIKELS))
    return label


def first_existing(directory: Path, *names: str) -> Path:
    """The first file or folder that exists under one of the names; an empty name stands for the directory itself."""
    require_folder(directory, "the folder that holds the data set")
    existing = [directory / name for name in names if (directory / name).exists()]
    if not existing:
        raise InputError(f"{directory}: no {' or '.join(name for name in names if name)} here")
    return existing[0]
