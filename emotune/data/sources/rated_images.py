"""Listings of images that are rated in dimensions, such as valence and arousal, on stated scales."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from emotune.config.target import Dimension
from emotune.core.errors import InputError
from emotune.data.annotations import QUARTERS, quarters
from emotune.data.manifest import ExcludedImage, Rating
from emotune.data.sources.base import Entry, Listing, Url

__all__ = ["RatedImage", "last_of_each", "parse_rating", "parse_sd", "rated_listing", "require_any_image"]


@dataclass(frozen=True, slots=True)
class RatedImage:
    """An image with its ratings.

    Attributes:
        source: The image's name in reports, as in `Entry`.
        image: The image's file, its link, or a call that draws it.
        ratings: The mean and the standard deviation of its ratings in each dimension.
        split: The prescribed split, or None.
        group: The image's group, or None.
        raters: The number of its ratings in each dimension in which it is known.
    """

    source: str
    image: Path | Url | Callable[[], bytes]
    ratings: Mapping[str, Rating]
    split: str | None = None
    group: str | None = None
    raters: Mapping[str, int] = field(default_factory=dict)


def rated_listing(
    name: str,
    dimensions: Sequence[Dimension],
    images: Sequence[RatedImage],
    source: str,
    licence: str,
    *,
    left_out: Sequence[ExcludedImage] = (),
    notes: Iterable[str] = (),
    base: Path | None = None,
) -> Listing:
    """A listing of rated images, whose labels are quarters of the first dimension: `assign_splits` puts each into every
    split, as far as possible.

    Args:
        name: The data set's name.
        dimensions: The dimensions, first the one whose quarters are the labels.
        images: The images.
        source: The data set's origin.
        licence: The images' licence.
        left_out: Images that the source excludes.
        notes: Notes for the user.
        base: The folder to which the paths of a table are relative, or None.

    Raises:
        InputError: there are no images.
    """
    if not images:
        raise InputError(f"{source}: no image with ratings")
    labels = quarters([image.ratings[dimensions[0].name][0] for image in images])
    entries = [
        Entry(image.source, label, {label: 1}, image.image, split=image.split, group=image.group, ratings=image.ratings)
        for image, label in zip(images, labels, strict=True)
    ]
    classes = tuple(label for label in QUARTERS if label in labels)
    return Listing(name, classes, entries, source, licence, left_out, notes=tuple(notes), base=base,
                   target="dimensions", dimensions=tuple(dimensions),
                   rating_errors=_squared_errors(dimensions, images))  # fmt: skip


def _squared_errors(dimensions: Sequence[Dimension], images: Sequence[RatedImage]) -> dict[str, float]:
    """The mean squared standard error of the mean ratings, of the dimensions whose raters are known for all images."""
    found = {}
    for one in dimensions:
        known = [(image.ratings[one.name][1], image.raters.get(one.name, 0)) for image in images]
        errors = [sd**2 / raters for sd, raters in known if sd is not None and raters > 1]
        if len(errors) == len(images):
            found[one.name] = math.fsum(errors) / len(errors)
    return found


def parse_rating(dimension: Dimension, text: str) -> float:
    """The mean rating in a cell of a table.

    >>> parse_rating(Dimension("valence", 1, 7), "3.08")
    3.08

    Raises:
        ValueError: the text is not a number on the dimension's scale.
    """
    value = _number(dimension.name, text)
    if not dimension.low <= value <= dimension.high:
        raise ValueError(f'{dimension.name} "{text}" is not on its scale, {dimension.scale}')
    return value


def parse_sd(dimension: Dimension, text: str) -> float | None:
    """The standard deviation of the ratings in a cell; None if the cell is empty.

    Raises:
        ValueError: the text is not a number that such a deviation can be.
    """
    if not text.strip():
        return None
    value = _number(f"SD of {dimension.name}", text)
    if not 0 <= value <= dimension.high - dimension.low:
        raise ValueError(f'SD of {dimension.name} "{text}" cannot be on a scale from {dimension.scale}')
    return value


def require_any_image(folder: Path, names: Iterable[str]) -> None:
    """Checks that a folder has at least one of the images that a table names.

    Raises:
        InputError: it has none.
    """
    names = list(names)
    if not any((folder / name).is_file() for name in names):
        raise InputError(f"{folder}: none of the {len(names)} listed images is here")


def last_of_each(images: Sequence[RatedImage]) -> tuple[list[RatedImage], list[str]]:
    """The last of the images of each name, and a note if names are repeated."""
    last = {image.source: image for image in images}
    repeated = [image.source for image in images if last[image.source] is not image]
    note = f"rows that repeat an image: {len(repeated)}, such as {repeated[0]}; the last one counts" if repeated else ""
    return list(last.values()), [note] if note else []


def _number(what: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        comma = "; write a point, not a comma" if "," in text else ""
        raise ValueError(f'{what} "{text}" is not a number{comma}')
    return value
