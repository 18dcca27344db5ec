"""What a source of images is: it lists images with their labels, votes and splits, and reads no pixels.

The sources are class folders (`emotune.data.sources.class_folders`), CSV tables (`emotune.data.sources.csv_source`),
public data sets in their own formats (`emotune.data.sources.public_datasets`) and the embedded synthetic images
(`emotune.data.sources.scenes`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Protocol

from emotune.config.target import Dimension, Target
from emotune.data.manifest import ExcludedImage, Rating

__all__ = ["NO_LICENCE", "Clip", "Entry", "Labels", "Listing", "Source", "Url"]

NO_LICENCE = "not stated; the images belong to their authors"


@dataclass(frozen=True, slots=True)
class Url:
    """A link to an image that has not been downloaded yet (`emotune.data.build.download`)."""

    url: str


@dataclass(frozen=True, slots=True)
class Clip:
    """A video, of which some frames become a sample (`emotune.data.build.decode_clip`).

    Attributes:
        path: The file.
        frames: The number of frames.
    """

    path: Path
    frames: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One image of a source.

    Attributes:
        source: The image's name in reports: its path within the data set, or its link.
        label: The class.
        votes: The annotators' votes by class; votes for none of the classes are under
            `emotune.data.annotations.OTHER`.
        image: The image's file, its link, a video, or a call that draws an image and returns the bytes of a JPEG.
        key: The image's name in the shards; None to use the hash of its content.
        split: ``train``, ``val`` or ``test`` where the source prescribes it, else None.
        group: A group of images (one photographer's, for instance) that stay in one split, or None.
        ratings: The annotators' ratings by dimension, if the target is *dimensions*; the label is then a quarter of the
            first dimension, see `emotune.data.annotations.quarters`.
    """

    source: str
    label: str
    votes: Mapping[str, float]
    image: Path | Url | Clip | Callable[[], bytes]
    key: str | None = None
    split: str | None = None
    group: str | None = None
    ratings: Mapping[str, Rating] = field(default_factory=dict)


@dataclass(frozen=True)
class Listing:
    """The images of a source, in a fixed order.

    Attributes:
        name: The data set's name.
        classes: The K classes, in the order of the network's outputs.
        entries: The images.
        source: The data set's origin, for manifests and reports.
        licence: The images' licence, for manifests and reports.
        left_out: Images that the source itself excludes, with the reasons.
        content_hash: The hash of the images' content where it is known without reading them, else None.
        synthetic: Whether the images are drawn by a program.
        notes: Notes for the user on how the source was read, one line each.
        base: The folder to which the paths of a table are relative, or None.
        scanned: The folder whose files were all listed as images, or None; shards must not be written into it.
        target: What the images are labelled with, see `emotune.data.manifest.Manifest`.
        dimensions: The rated dimensions with their scales, if that is *dimensions*.
        frames: The number of frames of each video; 1 for images.
        rating_errors: The mean squared standard error of the mean ratings, see `emotune.data.manifest.Manifest`.
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
    target: Target = field(default="classes", repr=False)
    dimensions: tuple[Dimension, ...] = field(default=(), repr=False)
    frames: int = field(default=1, repr=False)
    rating_errors: Mapping[str, float] = field(default_factory=dict, repr=False)


class Source(Protocol):
    """A kind of data set: a frozen dataclass whose fields are the arguments of its command, annotated with help."""

    help: ClassVar[str]
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def listing(self) -> Listing: ...


Labels = Annotated[
    Literal["mikels", "ekman", "polarity", "any"], "the classes: a label space, or any to take the names as they are"
]
