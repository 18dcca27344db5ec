"""Where pictures come from: a source lists its pictures and what is known of them; it reads no pixels.

Tables are in `emotune.data.table`, sets of the field with formats of their own in `emotune.data.published`.
"""

import difflib
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Protocol

from emotune.data.manifest import LeftOut
from emotune.data.pictures import encode
from emotune.data.scenes import GENERATOR_VERSION, draw_scene, vote_on
from emotune.emotions import LABEL_SPACES, MIKELS
from emotune.errors import InputError

__all__ = ["NO_LICENCE", "ClassFolders", "Entry", "Labels", "Listing", "Scenes", "Source", "Url", "files_below",
           "scenes_hash", "shown", "unknown"]  # fmt: skip

NO_LICENCE = "not stated; the pictures belong to their authors"


@dataclass(frozen=True, slots=True)
class Url:
    """A picture that is still to be downloaded (`emotune.data.fetch`)."""

    url: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One picture to come, and what is known of it.

    Attributes:
        source: Its name in reports: the path within the set, or the link.
        label: The class.
        votes: What annotators said, by class; `emotune.data.votes.OTHER` for votes that name none of the classes.
        picture: Its file; a link; or, for pictures that a program draws, a call that gives the bytes of a JPEG.
        key: Its name in the shards; None takes the hash of its content.
        split: ``train``, ``val`` or ``test`` where the source prescribes it.
        group: Pictures of one group (of one photographer, say) stay on one side of a split.
    """

    source: str
    label: str
    votes: Mapping[str, float]
    picture: Path | Url | Callable[[], bytes]
    key: str | None = None
    split: str | None = None
    group: str | None = None


@dataclass(frozen=True)
class Listing:
    """The pictures of a source, in a fixed order. ``content_hash`` only where it is known without reading them.

    Attributes:
        notes: What the user should know of how the source was read, a line each.
        base: What the paths of a table are relative to.
        scanned: The folder all of whose files were taken for pictures; shards must not be written into it.
    """

    name: str
    classes: tuple[str, ...]
    entries: Sequence[Entry]
    source: str
    licence: str
    left_out: Sequence[LeftOut] = ()
    content_hash: str | None = None
    synthetic: bool = False
    notes: Sequence[str] = field(default=(), repr=False)
    base: Path | None = field(default=None, repr=False)
    scanned: Path | None = field(default=None, repr=False)


class Source(Protocol):
    """A kind of data set: a frozen dataclass whose fields are the command line's arguments, annotated with help."""

    help: ClassVar[str]

    def listing(self) -> Listing: ...


Labels = Annotated[
    Literal["mikels", "ekman", "polarity", "any"], "the classes: a label space, or whatever names are found"
]


@dataclass(frozen=True)
class ClassFolders:
    """One folder of pictures per class, ``<class>/**/<picture>``; names that begin with a dot are skipped."""

    help: ClassVar[str] = "one folder of pictures per class"
    directory: Annotated[Path, "holds one folder of pictures per class"]
    labels: Labels = "mikels"

    def listing(self) -> Listing:
        """The pictures, class by class.

        Raises:
            InputError: no folder, no pictures, or classes that are not those of the label space.
        """
        if not self.directory.is_dir():
            raise InputError(f"{self.directory}: no such folder; name one with a folder of pictures per class")
        found = sorted(p.name for p in self.directory.iterdir() if p.is_dir() and not p.name.startswith("."))
        classes = LABEL_SPACES.get(self.labels)
        _check_folders(self.directory, found, classes)
        entries = []
        for label in found:
            files = files_below(self.directory / label)
            if not files:
                raise InputError(f"{self.directory}: no pictures in {label}; add some or remove the empty folder")
            votes = {label: 1}
            entries += [Entry(shown(file, self.directory), label, votes, file) for file in files]
        name = self.directory.resolve().name
        return Listing(name, classes or tuple(found), entries, f"class folders in {name}", NO_LICENCE)


def files_below(directory: Path) -> list[Path]:
    """The files in a folder and its subfolders, in the order of their names, but not hidden ones.

    Links that lead nowhere are among them: they are pictures that are lost, which is to be said.

    Raises:
        InputError: there is a link to a folder, which could lead in a circle.
    """
    paths = sorted(directory.rglob("*"))
    visible = [path for path in paths if not any(part.startswith(".") for part in path.relative_to(directory).parts)]
    if linked := next((path for path in visible if path.is_symlink() and path.is_dir()), None):
        raise InputError(f"{linked}: links to folders are not followed; put the folder itself here, or remove the link")
    return [path for path in visible if path.is_file() or not path.exists()]


def shown(path: Path, directory: Path) -> str:
    """The path within the folder as text that can be written anywhere, whatever bytes the file's name has."""
    return str(path.relative_to(directory)).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _check_folders(directory: Path, found: Sequence[str], classes: Sequence[str] | None) -> None:
    if not found:
        raise InputError(f"{directory}: holds no folders; expected one folder of pictures per class")
    if classes is None:
        if len(found) < 2:
            raise InputError(f'{directory}: only one class, "{found[0]}"; a classifier needs two or more')
        return
    problems = [f"{directory / label}: {unknown(label, classes)}" for label in found if label not in classes]
    problems += [f'{directory}: no folder for the class "{label}"' for label in classes if label not in found]
    if problems:
        problems.append(f"The classes are {', '.join(classes)}. To take the folder names as they are: --labels any")
        raise InputError("\n".join(problems))


def unknown(label: str, classes: Sequence[str]) -> str:
    """What to say of a label that is none of the classes."""
    close = difflib.get_close_matches(label.lower(), classes, n=1)
    return f'"{label}" is not a class' + (f'; did you mean "{close[0]}"?' if close else "")


@dataclass(frozen=True)
class _DrawScene:
    index: int
    seed: int

    def __call__(self) -> bytes:
        return encode(draw_scene(self.index, self.seed).picture)


@dataclass(frozen=True)
class Scenes:
    """The embedded synthetic pictures of `emotune.data.scenes`: drawn by a program, judged by nobody."""

    help: ClassVar[str] = "the embedded synthetic pictures, any number of them"
    pictures: Annotated[int, "how many to draw"] = 1600
    seed: Annotated[int, "which set of pictures"] = 0

    def listing(self) -> Listing:
        """The pictures, in the order of their numbers.

        Raises:
            InputError: no pictures, or a negative seed.
        """
        if self.pictures < 1 or self.seed < 0:
            raise InputError("--pictures must be positive and --seed not negative")
        entries = []
        for index in range(self.pictures):
            votes, label = vote_on(index, self.seed)
            source = f"scene {self.seed}/{index}"
            key = hashlib.sha256(source.encode()).hexdigest()[:20]
            entries.append(Entry(source, label, votes, _DrawScene(index, self.seed), key=key))
        return Listing(
            name="scenes",
            classes=MIKELS,
            entries=entries,
            source=f"synthetic: {self.pictures} pictures drawn by emotune.data.scenes, seed {self.seed}",
            licence="Apache-2.0, as emotune itself",
            content_hash=scenes_hash(self.pictures, self.seed),
            synthetic=True,
        )


def scenes_hash(pictures: int, seed: int) -> str:
    """The content hash of `Scenes` before its split: of what they are drawn from, so that a plan need not draw them."""
    return hashlib.sha256(f"scenes v{GENERATOR_VERSION} {pictures} {seed}".encode()).hexdigest()
