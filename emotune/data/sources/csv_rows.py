"""Merge the rows of a table that belong to one image, and summarise the problems of many rows."""

import posixpath
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from emotune.config.target import Target
from emotune.data.annotations import leading_class, majority_class
from emotune.data.manifest import ExcludedImage, Problem
from emotune.data.sources.base import Entry, Url

__all__ = ["CsvRow", "ImageRows", "VoteTable", "merge_rows", "merge_vote_rows", "summarise_problems"]

MAX_VALUES = 5
"""Number of wrong values that a message shows."""

VoteTable = Sequence[tuple[str, dict[str, float]]]
"""Rows of a table of votes: the name of an image, and its votes by class."""


@dataclass(frozen=True, slots=True)
class CsvRow:
    """A row of a table.

    Attributes:
        where: The row's file and line, for messages.
        source: The image's path or link, as in `Entry`.
        image: The image's file or link.
        label: The class, or None if the row names none.
        votes: The votes by class; empty if the row has none.
        split: The prescribed split, or None.
        group: The image's group, or None.
    """

    where: str
    source: str
    image: Path | Url
    label: str | None
    votes: Mapping[str, float]
    split: str | None = None
    group: str | None = None


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


def merge_rows(rows: Sequence[CsvRow], classes: Sequence[str], target: Target = "classes") -> ImageRows:
    """The images of a table: the labels of an image's rows are votes, or their votes are added; copies count once.

    Args:
        rows: The rows of the table.
        classes: The classes.
        target: The target of the data set: for *distributions*, images whose votes tie are kept, with the first of the
            leading classes as their label.
    """
    images = ImageRows()
    by_image: dict[str, list[CsvRow]] = defaultdict(list)
    for row in rows:
        by_image[row.source if isinstance(row.image, Url) else posixpath.normpath(row.source)].append(row)
    contradicted: list[str] = []
    for image_rows in by_image.values():
        first = image_rows[0]
        for attribute in ("split", "group"):
            values = sorted({value for row in image_rows if (value := getattr(row, attribute))})
            if len(values) > 1:
                problem = f'"{first.source}" is in several {attribute}s: {", ".join(values)}'
                images.problems.append((image_rows[1].where, problem))
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
        split, group = (next((v for row in image_rows if (v := getattr(row, a))), None) for a in ("split", "group"))
        images.entries.append(Entry(first.source, label, votes, first.image, split=split, group=group))
    if several := [image_rows for image_rows in by_image.values() if len(image_rows) > 1]:
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
