"""Which images are fit to be samples, and which belong together: dirt is found before it becomes a result.

Copies are of three kinds. *One content under many names*, to the byte or the pixel, is a placeholder ("this photo is no
longer available"), whatever its labels say. One image, identical or nearly, mirrored or not, *in several classes* has
no true label. Copies within a class go, each for one that stays. Images that show one scene without being copies
stay, on one side of a split.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from emotune.core.errors import InputError
from emotune.data.build.ingest import IngestedImage
from emotune.data.build.near_duplicates import copies_in_other_classes, copies_of_earlier, hash_table, scene_numbers
from emotune.data.build.perceptual_hash import COPY_DISTANCE
from emotune.data.manifest import SPLITS, ExcludedImage, Problem, digest
from emotune.data.sources.base import Entry

__all__ = ["KEEPABLE", "PLACEHOLDER_COPIES", "CurationResult", "curate"]

PLACEHOLDER_COPIES = 5
"""Names of one content from which on it is a placeholder."""

KEEPABLE = (Problem.TINY, Problem.ASPECT, Problem.ANIMATED, Problem.PAGES, Problem.BLANK, Problem.NEAR)
"""Problems that a user may choose to live with; the others have no image, or no label."""


@dataclass(frozen=True)
class CurationResult:
    """The entries that become samples, by index, each with its group; and a row for each that has a problem."""

    groups: dict[int, str]
    problems: tuple[ExcludedImage, ...]


def curate(entries: Sequence[Entry], taken: Sequence[IngestedImage], keep: Collection[Problem] = ()) -> CurationResult:
    """Finds what is wrong with single images, then with what they are to each other.

    Args:
        entries: The images, in the order of the source.
        taken: What reading each found.
        keep: Problems, out of `KEEPABLE`, with which an image is kept all the same.

    Raises:
        InputError: one of ``keep`` is not of these.
    """
    if never := [problem for problem in keep if problem not in KEEPABLE]:
        raise InputError(f"{never[0]}: cannot be kept; only {', '.join(KEEPABLE)}")
    court = _Curator(entries, taken, keep)
    court.look_at_each()
    court.look_for_copies()
    court.look_for_nearly_identical()
    return CurationResult(court.groups(), court.problems())


class _Curator:
    def __init__(self, entries: Sequence[Entry], taken: Sequence[IngestedImage], keep: Collection[Problem]) -> None:
        self._entries, self._taken, self._keep = entries, taken, keep
        self._standing = set(range(len(entries)))
        self._found: dict[int, list[tuple[bool, Problem, str]]] = defaultdict(list)

    def look_at_each(self) -> None:
        for index, taken in enumerate(self._taken):
            for problem, detail in taken.problems:
                self._note(index, problem, detail)

    def look_for_copies(self) -> None:
        for copies in self._identical():
            if len(copies) >= PLACEHOLDER_COPIES:
                text = f"one content under {len(copies)} names{self._across(copies)}"
                self._note_all(copies, Problem.PLACEHOLDER, text)
            elif len(self._classes(copies)) > 1:
                self._note_all(copies, Problem.AMBIGUOUS, f"the same image{self._across(copies)}")
            else:
                first, *others = self._by_right_to_stay(copies)
                for index in others:
                    same_file = self._taken[index].key == self._taken[first].key
                    what = "exact copy of" if same_file else "the same pixels as"
                    self._note(index, Problem.EXACT, f"{what} {self._entries[first].source}")

    def _identical(self) -> list[list[int]]:
        """The sets of images that stand and are identical: as files, as they are stored, or in their pixels."""
        same: dict[tuple[str, str], list[int]] = defaultdict(list)
        for index in sorted(self._standing):
            taken = self._taken[index]
            for kind, digest_ in (("file", taken.key), ("stored", taken.sha256), ("pixels", taken.pixels)):
                if digest_:
                    same[kind, digest_].append(index)
        return _components(_chained(same.values()))

    def look_for_nearly_identical(self) -> None:
        indices, hashes = self._with_looks(sorted(self._standing))
        classes = {label: number for number, label in enumerate(self._classes(indices))}
        labels = np.array([classes[self._entries[index].label] for index in indices], np.int64)
        elsewhere, copied = copies_in_other_classes(hashes, labels)
        for index, other in zip(indices, elsewhere.tolist(), strict=True):
            if other >= 0:
                also = f", which is in the class {self._entries[indices[other]].label}"
                self._note(index, Problem.AMBIGUOUS, self._like(index, indices[other]) + also)
        standing = self._standing.intersection(np.array(indices, np.int64)[copied].tolist())
        indices, hashes = self._with_looks(self._by_right_to_stay(standing))
        for index, first in zip(indices, copies_of_earlier(hashes).tolist(), strict=True):
            if first >= 0:
                split = self._entries[indices[first]].split
                where = f" in split {split}" if split else ""
                self._note(index, Problem.NEAR, self._like(index, indices[first]) + where, indices[first])

    def _with_looks(self, indices: Iterable[int]) -> tuple[list[int], np.ndarray]:
        """Those that have a look, and their hashes."""
        seen = [index for index in indices if self._taken[index].phash]
        taken = [self._taken[index] for index in seen]
        return seen, hash_table([one.phash for one in taken], [one.mirrored_phash or one.phash for one in taken])

    def _like(self, index: int, other: int) -> str:
        looks = (int.from_bytes(self._taken[one].phash) for one in (index, other))
        mirrored = (next(looks) ^ next(looks)).bit_count() > COPY_DISTANCE
        what = "nearly the mirror image of" if mirrored else "nearly the same as"
        return f"{what} {self._entries[other].source}"

    def groups(self) -> dict[int, str]:
        """The group of every image that stays: the least name of its members, a prescribed group counting as one."""
        names = {i: digest([g])[:20] if (g := self._entries[i].group) else self._taken[i].key for i in self._standing}
        together: dict[tuple[str, str | int], list[int]] = defaultdict(list)
        for index in sorted(self._standing):
            if self._entries[index].group:
                together["prescribed", names[index]].append(index)
        indices, hashes = self._with_looks(sorted(self._standing))
        # Two prescribed splits are not changed: images of one scene are no copies.
        splits = np.array([(None, *SPLITS).index(self._entries[index].split) for index in indices], np.int64)
        for index, scene in zip(indices, scene_numbers(hashes, splits).tolist(), strict=True):
            together["scene", scene].append(index)
        for members in _components(_chained(together.values())):
            least = min(names[index] for index in members)
            names |= dict.fromkeys(members, least)
        return dict(sorted(names.items()))

    def problems(self) -> tuple[ExcludedImage, ...]:
        """A row for each image with any: its first one that leaves it out, if there is one, and all details."""
        rows = []
        for index, found in sorted(self._found.items()):
            entry, (_, problem, _) = self._entries[index], max(found, key=lambda one: one[0])
            detail = "; ".join(text for _, _, text in found)
            rows.append(ExcludedImage(entry.source, entry.label, problem, detail, kept=index in self._standing))
        return tuple(rows)

    def _note(self, index: int, problem: Problem, detail: str, first: int | None = None) -> None:
        # A copy in another prescribed split than the first one's would be a leak, whatever the user keeps.
        leaks = first is not None and self._entries[index].split != self._entries[first].split
        fatal = problem not in self._keep or leaks
        self._found[index].append((fatal, problem, detail))
        if fatal:
            self._standing.discard(index)

    def _note_all(self, copies: Iterable[int], problem: Problem, detail: str) -> None:
        for index in copies:
            self._note(index, problem, detail)

    def _classes(self, copies: Iterable[int]) -> list[str]:
        return sorted({self._entries[index].label for index in copies})

    def _across(self, copies: Iterable[int]) -> str:
        classes = self._classes(copies)
        return f" in the classes {', '.join(classes)}" if len(classes) > 1 else ""

    def _by_right_to_stay(self, copies: Iterable[int]) -> list[int]:
        """A prescribed test set stays as published; within a split the first of the source stays."""
        order = (*reversed(SPLITS), None)
        return sorted(copies, key=lambda index: (order.index(self._entries[index].split), index))


def _chained(sets: Iterable[Sequence[int]]) -> list[tuple[int, int]]:
    """Links that hold each set together."""
    return [(members[0], other) for members in sets for other in members[1:]]


def _components(links: Iterable[tuple[int, int]]) -> list[list[int]]:
    """The sets of what is linked, directly or by others; each sorted."""
    component: dict[int, list[int]] = {}
    for i, j in links:
        one, other = component.setdefault(i, [i]), component.setdefault(j, [j])
        if one is not other:
            small, large = sorted((one, other), key=len)
            large += small
            component |= dict.fromkeys(small, large)
    return [sorted(members) for members in {id(members): members for members in component.values()}.values()]
