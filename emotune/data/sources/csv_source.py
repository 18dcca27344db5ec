"""CSV tables as a source: images by path or link, with labels or votes."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from emotune.core.errors import InputError, raise_if_any
from emotune.data.annotations import OTHER, parse_votes
from emotune.data.file_type import ARCHIVE_KINDS, describe_kind, file_kind_of
from emotune.data.sources.base import NO_LICENCE, Labels, Listing
from emotune.data.sources.class_names import match_class, unknown_class
from emotune.data.sources.csv_cells import CellReader
from emotune.data.sources.csv_columns import Columns, read_columns, read_roles
from emotune.data.sources.csv_ratings import rated_rows, rating_columns
from emotune.data.sources.csv_rows import CsvRow, find_split_groups, merge_rows, summarise_problems
from emotune.data.sources.rated_images import rated_listing

__all__ = ["Csv"]


@dataclass(frozen=True)
class Csv:
    """A CSV table of images, one row each.

    The columns are ``path`` (relative to the folder of the table, or to ``images``) or ``url``; ``label``, a column of
    votes per class, or both; and optionally ``split`` (train, val or test; empty for a split by hash) and ``group``.

    With ``valence``, ``arousal`` or ``dominance``, the table has ratings on a ``scale`` in the columns that these name,
    and in others their standard deviations. Classes do not matter then. Several rows of an image are its raters; a row
    that repeats another counts once, so a column must tell raters apart who gave the same ratings.

    Without ``label`` the class with most votes is the label. Votes in a column ``other`` are for none of the classes.
    Several rows of an image are merged: their labels are votes, or their votes are added. Other columns are ignored,
    and a note names them.
    """

    BASE: ClassVar[str] = "--images"
    help: ClassVar[str] = "a table: path or url, label or a vote column per class, optional split and group"
    table: Annotated[Path, "a CSV file with a header line"]
    labels: Labels = "mikels"
    votes: Annotated[str, "columns of votes, separated by commas (default: they are recognised)"] = ""
    images: Annotated[str, "folder to which paths are relative (default: that of the table)"] = ""
    target: Annotated[Literal["classes", "distributions"], "what is predicted; with distributions, ties stay"] = (
        "classes"
    )
    valence: Annotated[str, "column of ratings of valence; then ratings are predicted, and classes do not matter"] = ""
    arousal: Annotated[str, "column of ratings of arousal"] = ""
    dominance: Annotated[str, "column of ratings of dominance"] = ""
    valence_sd: Annotated[str, "column of the standard deviations of the ratings of valence"] = ""
    arousal_sd: Annotated[str, "column of the standard deviations of the ratings of arousal"] = ""
    dominance_sd: Annotated[str, "column of the standard deviations of the ratings of dominance"] = ""
    scale: Annotated[str, "scale of the ratings, such as 1..9, or one for each dimension: 1..7,0..100"] = ""

    def listing(self) -> Listing:
        """The images, row by row.

        Raises:
            InputError: rows cannot be used; the message has one line per kind of problem.
        """
        names, lines = self._read()
        if any((self.valence, self.arousal, self.dominance, self.valence_sd, self.arousal_sd, self.dominance_sd)):
            return self._ratings(names, lines)
        if self.scale:
            raise InputError("--scale: is that of ratings; name their columns with --valence, --arousal, --dominance")
        cells = [row for _, row in lines]
        columns = read_columns(f"{self.table}:1", names, cells, self.labels, self.votes)
        base = self._base()
        reader = _RowReader(columns, base, len(names))
        rows: list[CsvRow] = []
        problems: list[tuple[str, str]] = []
        for line, row in lines:
            try:
                rows.append(reader.row(f"{self.table}:{line}", row))
            except ValueError as error:
                problems.append((f"{self.table}:{line}", str(error)))
        images = merge_rows(rows, columns.classes, self.target)
        raise_if_any(summarise_problems(problems + images.problems) + find_split_groups(self.table, images.entries))
        if not rows:
            raise InputError(f"{self.table}: lists no images")
        notes = [f"{self.table.name}: {note}" for note in (*columns.notes, *images.notes, *reader.notes(rows))]
        if self.target == "distributions" and any(entry.votes.get(OTHER) for entry in images.entries):
            notes.append(f"{self.table.name}: votes for none of the classes are left out of the distributions")
        return Listing(self.table.stem, columns.classes, images.entries, f"the table {self.table.name}", NO_LICENCE,
                       images.left_out, notes=notes, base=base, target=self.target)  # fmt: skip

    def _ratings(self, names: list[str], lines: list[tuple[int, dict[str | None, Any]]]) -> Listing:
        """The listing of a table of ratings."""
        if self.target != "classes" or self.votes:
            other = "--votes" if self.votes else f"--target {self.target}"
            raise InputError(f"{self.table}: with columns of ratings, those are predicted; leave out {other}")
        roles, notes = read_roles(f"{self.table}:1", names, [row for _, row in lines])
        means = {"valence": self.valence, "arousal": self.arousal, "dominance": self.dominance}
        sds = {"valence": self.valence_sd, "arousal": self.arousal_sd, "dominance": self.dominance_sd}
        columns = rating_columns(f"{self.table}:1", names, means, sds, self.scale)
        base = self._base()
        images, merged = rated_rows(self.table, lines, CellReader(roles, base, len(names)), columns)
        notes = [f"{self.table.name}: {note}" for note in (*notes, *merged)]
        return rated_listing(self.table.stem, columns.dimensions, images, f"the table {self.table.name}", NO_LICENCE,
                             notes=notes, base=base)  # fmt: skip

    def _base(self) -> Path:
        """The folder to which paths are relative."""
        base = Path(self.images).expanduser() if self.images else self.table.parent
        if not base.is_dir():
            raise InputError(
                f"{base}: no such folder; name the folder to which the table's paths are relative with {self.BASE}"
            )
        return base

    def _read(self) -> tuple[list[str], list[tuple[int, dict[str | None, Any]]]]:
        """The names of the columns, and the rows with their line numbers."""
        try:
            kind = file_kind_of(self.table)
            if kind in {*ARCHIVE_KINDS, "pdf", "database", "parquet"}:
                sheet = "; if it is a spreadsheet, save the sheet as CSV" if kind in ("zip", "database") else ""
                raise InputError(f"{self.table}: not a CSV file, but {describe_kind(kind)}{sheet}")
            with self.table.open(newline="", encoding="utf-8-sig") as file:
                reader = csv.DictReader(file)
                reader.fieldnames = names = [column.strip() for column in reader.fieldnames or ()]
                return names, [(reader.line_num, row) for row in reader]
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"{self.table}: cannot be read as a CSV file in UTF-8 ({error})") from None


class _RowReader:
    """Reads the cells of rows, and collects notes on how they were read."""

    def __init__(self, columns: Columns, base: Path, width: int) -> None:
        self._columns, self._images = columns, CellReader(columns.roles, base, width)

    def row(self, where: str, cells: dict[str | None, Any]) -> CsvRow:
        """The row that its cells describe.

        Args:
            where: The row's file and line, for messages.
            cells: The cells by column; surplus cells are under None, and missing ones are None.

        Raises:
            ValueError: the row cannot be used; the message gives the reason.
        """
        image = self._images.row(where, cells)
        votes = self._votes(cells)
        role = self._columns.roles.get("label")
        label = self._label(cells[role].strip() if role else "")
        if not label and role and not votes:
            raise ValueError("no label")
        return CsvRow(where, image.source, image.image, image.split, image.group, label, votes)

    def notes(self, rows: Sequence[CsvRow]) -> list[str]:
        """Notes for the user on all rows."""
        notes = self._images.notes()
        votes = {name for row in rows for name in row.votes} - {OTHER}
        if votes and (without := [label for label in self._columns.classes if label not in self._columns.votes]):
            notes.append(f"no column has votes for {', '.join(without)}: these classes have no votes")
        if odd := [row for row in rows if not _counts_or_shares(row.votes)]:
            shown = ", ".join(f"{name} {value:g}" for name, value in odd[0].votes.items())
            notes.append(f"the votes of {len(odd)} rows are neither counts nor shares that sum to 1 or 100, such as "
                         f"those of {odd[0].source} ({shown}): used as weights; are they ratings?")  # fmt: skip
        return notes

    def _label(self, cell: str) -> str | None:
        """The class that a cell means; None if the cell is empty."""
        if not cell:
            return None
        if label := match_class(cell, self._columns.classes):
            return label
        index = "; write the class's name, not its number" if cell.isdigit() else ""
        raise ValueError(f"{unknown_class(cell, self._columns.classes)}{index}")

    def _votes(self, cells: Mapping[str | None, Any]) -> dict[str, float]:
        """The votes of a row; empty if all are zero."""
        votes: dict[str, float] = {}
        for label, column in self._columns.votes.items():
            if text := cells[column].strip():
                try:
                    votes[label] = parse_votes(text)
                except ValueError as error:
                    raise ValueError(f'column "{column}": {error}') from None
        return votes if any(votes.values()) else {}


def _counts_or_shares(votes: Mapping[str, float]) -> bool:
    """Whether the votes are whole numbers, or sum to 1 or 100."""
    total = sum(votes.values())
    return all(isinstance(n, int) for n in votes.values()) or abs(total - 1) <= 0.02 or abs(total - 100) <= 1
