"""Where images come from: a source lists its images and what is known of them; it reads no pixels.

Tables are in `emotune.data.sources.csv_source`, sets of the field with formats of their own in
`emotune.data.sources.public_datasets`.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Protocol

from emotune.config.labels import LABEL_SPACES, MIKELS
from emotune.core.errors import InputError
from emotune.data.image_io import encode
from emotune.data.manifest import ExcludedImage
from emotune.data.sources.class_names import unknown
from emotune.data.sources.folder_layout import files_below, images_among, read_layout
from emotune.data.sources.synthetic import GENERATOR_VERSION, draw_scene, vote_on

__all__ = ["NO_LICENCE", "ClassFolders", "Entry", "Labels", "Listing", "Scenes", "Source", "Url", "files_below",
           "scenes_hash", "shown", "unknown"]  # fmt: skip

NO_LICENCE = "not stated; the images belong to their authors"


@dataclass(frozen=True, slots=True)
class Url:
    """An image that is still to be downloaded (`emotune.data.build.download`)."""

    url: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One image to come, and what is known of it.

    Attributes:
        source: Its name in reports: the path within the set, or the link.
        label: The class.
        votes: What annotators said, by class; `emotune.data.annotations.OTHER` for votes that name none of the classes.
        image: Its file; a link; or, for images that a program draws, a call that gives the bytes of a JPEG.
        key: Its name in the shards; None takes the hash of its content.
        split: ``train``, ``val`` or ``test`` where the source prescribes it.
        group: Images of one group (of one photographer, say) stay on one side of a split.
    """

    source: str
    label: str
    votes: Mapping[str, float]
    image: Path | Url | Callable[[], bytes]
    key: str | None = None
    split: str | None = None
    group: str | None = None


@dataclass(frozen=True)
class Listing:
    """The images of a source, in a fixed order. ``content_hash`` only where it is known without reading them.

    Attributes:
        notes: What the user should know of how the source was read, a line each.
        base: What the paths of a table are relative to.
        scanned: The folder all of whose files were taken for images; shards must not be written into it.
    """

    name: str
    classes: tuple[str, ...]
    entries: Sequence[Entry]
    source: str
    licence: str
    left_out: Sequence[ExcludedImage] = ()
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
    """One folder of images per class, ``<class>/**/<image>``; names that begin with a dot are skipped.

    Published splits, ``<split>/<class>`` or ``<class>/<split>``, are taken. What is no image is passed over.
    """

    help: ClassVar[str] = "one folder of images per class"
    directory: Annotated[Path, "holds one folder of images per class"]
    labels: Labels = "mikels"

    def listing(self) -> Listing:
        """The images, class by class.

        Raises:
            InputError: no folder, no images, or classes that are not those of the label space.
        """
        layout = read_layout(self.directory, LABEL_SPACES.get(self.labels))
        entries = []
        passed_over: Counter[str] = Counter()
        for folder in layout.folders:
            files, others = images_among(files_below(folder.path))
            passed_over += others
            if not files:
                what = "no images" + (f", but {others.total()} other files," if others else "")
                name = folder.path.relative_to(self.directory)
                raise InputError(f"{self.directory}: {what} in {name}; add some or remove the empty folder")
            votes = {folder.label: 1}
            entries += [
                Entry(shown(file, self.directory), folder.label, votes, file, split=folder.split) for file in files
            ]
        notes = list(layout.notes)
        if passed_over:
            kinds = ", ".join(f"{suffix} {number}" for suffix, number in passed_over.most_common(5))
            notes.append(f"{passed_over.total()} files that are no images are passed over ({kinds})")
        name = self.directory.resolve().name
        return Listing(name, layout.classes, entries, f"class folders in {name}", NO_LICENCE,
                       notes=[f"{self.directory}: {note}" for note in notes], scanned=self.directory)  # fmt: skip


def shown(path: Path, directory: Path) -> str:
    """The path within the folder as text that can be written anywhere, whatever bytes the file's name has."""
    return str(path.relative_to(directory)).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


@dataclass(frozen=True)
class _DrawScene:
    index: int
    seed: int

    def __call__(self) -> bytes:
        return encode(draw_scene(self.index, self.seed).image)


@dataclass(frozen=True)
class Scenes:
    """The embedded synthetic images of `emotune.data.sources.synthetic`: drawn by a program, judged by nobody."""

    help: ClassVar[str] = "the embedded synthetic images, any number of them"
    images: Annotated[int, "how many to draw"] = 1600
    seed: Annotated[int, "which set of images"] = 0

    def listing(self) -> Listing:
        """The images, in the order of their numbers.

        Raises:
            InputError: no images, or a negative seed.
        """
        if self.images < 1 or self.seed < 0:
            raise InputError("--images must be positive and --seed not negative")
        entries = []
        for index in range(self.images):
            votes, label = vote_on(index, self.seed)
            source = f"scene {self.seed}/{index}"
            key = hashlib.sha256(source.encode()).hexdigest()[:20]
            entries.append(Entry(source, label, votes, _DrawScene(index, self.seed), key=key))
        return Listing(
            name="scenes",
            classes=MIKELS,
            entries=entries,
            source=f"synthetic: {self.images} images drawn by emotune.data.sources.synthetic, seed {self.seed}",
            licence="Apache-2.0, as emotune itself",
            content_hash=scenes_hash(self.images, self.seed),
            synthetic=True,
        )


def scenes_hash(images: int, seed: int) -> str:
    """The content hash of `Scenes` before its split: of what they are drawn from, so that a plan need not draw them."""
    return hashlib.sha256(f"scenes v{GENERATOR_VERSION} {images} {seed}".encode()).hexdigest()
