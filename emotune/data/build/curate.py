"""Filters out bad images and groups near-duplicates before the split.

There are three kinds of duplicates. *The same content under many names*, equal in bytes or in pixels, is a placeholder
("this photo is no longer available"), whatever its labels are. An image that occurs *in several classes*, identical
or nearly so, mirrored or not, has no true label. Of duplicates *within one class*, one stays and the others are left
out. Images that show one scene without being duplicates all stay, in one group, and so in one split.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from emotune.core.errors import InputError
from emotune.data.build.ingest_image import IngestedImage
from emotune.data.build.near_duplicates import (
    connected_components,
    copies_in_other_classes,
    copies_of_earlier,
    hash_table,
    scene_numbers,
)
from emotune.data.build.perceptual_hash import COPY_DISTANCE
from emotune.data.manifest import SPLITS, ExcludedImage, Problem, digest
from emotune.data.sources.base import Entry

__all__ = ["KEEPABLE", "PLACEHOLDER_COPIES", "CurationResult", "curate"]

PLACEHOLDER_COPIES = 5
"""Number of names from which on one content counts as a placeholder."""

KEEPABLE = (Problem.TINY, Problem.ASPECT, Problem.ANIMATED, Problem.PAGES, Problem.BLANK, Problem.NEAR)
"""Problems that a user may accept; images with any other problem lack an image or a label."""


@dataclass(frozen=True)
class CurationResult:
    """The images that become samples, and the problems of all images that have any.

    Attributes:
        groups: The group of each image that becomes a sample, by its index in the listing.
        problems: A row for each image that has a problem, kept or not.
    """

    groups: dict[int, str]
    problems: tuple[ExcludedImage, ...]


def curate(entries: Sequence[Entry], images: Sequence[IngestedImage], keep: Collection[Problem] = ()) -> CurationResult:
    """Decides which images become samples: first each by itself, then compared with the others.

    Args:
        entries: The listed images, in the order of the source.
        images: The result of reading each of them.
        keep: Problems, out of `KEEPABLE`, with which an image is kept anyway.

    Raises:
        InputError: a problem in ``keep`` is not one of `KEEPABLE`.
    """
    if unacceptable := [problem for problem in keep if problem not in KEEPABLE]:
        raise InputError(f"{unacceptable[0]}: cannot be kept; only {', '.join(KEEPABLE)}")
    curator = _Curator(entries, images, keep)
    curator.check_each_image()
    curator.check_identical_images()
    curator.check_nearly_identical_images()
    return CurationResult(curator.groups(), curator.problems())


class _Finding(NamedTuple):
    """A problem of an image.

    Attributes:
        excludes: Whether the image is left out because of it.
        problem: The kind of problem.
        detail: The explanation for ``health.csv``.
    """

    excludes: bool
    problem: Problem
    detail: str


class _Curator:
    """The state of a curation: which images are still kept, and what has been found so far."""

    def __init__(self, entries: Sequence[Entry], images: Sequence[IngestedImage], keep: Collection[Problem]) -> None:
        self._entries, self._images, self._keep = entries, images, keep
        self._kept = set(range(len(entries)))
        self._findings: dict[int, list[_Finding]] = defaultdict(list)

    def check_each_image(self) -> None:
        for index, image in enumerate(self._images):
            for problem, detail in image.problems:
                self._record(index, problem, detail)

    def check_identical_images(self) -> None:
        for copies in self._identical():
            if len(copies) >= PLACEHOLDER_COPIES:
                detail = f"one content under {len(copies)} names{self._in_classes(copies)}"
                self._record_all(copies, Problem.PLACEHOLDER, detail)
            elif len(self._classes(copies)) > 1:
                self._record_all(copies, Problem.AMBIGUOUS, f"the same image{self._in_classes(copies)}")
            else:
                first, *others = self._by_precedence(copies)
                for index in others:
                    same_file = self._images[index].key == self._images[first].key
                    relation = "exact copy of" if same_file else "the same pixels as"
                    self._record(index, Problem.EXACT, f"{relation} {self._entries[first].source}")

    def _identical(self) -> list[list[int]]:
        """The sets of kept images that are identical: as files, as they are stored, or in their pixels."""
        by_digest: dict[tuple[str, str], list[int]] = defaultdict(list)
        for index in sorted(self._kept):
            image = self._images[index]
            for kind, image_digest in (("file", image.key), ("stored", image.sha256), ("pixels", image.pixels)):
                if image_digest:
                    by_digest[kind, image_digest].append(index)
        return _merge_overlapping(by_digest.values(), len(self._entries))

    def check_nearly_identical_images(self) -> None:
        indices, hashes = self._hashed(sorted(self._kept))
        class_numbers = {label: number for number, label in enumerate(self._classes(indices))}
        labels = np.array([class_numbers[self._class(index)] for index in indices], np.int64)
        in_other_class, copied = copies_in_other_classes(hashes, labels)
        for index, other in zip(indices, in_other_class.tolist(), strict=True):
            if other >= 0:
                label = self._entries[indices[other]].label
                detail = f"{self._similarity(index, indices[other])}, which is in the class {label}"
                self._record(index, Problem.AMBIGUOUS, detail)
        remaining = self._kept.intersection(np.array(indices, np.int64)[copied].tolist())
        indices, hashes = self._hashed(self._by_precedence(remaining))
        for index, first in zip(indices, copies_of_earlier(hashes).tolist(), strict=True):
            if first >= 0:
                split = self._entries[indices[first]].split
                in_split = f" in split {split}" if split else ""
                detail = self._similarity(index, indices[first]) + in_split
                self._record(index, Problem.NEAR, detail, original=indices[first])

    def _hashed(self, indices: Iterable[int]) -> tuple[list[int], np.ndarray]:
        """The images that have a perceptual hash, and a table of these hashes."""
        hashed = [index for index in indices if self._images[index].phash]
        images = [self._images[index] for index in hashed]
        mirrored = [image.mirrored_phash or image.phash for image in images]
        return hashed, hash_table([image.phash for image in images], mirrored)

    def _similarity(self, index: int, other: int) -> str:
        one_hash, other_hash = (int.from_bytes(self._images[i].phash) for i in (index, other))
        mirrored = (one_hash ^ other_hash).bit_count() > COPY_DISTANCE
        relation = "nearly the mirror image of" if mirrored else "nearly the same as"
        return f"{relation} {self._entries[other].source}"

    def groups(self) -> dict[int, str]:
        """The group of every kept image: the first name of its members, where a prescribed group counts as one name."""
        names = {i: digest([g])[:20] if (g := self._entries[i].group) else self._images[i].key for i in self._kept}
        related: dict[tuple[str, str | int], list[int]] = defaultdict(list)
        for index in sorted(self._kept):
            if self._entries[index].group:
                related["prescribed", names[index]].append(index)
        indices, hashes = self._hashed(sorted(self._kept))
        # Prescribed splits stay as they are: images that only show the same scene are not duplicates.
        splits = np.array([(None, *SPLITS).index(self._entries[index].split) for index in indices], np.int64)
        for index, scene in zip(indices, scene_numbers(hashes, splits).tolist(), strict=True):
            related["scene", scene].append(index)
        for members in _merge_overlapping(related.values(), len(self._entries)):
            names |= dict.fromkeys(members, min(names[index] for index in members))
        return dict(sorted(names.items()))

    def problems(self) -> tuple[ExcludedImage, ...]:
        """A row for each image with a problem: the first problem that excludes it, else the first; and all details."""
        rows = []
        for index, findings in sorted(self._findings.items()):
            entry, decisive = self._entries[index], max(findings, key=lambda finding: finding.excludes)
            details = "; ".join(finding.detail for finding in findings)
            rows.append(ExcludedImage(entry.source, entry.label, decisive.problem, details, kept=index in self._kept))
        return tuple(rows)

    def _record(self, index: int, problem: Problem, detail: str, original: int | None = None) -> None:
        # If the original is in another prescribed split, this copy would leak, so it goes whatever the user keeps.
        leaks = original is not None and self._entries[index].split != self._entries[original].split
        excludes = problem not in self._keep or leaks
        self._findings[index].append(_Finding(excludes, problem, detail))
        if excludes:
            self._kept.discard(index)

    def _record_all(self, indices: Iterable[int], problem: Problem, detail: str) -> None:
        for index in indices:
            self._record(index, problem, detail)

    def _class(self, index: int) -> str:
        """The class of an image; the same for all rated ones, whose labels only spread them over the splits."""
        entry = self._entries[index]
        return "" if entry.ratings else entry.label

    def _classes(self, indices: Iterable[int]) -> list[str]:
        return sorted({self._class(index) for index in indices})

    def _in_classes(self, indices: Iterable[int]) -> str:
        classes = self._classes(indices)
        return f" in the classes {', '.join(classes)}" if len(classes) > 1 else ""

    def _by_precedence(self, indices: Iterable[int]) -> list[int]:
        """The indices, first the image that stays: a prescribed test split is left as published, then comes the order
        of the source.
        """
        order = (*reversed(SPLITS), None)
        return sorted(indices, key=lambda index: (order.index(self._entries[index].split), index))


def _merge_overlapping(sets: Iterable[Sequence[int]], count: int) -> list[list[int]]:
    """The unions of sets that share members, directly or through other sets.

    Args:
        sets: Sets of numbers below ``count``.
        count: How many numbers there are.

    Returns:
        The unions of two members or more, each sorted.
    """
    links = [(members[0], other) for members in sets for other in members[1:]]
    first, second = np.array(links, np.int64).reshape(-1, 2).T
    numbers = connected_components(first, second, count).tolist()
    unions: dict[int, list[int]] = defaultdict(list)
    for member in np.union1d(first, second).tolist():
        unions[numbers[member]].append(member)
    return list(unions.values())
