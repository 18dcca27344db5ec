"""Folders that are made on the way to a check or an attempt, and are not to stay if nothing comes of it."""

import contextlib
import tempfile
from collections.abc import Sequence
from pathlib import Path

__all__ = ["absent_folders", "make_temporary", "remove_empty"]


def absent_folders(folder: Path | None) -> list[Path]:
    """The folder and those above it that do not exist, the innermost first; none for None, a folder behind a URL."""
    return [path for path in (folder, *folder.parents) if not path.exists()] if folder else []


def remove_empty(folders: Sequence[Path]) -> None:
    """Removes folders from the innermost to the first that is not empty.

    Args:
        folders: The folders, the innermost first.
    """
    with contextlib.suppress(OSError):
        for folder in folders:
            folder.rmdir()


def make_temporary(target: Path) -> tuple[int, str]:
    """The descriptor and the path of a new hidden file in the folder of a file, which is made if it is not there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        return tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except FileNotFoundError:  # another command has just removed the empty folder
        target.parent.mkdir(parents=True, exist_ok=True)
        return tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
