"""Recognise the columns of a CSV table: path, label, split, group, votes for a class, or none of these."""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from emotune.config.labels import LABEL_SPACES
from emotune.core.errors import InputError
from emotune.data.annotations import OTHER, parse_votes
from emotune.data.sources.class_names import match_class, unknown_class
from emotune.data.split import match_split

__all__ = ["Columns", "read_columns", "read_roles"]

ROLES = ("path", "url", "label", "split", "group", OTHER)
SYNONYMS: Mapping[str, str] = MappingProxyType({
    "file_name": "path", "filename": "path", "filepath": "path", "file_path": "path", "file": "path", "image": "path",
    "image_path": "path", "img_path": "path",
    "image_url": "url", "link": "url",
    "emotion": "label", "class": "label",
    "usage": "split", "partition": "split", "subset": "split",
})  # fmt: skip
"""Roles by other names of columns: ``file_name`` is from Hugging Face's metadata.csv, ``Usage`` from FER2013."""

NO_VOTES = re.compile(
    "(^|[^a-z])(age|area|arousal|aspect|avg|count|dominance|id|index|latitude|likes|longitude|max|mean|median|min|number|"
    "rank|ratings?|score|sd|size|std|valence|var|variance|views|width|height|year|[whxy])($|[^a-z])", re.IGNORECASE
)  # fmt: skip
"""Words in the names of numeric columns that are not votes."""

_Rows = Sequence[Mapping[str | None, str]]  # cells by column; surplus cells of a row are under None


@dataclass(frozen=True)
class Columns:
    """The columns of a table.

    Attributes:
        roles: The column of each role: path, url, label, split, group, other.
        votes: The column of votes for each class that has one.
        classes: The classes.
        notes: Notes for the user on how the columns were read.
    """

    roles: Mapping[str, str]
    votes: Mapping[str, str]
    classes: tuple[str, ...]
    notes: tuple[str, ...]


def read_columns(where: str, names: Sequence[str], rows: _Rows, labels: str, votes: str) -> Columns:
    """The roles of a table's columns.

    Args:
        where: The place of the table's header, for messages.
        names: The names of the columns.
        rows: The rows of the table, each with its cells by column.
        labels: The name of a label space, or ``any``.
        votes: The columns of votes that the user names, separated by commas; empty to recognise them.

    Raises:
        InputError: a column is missing or ambiguous, or the columns of votes cannot be recognised.
    """
    if twice := next((name for name in names if name and names.count(name) > 1), None):
        raise InputError(f'{where}: two columns are called "{twice}"; rename or remove one')
    roles, notes = read_roles(where, names, rows)
    rest = [name for name in names if name and name not in roles.values()]
    given = [name.strip() for name in votes.split(",") if name.strip()]
    if absent := [name for name in given if name not in rest]:
        raise InputError(
            f'{where}: --votes names "{absent[0]}", which is not a column of votes; columns: {", ".join(rest)}'
        )
    if labels != "any":
        classes = LABEL_SPACES[labels]
        vote_columns = _match_label_space(where, given or rest, classes, strict=bool(given))
        if "label" not in roles and not vote_columns:
            raise InputError(f'{where}: no column "label" and no columns of votes ({", ".join(classes)})')
    elif "label" in roles:
        classes = _distinct_labels(where, [row[roles["label"]] or "" for row in rows])
        vote_columns = {match_class(name, classes) or name: name for name in given or rest
                        if given or name.lower() in {label.lower() for label in classes}}  # fmt: skip
    else:
        vote_columns = {name: name for name in given or _recognise_votes(where, rest, rows, roles.get(OTHER))}
        classes = tuple(vote_columns)
    ignored = [name for name in rest if name not in vote_columns.values()]
    if ignored:
        notes.append(f"ignored columns: {', '.join(ignored)}")
    if OTHER in roles:
        vote_columns = {**vote_columns, OTHER: roles[OTHER]}
    return Columns(roles, vote_columns, classes, tuple(notes))


