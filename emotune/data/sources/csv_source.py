"""Images that a table lists."""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

from emotune.core.errors import InputError, raise_if_any
from emotune.data.annotations import OTHER, parse_votes
from emotune.data.file_type import ARCHIVE_KINDS, describe_kind, file_kind_of
from emotune.data.manifest import SPLITS
from emotune.data.sources.base import NO_LICENCE, Entry, Labels, Listing, Url
from emotune.data.sources.class_names import match_class, unknown_class
from emotune.data.sources.csv_columns import Columns, read_columns
from emotune.data.sources.csv_rows import Row, merge_rows, summarise_problems
from emotune.data.split import match_split

__all__ = ["Csv"]


@dataclass(frozen=True)
class Csv:
    """A table of images: ``path`` (from the table's folder, or ``images``) or ``url``; ``label``, or a column of
    votes per class, or both; and, if there are any, ``split`` (train, val or test; empty: by hash) and ``group``.

    Without ``label`` the class with most votes is the label; votes in a column ``other`` are for none of the classes.
    Rows of one image are one: their labels are votes, or their votes are added. Further columns are ignored, which is
    said.
    """

    help: ClassVar[str] = "a table: path or url, label or a vote column per class, optional split and group"
    table: Annotated[Path, "a CSV file with a header line"]
    labels: Labels = "mikels"
    votes: Annotated[str, "which columns are votes, with commas between them; needed where it cannot be told"] = ""
    images: Annotated[str, "the folder to which paths are relative (default: the table's)"] = ""

    def listing(self) -> Listing:
        """The images, row by row.

        Raises:
            InputError: names every kind of line that cannot be used.
        """
        names, lines = self._read()
        cells = [row for _, row in lines]
        columns = read_columns(f"{self.table}:1", names, cells, self.labels, self.votes)
        base = Path(self.images).expanduser() if self.images else self.table.parent
        if not base.is_dir():
            raise InputError(f"{base}: no such folder; --images names the one to which the table's paths are relative")
        reader = _Reader(columns, base)
        rows: list[Row] = []
        problems: list[tuple[str, str]] = []
        for line, row in lines:
            try:
                rows.append(reader.row(f"{self.table}:{line}", row, len(names)))
            except ValueError as error:
                problems.append((f"{self.table}:{line}", str(error)))
        images = merge_rows(rows, columns.classes)
        raise_if_any(summarise_problems(problems + images.problems) + _torn_groups(self.table, images.entries))
        if not rows:
            raise InputError(f"{self.table}: lists no images")
        notes = [f"{self.table.name}: {note}" for note in (*columns.notes, *images.notes, *reader.notes(rows))]
        return Listing(self.table.stem, columns.classes, images.entries, f"the table {self.table.name}", NO_LICENCE,
                       images.left_out, notes=notes, base=base)  # fmt: skip

    def _read(self) -> tuple[list[str], list[tuple[int, dict[str | None, Any]]]]:
        """The columns' names, and the rows with their lines."""
        try:
            kind = file_kind_of(self.table)
            if kind in {*ARCHIVE_KINDS, "pdf", "database", "parquet"}:
                sheet = "; of a spreadsheet, save the sheet as CSV" if kind in ("zip", "database") else ""
                raise InputError(f"{self.table}: is no CSV file, but {describe_kind(kind)}{sheet}")
            with self.table.open(newline="", encoding="utf-8-sig") as file:
                reader = csv.DictReader(file)
                reader.fieldnames = names = [column.strip() for column in reader.fieldnames or ()]
                return names, [(reader.line_num, row) for row in reader]
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"{self.table}: cannot be read as a CSV file in UTF-8 ({error})") from None


