"""Flickr_LDL and Twitter_LDL, whose images have the numbers of votes for Mikels' eight emotions."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from emotune.config.labels import MIKELS
from emotune.core.errors import InputError
from emotune.data.sources.base import NO_LICENCE, Listing
from emotune.data.sources.class_names import match_class
from emotune.data.sources.csv_rows import VoteTable, merge_vote_rows
from emotune.data.sources.published_files import (
    convert_rows,
    first_existing,
    label_by_votes,
    make_listing,
    read_lines,
)

__all__ = ["FlickrLdl", "TwitterLdl"]

ORDER: tuple[str, ...] = ("amusement", "awe", "contentment", "excitement", "anger", "disgust", "fear", "sadness")
"""The order of the counts if there is no header."""


@dataclass(frozen=True)
class _VoteCounts:
    """A folder with ``ground_truth.txt`` and the folder ``images``.

    A line is ``<n>.jpg`` and eight numbers of votes, separated by spaces, for amusement, awe, contentment, excitement,
    anger, disgust, fear and sadness. There may be a header with the names of the emotions, which then decides the
    order. So public code reads copies of the data set; that the table has this name and the images are in ``images`` is
    true of those copies, and assumed of others. A line with other than eight whole numbers
    is refused, and so are tables whose lines have different numbers of votes.

    No split is prescribed: the authors' ``*_config.mat`` and the lists that circulate have several random ones, and are
    not read.
    """

    voters: ClassVar[int | None] = None
    """The number of people who voted on each image, if it is known."""
    directory: Annotated[Path, "the folder that holds ground_truth.txt and the folder images"]
    target: Annotated[Literal["distributions", "classes"], "what is predicted; with distributions, ties stay"] = (
        "distributions"
    )

    def _listing(self, name: str, title: str) -> Listing:
        path = first_existing(self.directory, "ground_truth.txt")
        merged, notes = merge_vote_rows(_read_counts(path))
        numbers = Counter(int(sum(votes.values())) for _, votes in merged)
        if len(numbers) > 1:
            shown = ", ".join(f"{number} ({count} images)" for number, count in numbers.most_common(5))
            raise InputError(f"{path}: images have different numbers of votes: {shown}; each must have as many")
        number = next(iter(numbers), None)
        if self.voters and number not in (None, self.voters):
            notes = [*notes, f"images have {number} votes, not {self.voters} as in the copies that we know of"]
        images = label_by_votes(merged, [self.directory / "images", self.directory], self.target)
        source = f"{title} (Yang, Sun, Sun, AAAI 2017)"
        return make_listing(name, MIKELS, images, source, NO_LICENCE, notes, self.target)


@dataclass(frozen=True)
class FlickrLdl(_VoteCounts):
    """Flickr_LDL (Yang, Sun, Sun, AAAI 2017): the votes of 11 people on each image."""

    voters: ClassVar[int | None] = 11
    help: ClassVar[str] = "Flickr_LDL: distributions over eight emotions, 11 votes each"

    def listing(self) -> Listing:
        return self._listing("flickr_ldl", "Flickr_LDL")


@dataclass(frozen=True)
class TwitterLdl(_VoteCounts):
    """Twitter_LDL (Yang, Sun, Sun, AAAI 2017): votes on each image; how many, is not known here."""

    help: ClassVar[str] = "Twitter_LDL: distributions over eight emotions, from votes"

    def listing(self) -> Listing:
        return self._listing("twitter_ldl", "Twitter_LDL")


def _read_counts(path: Path) -> VoteTable:
    """The images of a table and their votes.

    Raises:
        InputError: the table is empty, its header lacks an emotion, or lines cannot be used.
    """
    lines = read_lines(path, None)
    if not lines:
        raise InputError(f"{path}: is empty")
    (where, first), order = lines[0], ORDER
    if not any(cell.isdigit() for cell in first[1:]):
        order = tuple(match_class(cell, MIKELS) or cell for cell in first[1:])
        if sorted(order) != sorted(MIKELS):
            raise InputError(f"{where}: the header must name the eight emotions; found {' '.join(first)}")
        lines = lines[1:]

    def votes_of(cells: Sequence[str]) -> tuple[str, dict[str, float]]:
        name, *counts = cells
        if len(counts) != len(order) or not all(count.isdigit() for count in counts):
            raise ValueError(f'expected an image and {len(order)} numbers of votes; found "{" ".join(cells)}"')
        votes = dict(zip(order, map(float, counts), strict=True))
        if not sum(votes.values()):
            raise ValueError(f'"{name}" has no votes')
        return name, {label: votes[label] for label in MIKELS}

    return convert_rows(lines, votes_of)
