"""Which images were named: files, folders, and names that come from another program."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from emotune.core.errors import InputError

__all__ = ["SUFFIXES", "find_images", "unique_stems"]

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ppm"})
"""Of what counts as an image in a folder; a file that is named counts whatever its name."""


def find_images(names: Sequence[str], lines: Iterable[str]) -> list[Path]:
    """The files that are meant, in the order of their names, each once.

    Args:
        names: Of files; of folders, whose images are taken with those of their subfolders, in alphabetical order; or
            ``-``, for names that ``lines`` has.
        lines: A file or folder each; empty ones are left out.

    Raises:
        InputError: there is no image at all.
    """
    found: dict[Path, None] = {}
    for name in names:
        for path in (Path(line) for line in map(str.strip, lines) if line) if name == "-" else [Path(name)]:
            found |= dict.fromkeys(_within(path) if path.is_dir() else [path])
    if not found:
        raise InputError(f"{' '.join(names)}: no images; name files, folders of images, or - for names from stdin")
    return list(found)


def _within(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES and path.is_file())


def unique_stems(paths: Sequence[Path]) -> dict[Path, str]:
    """A name for what is written about each file: its own without the suffix; of several that share it, numbered."""
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