def _torn_groups(table: Path, entries: Sequence[Entry]) -> list[str]:
    """Groups that the table itself puts on both sides of a split."""
    splits: dict[str, set[str]] = {}
    for entry in entries:
        if entry.group and entry.split:
            splits.setdefault(entry.group, set()).add(entry.split)
    torn = {group: found for group, found in splits.items() if len(found) > 1}
    if not torn:
        return []
    (group, found), *others = torn.items()
    more = f"; {len(torn)} groups are like this" if others else ""
    return [f'{table}: the group "{group}" stands in the splits {" and ".join(sorted(found))}; put it into one{more}']


class _Reader:
    """Makes rows of cells, and remembers what is to be said of them."""

    def __init__(self, columns: Columns, base: Path) -> None:
        self._columns, self._base = columns, base
        self._slashed: list[str] = []

    def row(self, where: str, cells: dict[str | None, Any], width: int) -> Row:
        """What the cells of a row say.

        Raises:
            ValueError: says what is wrong with the row.
        """
        if any(cells.pop(None, ())):
            raise ValueError(f"more cells than the {width} columns; quote a cell that has a comma")
        if None in cells.values():
            raise ValueError(f"fewer cells than the {width} columns")
        known = {role: cells[name].strip() for role, name in self._columns.of.items()}
        source = known.get("path") or known.get("url")
        if not source:
            raise ValueError("neither path nor url")
        votes = self._votes(cells)
        label = self._label(known.get("label", ""))
        split = match_split(known.get("split", ""))
        if known.get("split") and not split:
            raise ValueError(f'split "{known["split"]}" is none of {", ".join(SPLITS)}')
        if not label and "label" in self._columns.of and not votes:
            raise ValueError("no label")
        if not known.get("path") and not re.match(r"https?://", source, re.IGNORECASE):
            raise ValueError(f'"{source}" is not a link (http:// or https://)')
        image = Url(source)
        if known.get("path"):
            source, image = self._file(source)
        return Row(where, source, image, label, votes, split, known.get("group") or None)

    def notes(self, rows: Sequence[Row]) -> list[str]:
        """What the user should know of all rows."""
        notes = []
        if self._slashed:
            notes.append(f"{len(self._slashed)} paths have back slashes, such as {self._slashed[0]}: read as slashes")
        votes = {name for row in rows for name in row.votes} - {OTHER}
        if votes and (without := [label for label in self._columns.classes if label not in self._columns.votes]):
            notes.append(f"no column has votes for {', '.join(without)}: these classes were taken to have none")
        if odd := [row for row in rows if not _counts_or_shares(row.votes)]:
            shown = ", ".join(f"{name} {value:g}" for name, value in odd[0].votes.items())
            notes.append(f"the votes of {len(odd)} rows are neither counts nor shares that sum to 1 or 100, such as "
                         f"those of {odd[0].source} ({shown}): taken as weights; are they ratings?")  # fmt: skip
        return notes

    def _file(self, path: str) -> tuple[str, Path]:
        """The path within the set, and the file; a path from Windows is read with slashes if that is a file."""
        if "\\" in path and not _is_file(self._base / path) and _is_file(self._base / path.replace("\\", "/")):
            self._slashed.append(path)
            path = path.replace("\\", "/")
        return path, self._base / path

    def _label(self, cell: str) -> str | None:
        if not cell:
            return None
        if label := match_class(cell, self._columns.classes):
            return label
        index = "; write the class's name, not its number" if cell.isdigit() else ""
        raise ValueError(f"{unknown_class(cell, self._columns.classes)}{index}")

    def _votes(self, cells: Mapping[str | None, str]) -> dict[str, float]:
        """The votes of a row; none if all are zero."""
        votes: dict[str, float] = {}
        for label, column in self._columns.votes.items():
            if text := cells[column].strip():
                try:
                    votes[label] = parse_votes(text)
                except ValueError as error:
                    raise ValueError(f'column "{column}": {error}') from None
        return votes if any(votes.values()) else {}


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # ValueError: no possible path
        return False


def _counts_or_shares(votes: Mapping[str, float]) -> bool:
    total = sum(votes.values())
    return all(isinstance(n, int) for n in votes.values()) or abs(total - 1) <= 0.02 or abs(total - 100) <= 1