def read_roles(where: str, names: Sequence[str], rows: _Rows) -> tuple[dict[str, str], list[str]]:
    """The column of each role, and notes on columns that were recognised by another name."""
    roles: dict[str, str] = {}
    for name in names:
        if (role := name.lower()) in ROLES:
            if role in roles:
                raise InputError(f'{where}: two columns are called "{role}"; rename or remove one')
            roles[role] = name
    notes = []
    for role in ROLES:
        others = [name for name in names if SYNONYMS.get(name.lower()) == role and _may_be(role, name, rows)]
        if role in roles or (role in ("path", "url") and {"path", "url"} & set(roles)) or len(others) != 1:
            continue
        roles[role] = others[0]
        notes.append(f'the column "{others[0]}" was read as "{role}"')
    if "path" not in roles and "url" not in roles:
        header = ", ".join(names) or "nothing"
        hint = "; the first line must name the columns, such as path,label" if re.search(r"\.\w{3,4}\b", header) else ""
        raise InputError(f'{where}: no column "path" or "url" (columns are separated by commas); found {header}{hint}')
    return roles, notes


def _may_be(role: str, name: str, rows: _Rows) -> bool:
    """Whether the column's cells suit the role; only splits are checked."""
    return role != "split" or all(match_split(row[name]) for row in rows if row.get(name))


def _match_label_space(where: str, names: Sequence[str], classes: Sequence[str], *, strict: bool) -> dict[str, str]:
    """The columns of votes by class; a misspelt name is an error, since its votes would be lost."""
    columns: dict[str, str] = {}
    for name in names:
        label = match_class(name, classes)
        if label is None and (strict or difflib.get_close_matches(name.lower(), classes, 1, 0.8)):
            raise InputError(f"{where}: the column {unknown_class(name, classes)}")
        if label in columns:
            raise InputError(f'{where}: the columns "{columns[label]}" and "{name}" are both votes for {label}')
        if label:
            columns[label] = name
    return columns


def _distinct_labels(where: str, cells: Sequence[str]) -> tuple[str, ...]:
    """The classes of a table whose labels may be any words."""
    labels = sorted({cell.strip() for cell in cells} - {""})
    if len(labels) < 2:
        raise InputError(f"{where.removesuffix(':1')}: {len(labels)} labels; a classifier needs two or more")
    by_lower: dict[str, str] = {}
    for label in labels:
        if (other := by_lower.setdefault(label.lower(), label)) != label:
            raise InputError(f'{where}: the labels "{other}" and "{label}" differ in capitals only; write them alike')
    return tuple(labels)


def _recognise_votes(where: str, names: Sequence[str], rows: _Rows, other: str | None) -> list[str]:
    """The columns that are certainly votes: shares that sum to 1 or 100, or counts with the same total in all rows.

    Args:
        where: The place of the table's header, for messages.
        names: The columns to choose from.
        rows: The rows of the table.
        other: The column of votes for none of the classes, or None.
    """
    numeric = [name for name in names if _mostly_numbers(name, rows)]
    if len(numeric) < 2:
        raise InputError(f'{where}: no column "label", and fewer than two columns of votes')
    doubtful = [name for name in numeric if NO_VOTES.search(name)]
    if doubtful or not _have_one_total(rows, [*numeric, *([other] if other else [])]):
        why = f'"{doubtful[0]}" does not seem to be one' if doubtful else "they are neither shares nor have one total"
        raise InputError(f"{where}: cannot tell which columns are votes ({why}); name them: "
                         f"--votes {','.join(name for name in numeric if name not in doubtful) or 'A,B'}")  # fmt: skip
    return numeric


def _mostly_numbers(name: str, rows: _Rows) -> bool:
    """Whether most cells are numbers; a cell that is not is then reported as a mistake."""
    cells = [row[name].strip() for row in rows if row.get(name)]
    return bool(cells) and sum(_votes_or_none(cell) is not None for cell in cells) > len(cells) / 2


def _have_one_total(rows: _Rows, names: Sequence[str]) -> bool:
    """Whether the votes of every row are shares that sum to 1 or 100, or counts that have the same sum in all rows."""
    totals = []
    for row in rows:
        cells = [_votes_or_none((row.get(name) or "0").strip()) for name in names]
        values = [value for value in cells if value is not None]
        if len(values) == len(cells) and any(values):
            totals.append((sum(values), all(isinstance(value, int) for value in values)))
    shares = all(abs(total - 1) <= 0.02 or abs(total - 100) <= 1 for total, _ in totals)
    counts = all(whole for _, whole in totals) and len({total for total, _ in totals}) == 1
    return shares or counts


def _votes_or_none(cell: str) -> float | None:
    try:
        return parse_votes(cell)
    except ValueError:
        return None
