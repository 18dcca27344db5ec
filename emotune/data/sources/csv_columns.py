"""What the columns of a table are: the path of an image, its label, votes for a class, or something else."""

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

__all__ = ["Columns", "read_columns"]

ROLES = ("path", "url", "label", "split", "group", OTHER)
SYNONYMS: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(("file_name", "filename", "filepath", "file_path", "file", "image", "image_path", "img_path"), "path")
    | dict.fromkeys(("image_url", "link"), "url")
    | dict.fromkeys(("emotion", "class"), "label")
    | dict.fromkeys(("usage", "partition", "subset"), "split")
)
"""What other tables call these columns; ``file_name`` is that of Hugging Face's metadata.csv, ``Usage`` FER2013's."""

NO_VOTES = re.compile(
    "(^|[^a-z])(age|area|arousal|aspect|avg|count|dominance|id|index|latitude|likes|longitude|max|mean|median|min|number|"
    "rank|ratings?|score|sd|size|std|valence|var|variance|views|width|height|year|[whxy])($|[^a-z])", re.IGNORECASE
)  # fmt: skip
"""Words in names of columns of numbers that are no votes."""

_Rows = Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class Columns:
    """Names of columns: ``of`` a role (path, label, …), of ``votes`` for a class, and those that are ``ignored``."""

    of: Mapping[str, str]
    votes: Mapping[str, str]
    classes: tuple[str, ...]
    ignored: tuple[str, ...]
    notes: tuple[str, ...]


def read_columns(where: str, names: Sequence[str], rows: _Rows, labels: str, votes: str) -> Columns:
    """What the columns are.

    Args:
        where: The table's header, for messages.
        names: Of the columns.
        rows: Cells by column.
        labels: A label space's name, or ``any``.
        votes: Names of the columns of votes that the user gave, with commas between them; empty: none.

    Raises:
        InputError: one is missing, there are two, or it cannot be told which are votes.
    """
    if twice := next((name for name in names if name and names.count(name) > 1), None):
        raise InputError(f'{where}: two columns are called "{twice}"; rename or remove one')
    of, notes = _roles(where, names, rows)
    rest = [name for name in names if name and name not in of.values()]
    given = [name.strip() for name in votes.split(",") if name.strip()]
    if absent := [name for name in given if name not in rest]:
        raise InputError(
            f'{where}: --votes names "{absent[0]}", which is no column of votes; columns: {", ".join(rest)}'
        )
    if labels != "any":
        classes = LABEL_SPACES[labels]
        found = _of_label_space(where, given or rest, classes, strict=bool(given))
        if "label" not in of and not found:
            raise InputError(f'{where}: no column "label" and none of votes ({", ".join(classes)})')
    elif "label" in of:
        classes = _labels(where, [row[of["label"]] or "" for row in rows])
        found = {match_class(name, classes) or name: name for name in given or rest
                 if given or name.lower() in {label.lower() for label in classes}}  # fmt: skip
    else:
        found = {name: name for name in given or _told_to_be_votes(where, rest, rows, of)}
        classes = tuple(found)
    ignored = tuple(name for name in rest if name not in found.values())
    if ignored:
        notes.append(f"columns that are ignored: {', '.join(ignored)}")
    if OTHER in of:
        found = {**found, OTHER: of[OTHER]}
    return Columns(of, found, classes, ignored, tuple(notes))


def _roles(where: str, names: Sequence[str], rows: _Rows) -> tuple[dict[str, str], list[str]]:
    """The column of each role; and which have another name."""
    of: dict[str, str] = {}
    for name in names:
        if (role := name.lower()) in ROLES:
            if role in of:
                raise InputError(f'{where}: two columns are called "{role}"; rename or remove one')
            of[role] = name
    notes = []
    for role in ROLES:
        others = [name for name in names if SYNONYMS.get(name.lower()) == role and _may_be(role, name, rows)]
        if role in of or (role in ("path", "url") and {"path", "url"} & set(of)) or len(others) != 1:
            continue
        of[role] = others[0]
        notes.append(f'the column "{others[0]}" was taken for "{role}"')
    if "path" not in of and "url" not in of:
        found = ", ".join(names) or "nothing"
        hint = "; the first line must name the columns, such as path,label" if re.search(r"\.\w{3,4}\b", found) else ""
        raise InputError(f'{where}: no column "path" or "url" (split at commas); found {found}{hint}')
    return of, notes


def _may_be(role: str, name: str, rows: _Rows) -> bool:
    return role != "split" or all(match_split(row[name]) for row in rows if row.get(name))


def _of_label_space(where: str, names: Sequence[str], classes: Sequence[str], *, strict: bool) -> dict[str, str]:
    """The columns of votes by class; misspelt ones are not passed over."""
    found: dict[str, str] = {}
    for name in names:
        label = match_class(name, classes)
        if label is None and (strict or difflib.get_close_matches(name.lower(), classes, 1, 0.8)):
            raise InputError(f"{where}: the column {unknown_class(name, classes)}")
        if label in found:
            raise InputError(f'{where}: the columns "{found[label]}" and "{name}" are both votes for {label}')
        if label:
            found[label] = name
    return found


def _labels(where: str, cells: Sequence[str]) -> tuple[str, ...]:
    """The classes of a table with any labels."""
    found = sorted({cell.strip() for cell in cells} - {""})
    if len(found) < 2:
        raise InputError(f"{where.removesuffix(':1')}: {len(found)} labels; a classifier needs two or more")
    by_lower: dict[str, str] = {}
    for label in found:
        if (other := by_lower.setdefault(label.lower(), label)) != label:
            raise InputError(f'{where}: the labels "{other}" and "{label}" differ in capitals alone; write them alike')
    return tuple(found)


def _told_to_be_votes(where: str, names: Sequence[str], rows: _Rows, of: Mapping[str, str]) -> list[str]:
    """The columns that are votes beyond doubt: shares that sum to 1 or 100, or counts with one total in all rows."""
    numeric = [name for name in names if _mostly_numbers(name, rows)]
    if len(numeric) < 2:
        raise InputError(f'{where}: no column "label", and fewer than two columns of votes')
    doubtful = [name for name in numeric if NO_VOTES.search(name)]
    if doubtful or not _sum_to_one_total(rows, [*numeric, *([of[OTHER]] if OTHER in of else [])]):
        why = f'"{doubtful[0]}" does not seem to be one' if doubtful else "they are neither shares nor have one total"
        raise InputError(f"{where}: it cannot be told which columns are votes ({why}); name them: "
                         f"--votes {','.join(name for name in numeric if name not in doubtful) or 'A,B'}")  # fmt: skip
    return numeric


def _mostly_numbers(name: str, rows: _Rows) -> bool:
    """Whether most cells are numbers; one that is not is then a mistake, to be told."""
    cells = [row[name].strip() for row in rows if row.get(name)]
    return bool(cells) and sum(_number(cell) is not None for cell in cells) > len(cells) / 2


def _sum_to_one_total(rows: _Rows, names: Sequence[str]) -> bool:
    totals = []
    for row in rows:
        values = [_number((row.get(name) or "0").strip()) for name in names]
        if None not in values and any(values):
            totals.append((sum(values), all(isinstance(value, int) for value in values)))
    shares = all(abs(total - 1) <= 0.02 or abs(total - 100) <= 1 for total, _ in totals)
    counts = all(whole for _, whole in totals) and len({total for total, _ in totals}) == 1
    return shares or counts


def _number(cell: str) -> float | None:
    try:
        return parse_votes(cell)
    except ValueError:
        return None
