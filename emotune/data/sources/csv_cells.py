"""Read what the rows of every CSV table have: an image by path or link, and optionally its split and its group."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotune.data.manifest import SPLITS
from emotune.data.sources.base import Url
from emotune.data.split import match_split

__all__ = ["CellReader", "TableRow"]


@dataclass(frozen=True, slots=True)
class TableRow:
    """The image of a row of a table.

    Attributes:
        where: The row's file and line, for messages.
        source: The image's path or link, as in `Entry`.
        image: The image's file or link.
        split: The prescribed split, or None.
        group: The image's group, or None.
    """

    where: str
    source: str
    image: Path | Url
    split: str | None
    group: str | None


class CellReader:
    """Reads the images of rows, and collects notes on how their paths were read.

    Args:
        roles: The columns of path or url, split and group.
        base: The folder to which paths are relative.
        width: The number of columns.
    """

    columns: frozenset[str]
    """The columns about the image."""

    def __init__(self, roles: Mapping[str, str], base: Path, width: int) -> None:
        self.columns = frozenset(roles[role] for role in ("path", "url", "split", "group") if role in roles)
        self._roles, self._base, self._width = roles, base, width
        self._backslashed: list[str] = []

    def row(self, where: str, cells: dict[str | None, Any]) -> TableRow:
        """The image that the cells describe.

        Args:
            where: The row's file and line.
            cells: The cells by column; surplus cells are under None, which is removed, and missing ones are None.

        Raises:
            ValueError: the row cannot be used; the message gives the reason.
        """
        if any(cells.pop(None, ())):
            raise ValueError(f"more cells than the {self._width} columns; put cells with commas in quotes")
        if None in cells.values():
            raise ValueError(f"fewer cells than the {self._width} columns")
        values = {role: cells[name].strip() for role, name in self._roles.items()}
        source = values.get("path") or values.get("url")
        if not source:
            raise ValueError("neither path nor url")
        split = match_split(values.get("split", ""))
        if values.get("split") and not split:
            raise ValueError(f'split "{values["split"]}" is not {", ".join(SPLITS[:-1])} or {SPLITS[-1]}')
        if not values.get("path") and not re.match(r"https?://", source, re.IGNORECASE):
            raise ValueError(f'"{source}" is not a link (http:// or https://)')
        image: Path | Url = Url(source)
        if values.get("path"):
            source, image = self._file(source)
        return TableRow(where, source, image, split, values.get("group") or None)

    def notes(self) -> list[str]:
        """Notes for the user on all rows."""
        if not self._backslashed:
            return []
        return [f"{len(self._backslashed)} paths have backslashes, such as {self._backslashed[0]}: read as slashes"]

    def _file(self, path: str) -> tuple[str, Path]:
        """The path within the data set, and the file; backslashes are read as slashes if that makes it a file."""
        if "\\" in path and not _is_file(self._base / path) and _is_file(self._base / path.replace("\\", "/")):
            self._backslashed.append(path)
            path = path.replace("\\", "/")
        return path, self._base / path


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # ValueError: not a possible path
        return False
