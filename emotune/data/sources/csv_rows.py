"""Merge the rows of a table that belong to one image, and summarise the problems of many rows."""

import posixpath
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from emotune.config.target import Target
from emotune.data.annotations import leading_class, majority_class
from emotune.data.manifest import ExcludedImage, Problem
from emotune.data.sources.base import Entry, Url
from emotune.data.sources.csv_cells import TableRow
from emotune.data.sources.rated_images import RatedImage

__all__ = ["CsvRow", "ImageRows", "VoteTable", "find_contradictions", "find_split_groups", "merge_rows",
           "merge_vote_rows", "rows_by_image", "split_and_group", "summarise_problems"]  # fmt: skip

MAX_VALUES = 5
"""Number of wrong values that a message shows."""

Row = TypeVar("Row", bound=TableRow)

VoteTable = Sequence[tuple[str, dict[str, float]]]
"""Rows of a table of votes: the name of an image, and its votes by class."""


@dataclass(frozen=True, slots=True)
class CsvRow(TableRow):
    """A row of a table of classes.

    Attributes:
        label: The class, or None if the row names none.
        votes: The votes by class; empty if the row has none.
    """

    label: str | None
    votes: Mapping[str, float]


@dataclass
class ImageRows:
    """The images of a table.

    Attributes:
        entries: The images.
        left_out: Images that have no label.
        notes: Notes for the user on how rows were merged.
        problems: Problems of rows, each with the place of the row.
    """

    entries: list[Entry] = field(default_factory=list)
    left_out: list[ExcludedImage] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)


def summarise_problems(problems: Sequence[tuple[str, str]]) -> list[str]:
    """One line per kind of problem: its first place, the number of rows that have it, and the wrong values.

    >>> summarise_problems([("t.csv:2", '"joy" is not a class'), ("t.csv:3", '"1" is not a class')])
    ['t.csv:2: "joy" is not a class; 2 rows are like this ("joy" 1, "1" 1)']
    """
    kinds: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for where, message in problems:
        kinds[re.sub(r'"[^"]*"|\d+', "…", message.split("; did you mean")[0])].append((where, message))
    lines = []
    for rows in kinds.values():
        line = f"{rows[0][0]}: {rows[0][1]}"
        if len(rows) > 1:
            values = Counter(match[0] for _, message in rows if (match := re.search(r'"[^"]*"', message)))
            shown = ", ".join(f"{value} {count}" for value, count in values.most_common(MAX_VALUES))
            more = f", and {len(values) - MAX_VALUES} others" if len(values) > MAX_VALUES else ""
            line += f"; {len(rows)} rows are like this" + (f" ({shown}{more})" if len(values) > 1 else "")
        lines.append(line)
    return lines


def rows_by_image(rows: Sequence[Row]) -> list[list[Row]]:
    """The rows of each image; paths that mean one file, such as ``a.jpg`` and ``./a.jpg``, are one image."""
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row.source if isinstance(row.image, Url) else posixpath.normpath(row.source)].append(row)
    return list(found.values())


def find_contradictions(rows: Sequence[TableRow]) -> list[tuple[str, str]]:
    """The problems of an image whose rows are in several splits or groups, each with the place of a row."""
    problems = []
    for attribute in ("split", "group"):
        values = sorted({value for row in rows if (value := getattr(row, attribute))})
        if len(values) > 1:
            problems.append((rows[1].where, f'"{rows[0].source}" is in several {attribute}s: {", ".join(values)}'))
    return problems


def split_and_group(rows: Sequence[TableRow]) -> tuple[str | None, str | None]:
    """The split and the group of an image: those of the first of its rows that has one."""
    split = next((row.split for row in rows if row.split), None)
    return split, next((row.group for row in rows if row.group), None)


def find_split_groups(table: Path, images: Sequence[Entry | RatedImage]) -> list[str]:
    """The message about groups that the table itself puts into several splits; empty if there are none."""
    splits: dict[str, set[str]] = {}
    for image in images:
        if image.group and image.split:
            splits.setdefault(image.group, set()).add(image.split)
    in_several = {group: names for group, names in splits.items() if len(names) > 1}
    if not in_several:
        return []
    group, names = next(iter(in_several.items()))
    more = f"; {len(in_several)} groups are like this" if len(in_several) > 1 else ""
    return [f'{table}: the group "{group}" is in the splits {" and ".join(sorted(names))}; put it into one{more}']


def merge_rows(rows: Sequence[CsvRow], classes: Sequence[str], target: Target = "classes") -> ImageRows:
    """The images of a table: the labels of an image's rows are votes, or their votes are added; copies count once.

    Args:
        rows: The rows of the table.
        classes: The classes.
        target: The target of the data set: for *distributions*, images whose votes tie are kept, with the first of the
            leading classes as their label.
    """
    images = ImageRows()
    by_image = rows_by_image(rows)
    contradicted: list[str] = []
    for image_rows in by_image:
        first = image_rows[0]
        images.problems += find_contradictions(image_rows)
        label, votes = _merge_votes(image_rows, classes)
        if label is None and target == "distributions":
            label = leading_class(votes, classes)
        if label is None:
            detail = f"no class has more votes than all others: {dict(votes)}"
            images.left_out.append(ExcludedImage(first.source, "", Problem.VOTES, detail))
            continue
        most = majority_class(votes, classes)
        if most not in (None, label):
            contradicted.append(f"{first.source} (label {label}, most votes {most})")
        split, group = split_and_group(image_rows)
        images.entries.append(Entry(first.source, label, votes, first.image, split=split, group=group))
    if several := [image_rows for image_rows in by_image if len(image_rows) > 1]:
        merged = "their votes are added" if any(row.votes for row in several[0]) else "their labels are votes"
        images.notes.append(
            f"{len(several)} images are in several rows ({sum(map(len, several))} rows), such as "
            f"{several[0][0].source}: rows of one image are one image, and {merged}"
        )
    if contradicted:
        images.notes.append(
            f"{len(contradicted)} images have a label that is not the class with most of their votes, such as "
            f"{contradicted[0]}: the label counts"
        )
    return images


def _merge_votes(rows: Sequence[CsvRow], classes: Sequence[str]) -> tuple[str | None, dict[str, float]]:
    """The label and the votes that follow from an image's rows."""
    labels = Counter(row.label for row in rows if row.label)
    if not any(row.votes for row in rows):
        return majority_class(labels, classes), dict(labels)
    distinct = {repr((row.label, sorted(row.votes.items()))): row for row in rows}.values()
    votes: dict[str, float] = {}
    for row in distinct:
        for name, count in (row.votes or ({row.label: 1} if row.label else {})).items():
            votes[name] = votes.get(name, 0) + count
    return (majority_class(labels, classes) if labels else majority_class(votes, classes)), votes


def merge_vote_rows(table: VoteTable) -> tuple[VoteTable, list[str]]:
    """The table with one row per image, and a note if rows were merged: votes are added, but copies count once."""
    rows: dict[str, list[dict[str, float]]] = {}
    for name, votes in table:
        distinct = rows.setdefault(name, [])
        if votes not in distinct:
            distinct.append(votes)
    merged = [
        (name, {label: sum(votes[label] for votes in distinct) for label in distinct[0]})
        for name, distinct in rows.items()
    ]
    repeated = len(table) - len(merged)
    note = f"{repeated} rows repeat an image: a copied row counts once, other votes are added"
    return merged, [note] if repeated else []
