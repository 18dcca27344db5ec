"""Where pictures come from: each source lists its pictures quickly and reads one at a time when asked."""

import difflib
import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from emotune.data.manifest import LeftOut
from emotune.data.pictures import encode, shrink
from emotune.data.scenes import GENERATOR_VERSION, draw_scene, vote_on
from emotune.emotions import MIKELS
from emotune.errors import InputError

__all__ = ["Item", "Listing", "folder", "scenes", "scenes_hash"]


@dataclass(frozen=True)
class Item:
    """One picture to come: a key that depends on its content only, what is known of it, and how to read it."""

    key: str
    label: str
    votes: dict[str, int]
    source: str
    read: Callable[[], bytes]


@dataclass(frozen=True)
class Listing:
    """The pictures of a source, and how they are encoded. ``content_hash`` only where it is known without reading."""

    name: str
    classes: tuple[str, ...]
    items: Sequence[Item]
    encoding: str
    source: str
    licence: str
    left_out: Sequence[LeftOut] = field(default_factory=tuple)
    content_hash: str | None = None
    synthetic: bool = False


@dataclass(frozen=True)
class _ReadFile:
    path: Path
    shorter_side: int

    def __call__(self) -> bytes:
        return shrink(self.path.read_bytes(), self.shorter_side)


@dataclass(frozen=True)
class _DrawScene:
    index: int
    seed: int

    def __call__(self) -> bytes:
        return encode(draw_scene(self.index, self.seed).picture)


def folder(
    directory: Path,
    *,
    labels: Sequence[str] | None = MIKELS,
    shorter_side: int = 256,
    name: str | None = None,
    track: Callable[[Sequence[Path]], Iterable[Path]] = iter,
) -> Listing:
    """A folder with one folder of pictures per class.

    A picture's key is the hash of its file. Of files with one content in one class the first is kept; one content in
    two classes has no true label and is left out altogether.

    Args:
        directory: Holds ``<class>/**/<picture>``; names that begin with a dot are skipped.
        labels: The classes that must be there; None takes the folder names as they are.
        shorter_side: Larger pictures are resized to it, in pixels.
        name: The data set's name; default: the folder's.
        track: Shows progress over the files that are hashed.

    Raises:
        InputError: no folder, no pictures, or classes that are not those of ``labels``.
    """
    if not directory.is_dir():
        raise InputError(f"{directory}: no such folder; name one with a folder of pictures per class")
    found = sorted(p.name for p in directory.iterdir() if p.is_dir() and not p.name.startswith("."))
    _check_classes(directory, found, labels)
    files = [
        path
        for label in found
        for path in sorted((directory / label).rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(directory).parts)
    ]
    empty = [label for label in found if not any(path.relative_to(directory).parts[0] == label for path in files)]
    if empty:
        raise InputError(f"{directory}: no pictures in {', '.join(empty)}; add some or remove the empty folder")
    by_content: dict[str, list[Path]] = defaultdict(list)
    items, left_out = [], []
    for path in track(files):
        try:
            by_content[hashlib.sha256(path.read_bytes()).hexdigest()].append(path)
        except OSError as error:
            left_out.append(LeftOut(_name(path, directory), f"cannot be read: {error.strerror}"))
    for digest, copies in by_content.items():
        names = [_name(path, directory) for path in copies]
        classes = sorted({path.relative_to(directory).parts[0] for path in copies})
        if len(classes) > 1:
            left_out += [LeftOut(n, f"the same picture stands in the classes {' and '.join(classes)}") for n in names]
            continue
        left_out += [LeftOut(n, f"exact copy of {names[0]}") for n in names[1:]]
        read = _ReadFile(copies[0], shorter_side)
        items.append(Item(digest[:20], classes[0], {classes[0]: 1}, names[0], read))
    return Listing(
        name=name or directory.resolve().name,
        classes=tuple(labels or found),
        items=items,
        encoding=f"shorter side {shorter_side}",
        source=f"class folders in {directory.resolve().name}",
        licence="not stated; the pictures belong to their authors",
        left_out=left_out,
    )


def _name(path: Path, directory: Path) -> str:
    """The path within the folder as text that can be written anywhere, whatever bytes the file's name has."""
    return str(path.relative_to(directory)).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _check_classes(directory: Path, found: list[str], labels: Sequence[str] | None) -> None:
    if not found:
        raise InputError(f"{directory}: holds no folders; expected one folder of pictures per class")
    if labels is None:
        if len(found) < 2:
            raise InputError(f'{directory}: only one class, "{found[0]}"; a classifier needs two or more')
        return
    problems = []
    for label in found:
        if label not in labels:
            close = difflib.get_close_matches(label.lower(), labels, n=1)
            hint = f'; did you mean "{close[0]}"?' if close else ""
            problems.append(f'{directory / label}: "{label}" is not a class{hint}')
    problems += [f'{directory}: no folder for the class "{label}"' for label in labels if label not in found]
    if problems:
        problems.append(f"The classes are {', '.join(labels)}. To take the folder names as they are: --labels any")
        raise InputError("\n".join(problems))


def scenes(pictures: int, seed: int = 0, *, name: str = "scenes") -> Listing:
    """The embedded synthetic pictures of `emotune.data.scenes`. Synthetic: drawn by a program, judged by nobody."""
    items = []
    for index in range(pictures):
        votes, label = vote_on(index, seed)
        source = f"scene {seed}/{index}"
        key = hashlib.sha256(source.encode()).hexdigest()[:20]
        items.append(Item(key, label, votes, source, _DrawScene(index, seed)))
    return Listing(
        name=name,
        classes=MIKELS,
        items=items,
        encoding=f"scenes v{GENERATOR_VERSION}",
        source=f"synthetic: {pictures} pictures drawn by emotune.data.scenes, seed {seed}",
        licence="Apache-2.0, as emotune itself",
        content_hash=scenes_hash(pictures, seed),
        synthetic=True,
    )


def scenes_hash(pictures: int, seed: int) -> str:
    """The content hash of `scenes` before its split: of what they are drawn from, so that a plan need not draw them."""
    return hashlib.sha256(f"scenes v{GENERATOR_VERSION} {pictures} {seed}".encode()).hexdigest()
