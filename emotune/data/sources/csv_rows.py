"""Rows of tables: those of one image together, and what is wrong with many of them in one line per kind."""

import posixpath
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from emotune.data.annotations import majority_class
from emotune.data.manifest import ExcludedImage, Problem
from emotune.data.sources.base import Entry, Url

__all__ = ["ImageRows", "Row", "merge_rows", "merge_vote_rows", "summarise_problems"]

VALUES = 5
"""Of the values that are wrong in one way, so many are shown."""
_Votes = Sequence[tuple[str, dict[str, float]]]  # names of images, and what annotators said of each


@dataclass(frozen=True, slots=True)
class Row:
    """What a row says of an image.

    Attributes:
        where: File and line, for messages.
        source: The path or link, as in `Entry`.
        label: The class, if the row names one.
        votes: By class; empty if the row has none.
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
    """What rows were made into; ``problems`` are pairs of where a row stands and what is wrong with it."""

    entries: list[Entry] = field(default_factory=list)
    left_out: list[ExcludedImage] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)


def summarise_problems(problems: Sequence[tuple[str, str]]) -> list[str]:
    """A line per kind of problem: where it is first, how many rows have it, and which values are wrong.

    >>> summarise_problems([("t.csv:2", '"joy" is not a class'), ("t.csv:3", '"1" is not a class')])
    ['t.csv:2: "joy" is not a class; 2 rows are like this ("joy" 1, "1" 1)']
    """
    kinds: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for where, message in problems:
        kinds[re.sub(r'"[^"]*"|\d+', "…", message.split("; did you mean")[0])].append((where, message))
    lines = []
    for same in kinds.values():
        line = f"{same[0][0]}: {same[0][1]}"
        if len(same) > 1:
            values = Counter(match[0] for _, message in same if (match := re.search(r'"[^"]*"', message)))
            shown = ", ".join(f"{value} {count}" for value, count in values.most_common(VALUES))
            more = f", and {len(values) - VALUES} others" if len(values) > VALUES else ""
            line += f"; {len(same)} rows are like this" + (f" ({shown}{more})" if len(values) > 1 else "")
        lines.append(line)
    return lines


def merge_rows(rows: Sequence[Row], classes: Sequence[str]) -> ImageRows:
    """Rows of one image are one image: their labels are votes, or their votes are added; a copied row counts once."""
    made = ImageRows()
    by_image: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_image[row.source if isinstance(row.image, Url) else posixpath.normpath(row.source)].append(row)
    contradicted: list[str] = []
    for same in by_image.values():
        first = same[0]
        for attribute in ("split", "group"):
            values = sorted({value for row in same if (value := getattr(row, attribute))})
            if len(values) > 1:
                made.problems.append(
                    (same[1].where, f'"{first.source}" is in several {attribute}s: {", ".join(values)}')
                )
        label, votes = _together(same, classes)
        if label is None:
            detail = f"no class has more votes than all others: {dict(votes)}"
            made.left_out.append(ExcludedImage(first.source, "", Problem.VOTES, detail))
            continue
        most = majority_class(votes, classes)
        if most not in (None, label):
            contradicted.append(f"{first.source} (label {label}, most votes {most})")
        split, group = (next((v for row in same if (v := getattr(row, a))), None) for a in ("split", "group"))
        made.entries.append(Entry(first.source, label, votes, first.image, split=split, group=group))
    if several := [same for same in by_image.values() if len(same) > 1]:
        what = "their votes are added" if any(row.votes for row in several[0]) else "their labels are votes"
        total = sum(map(len, several))
        made.notes.append(f"{len(several)} images are in several rows ({total} rows), such as {several[0][0].source}: "
                          f"rows of one image are one image, and {what}")  # fmt: skip
    if contradicted:
        made.notes.append(f"{len(contradicted)} images have a label that is not what most of their votes say, such as "
                          f"{contradicted[0]}: the label was taken")  # fmt: skip
    return made


def _together(rows: Sequence[Row], classes: Sequence[str]) -> tuple[str | None, dict[str, float]]:
    """The label and the votes of an image's rows."""
    labels = Counter(row.label for row in rows if row.label)
    if not any(row.votes for row in rows):
        return majority_class(labels, classes), dict(labels)
    distinct = {repr((row.label, sorted(row.votes.items()))): row for row in rows}.values()
    votes: dict[str, float] = {}
    for row in distinct:
        for name, count in (row.votes or ({row.label: 1} if row.label else {})).items():
            votes[name] = votes.get(name, 0) + count
    return (majority_class(labels, classes) if labels else majority_class(votes, classes)), votes


def merge_vote_rows(table: _Votes) -> tuple[list[tuple[str, dict[str, float]]], list[str]]:
    """The table with one row per image: a copied row counts once, other votes are added; and what is to be said."""
    rows: dict[str, list[dict[str, float]]] = {}
    for name, votes in table:
        known = rows.setdefault(name, [])
        if votes not in known:
            known.append(votes)
    merged = [(name, {label: sum(votes[label] for votes in of) for label in of[0]}) for name, of in rows.items()]
    again = len(table) - len(merged)
    return merged, [f"{again} rows repeat an image: a copied row counts once, other votes are added"] if again else []
