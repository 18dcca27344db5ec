"""Finding the images to predict: files, folders, and paths from another program."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from emotune.core.errors import InputError

__all__ = ["SUFFIXES", "find_images", "unique_stems"]

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ppm"})
"""The suffixes of the images that are found in folders; a file that is named itself may have any suffix."""


def find_images(
    names: Sequence[str], lines: Iterable[str], suffixes: Collection[str] = SUFFIXES, kind: str = "images"
) -> list[Path]:
    """The paths of the images that are named, in the order of the names and without duplicates.

    Args:
        names: Names of files or folders, or ``-`` for the names in ``lines``. A folder stands for the images in it and
            its subfolders, in alphabetical order.
        lines: Names of files or folders, one per line; empty lines are ignored.
        suffixes: The suffixes of the files that are found in folders, in small letters.
        kind: What the files are, for the message.

    Raises:
        InputError: there are no images.
    """
    images: dict[Path, None] = {}
    for name in names:
        for path in (Path(line) for line in map(str.strip, lines) if line) if name == "-" else [Path(name)]:
            images |= dict.fromkeys(_in_folder(path, suffixes) if path.is_dir() else [path])
    if not images:
        raise InputError(f"{' '.join(names)}: no {kind}; name files, folders of {kind}, or - to read names from stdin")
    return list(images)


def _in_folder(folder: Path, suffixes: Collection[str]) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.suffix.lower() in suffixes and path.is_file())


def unique_stems(paths: Sequence[Path]) -> dict[Path, str]:
    """A name for the output of each file: its name without the suffix, with a number where several would be equal."""
    stems: dict[Path, str] = {}
    taken: set[str] = set()
    for path in paths:
        stem, number = path.stem, 1
        while stem.lower() in taken:
            number += 1
            stem = f"{path.stem}-{number}"
        taken.add(stem.lower())
        stems[path] = stem
    return stems
