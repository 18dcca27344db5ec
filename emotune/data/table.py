"""Pictures that a table lists."""

import csv
import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

from emotune.data.manifest import SPLITS, LeftOut, Problem
from emotune.data.sources import NO_LICENCE, Entry, Labels, Listing, Url, unknown
from emotune.data.votes import OTHER, majority, number
from emotune.emotions import LABEL_SPACES
from emotune.errors import InputError, refuse

__all__ = ["Csv"]


@dataclass(frozen=True)
class Csv:
    """A table of pictures: ``path`` (from the table's folder) or ``url``; ``label``, or a column of votes per class,
    or both; and, where there are any, ``split`` (train, val or test; empty: by hash) and ``group``.

    Without ``label`` the class with most votes is the label; votes in a column ``other`` are for none of the classes.
    Further columns are ignored.
    """

    help: ClassVar[str] = "a table: path or url, label or a vote column per class, optional split and group"
    table: Annotated[Path, "a CSV file with a header line"]
    labels: Labels = "mikels"

    def listing(self) -> Listing:
        """The pictures, row by row.

        Raises:
            InputError: names every line that cannot be used.
        """
        try:
            with self.table.open(newline="", encoding="utf-8-sig") as file:
                reader = csv.DictReader(file)
                reader.fieldnames = columns = [column.strip() for column in reader.fieldnames or ()]
                rows = [(reader.line_num, row) for row in reader]
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"{self.table}: cannot be read as a CSV file in UTF-8 ({error})") from None
        table = _Table(self.table, columns, self._classes(columns, rows))
        entries: list[Entry] = []
        left_out: list[LeftOut] = []
        problems: list[str] = []
        for line, row in rows:
            try:
                made = table.entry(row)
            except ValueError as error:
                problems.append(f"{self.table}:{line}: {error}")
                continue
            (left_out if isinstance(made, LeftOut) else entries).append(made)
        refuse(problems + _torn_groups(self.table, entries))
        if not entries:
            raise InputError(f"{self.table}: lists no pictures")
        source = f"the table {self.table.name}"
        return Listing(self.table.stem, table.classes, entries, source, NO_LICENCE, left_out)

    def _classes(self, columns: Sequence[str], rows: Sequence[tuple[int, Mapping[str, str]]]) -> tuple[str, ...]:
        if "path" not in columns and "url" not in columns:
            found = ", ".join(columns) or "nothing"
            raise InputError(f'{self.table}:1: no column "path" or "url" (split at commas); found {found}')
        if twice := [column for column in columns if column and columns.count(column) > 1]:
            raise InputError(f'{self.table}:1: two columns are called "{twice[0]}"; rename or remove one')
        voted = [column for column in columns if column and column not in KNOWN]
        if self.labels != "any":
            classes = LABEL_SPACES[self.labels]
            close = {c: difflib.get_close_matches(c.lower(), classes, 1, 0.8) for c in voted if c not in classes}
            if misspelt := [column for column, classes_like_it in close.items() if classes_like_it]:
                raise InputError(f"{self.table}:1: the column {unknown(misspelt[0], classes)}")
            if "label" not in columns and not set(voted) & set(classes):
                raise InputError(f'{self.table}:1: no column "label" and none of votes ({", ".join(classes)})')
            return classes
        if "label" in columns:
            found = sorted({(row["label"] or "").strip() for _, row in rows} - {""})
            if len(found) < 2:
                raise InputError(f"{self.table}: {len(found)} labels; a classifier needs two or more")
            return tuple(found)
        if len(voted) < 2:
            raise InputError(f'{self.table}:1: no column "label", and fewer than two columns of votes')
        return tuple(voted)


def _torn_groups(table: Path, entries: Sequence[Entry]) -> list[str]:
    """Groups that the table itself puts on both sides of a split."""
    splits: dict[str, set[str]] = {}
    for entry in entries:
        if entry.group and entry.split:
            splits.setdefault(entry.group, set()).add(entry.split)
    return [
        f'{table}: the group "{group}" stands in the splits {" and ".join(sorted(found))}; put it into one'
        for group, found in splits.items()
        if len(found) > 1
    ]


KNOWN = ("path", "url", "label", "split", "group", OTHER)


@dataclass(frozen=True)
class _Table:
    path: Path
    columns: Sequence[str]
    classes: tuple[str, ...]

    def entry(self, row: dict[str | None, Any]) -> Entry | LeftOut:
        """The picture of a row.

        Raises:
            ValueError: says what is wrong with the row.
        """
        if any(row.pop(None, ())):
            raise ValueError(f"more cells than the {len(self.columns)} columns; quote a cell that has a comma")
        if None in row.values():
            raise ValueError(f"fewer cells than the {len(self.columns)} columns")
        row = {column: text.strip() for column, text in row.items()}
        source = row.get("path") or row.get("url")
        if not source:
            raise ValueError("neither path nor url")
        votes = self._votes(row)
        label = row.get("label") or None
        if label and label not in self.classes:
            raise ValueError(unknown(label, self.classes))
        split = row.get("split") or None
        if split and split not in SPLITS:
            raise ValueError(f'split "{split}" is none of {", ".join(SPLITS)}')
        if not label and "label" in self.columns and not votes:
            raise ValueError("no label")
        label = label or majority(votes, self.classes)
        if label is None:
            return LeftOut(source, "", Problem.VOTES, f"no class has more votes than all others: {votes}")
        if not row.get("path") and not re.match(r"https?://", source, re.IGNORECASE):
            raise ValueError(f'"{source}" is not a link (http:// or https://)')
        picture = self.path.parent / row["path"] if row.get("path") else Url(source)
        return Entry(source, label, votes or {label: 1}, picture, split=split, group=row.get("group") or None)

    def _votes(self, row: Mapping[str, str]) -> dict[str, float]:
        """The votes of a row; none if all are zero."""
        votes: dict[str, float] = {}
        for column in self.columns:
            if (column in self.classes or column == OTHER) and row[column]:
                try:
                    votes[column] = number(row[column])
                except ValueError as error:
                    raise ValueError(f'column "{column}": {error}') from None
        return votes if any(votes.values()) else {}
