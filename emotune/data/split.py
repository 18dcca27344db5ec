"""Assign images to train, val and test by a hash, so that every class is in every split.

The hash of a group (near-duplicates, or images that the source groups) decides first, so images that are added later
hardly move any others. If a class then lacks a split, the group whose hash is nearest to that split's interval moves
there. Splits that a source prescribes are never changed. Splits that it does not have, such as val where only train and
test are published, are carved out of its train.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from emotune.data.manifest import SPLITS

__all__ = ["SHARES", "ImageToSplit", "assign_splits", "carved_splits", "match_split", "split_of"]

SHARES = (0.7, 0.1, 0.2)
"""Default shares of train, val and test."""

SYNONYMS: Mapping[str, str] = MappingProxyType({
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val", "development": "val", "publictest": "val",
    "test": "test", "testing": "test", "privatetest": "test",
})  # fmt: skip
"""Published names of splits, in lower case; PublicTest and PrivateTest are those of FER2013."""

MAX_MOVES = 2000
"""Number of moves after which the search for a class and a split gives up.

Groups that hold several classes can make it impossible to have every class in every split.
"""


@dataclass(frozen=True, slots=True)
class ImageToSplit:
    """An image that is to be assigned to a split.

    Attributes:
        group: The hash of the image's group, in hexadecimal digits.
        label: The class.
        prescribed: The split that the source prescribes, or None.
    """

    group: str
    label: str
    prescribed: str | None = None


def match_split(name: str) -> str | None:
    """The split that a published name means; None if it does not mean a split.

    >>> match_split("Validation"), match_split("PrivateTest"), match_split("awe")
    ('val', 'test', None)
    """
    return SYNONYMS.get(name.strip().lower().replace("_", "").replace("-", ""))


def split_of(key: str, shares: tuple[float, float, float] = SHARES) -> str:
    """The split that the hash of an image or of its group decides, before any group moves.

    >>> split_of("00000000"), split_of("ffffffff")
    ('test', 'train')
    """
    position = _position(key)
    return "test" if position < shares[2] else "val" if position < shares[2] + shares[1] else "train"


def carved_splits(prescribed: Iterable[str | None]) -> tuple[str, ...]:
    """The splits to carve out of a source's train, because the source lacks them.

    There are none unless the source prescribes a split for each of its images, and train is among them.


    >>> carved_splits(["train", "test"]), carved_splits(["train", None]), carved_splits(["val", "test"])
    (('val',), (), ())
    """
    published = set(prescribed)
    if None in published or "train" not in published:
        return ()
    return tuple(split for split in SPLITS if split not in published)


def assign_splits(images: Sequence[ImageToSplit], shares: tuple[float, float, float] = SHARES) -> list[str]:
    """The split of each image.

    Every class with three groups or more is in every split, unless the splits that the source prescribes prevent it.

    Args:
        images: All images of a data set.
        shares: The shares of train, val and test among the images whose split the source does not prescribe. Where
            splits are carved out of a prescribed train, their shares are relative to that of train.
    """
    carved = carved_splits(image.prescribed for image in images)
    fixed: dict[str, str] = {}  # groups with an image whose split is prescribed: their other images follow it
    for image in images:
        if image.prescribed and not (carved and image.prescribed == "train"):
            fixed[image.group] = max(image.prescribed, fixed.get(image.group, image.prescribed), key=SPLITS.index)
    if carved:
        total = shares[0] + sum(shares[SPLITS.index(split)] for split in carved)
        train, val, test = (
            share / total if split in ("train", *carved) else 0.0 for split, share in zip(SPLITS, shares, strict=True)
        )
        shares = (train, val, test)
    balance = _Balance(shares, ("train", *carved) if carved else SPLITS)
    for image in images:
        if image.group not in fixed:
            balance.add(image)
        else:
            balance.have[image.label, image.prescribed or fixed[image.group]] += 1
    balance.fill()
    return [image.prescribed or fixed[image.group] if image.group in fixed else balance.split[image.group]
            for image in images]  # fmt: skip


class _Balance:
    """Groups that may move, and the number of each class's groups in each split."""

    def __init__(self, shares: tuple[float, float, float], splits: Sequence[str]) -> None:
        train, val, test = shares
        self._shares, self._splits = shares, splits
        self._intervals = {"test": (0.0, test), "val": (test, test + val), "train": (1 - train, 1.0)}
        self._labels: dict[str, set[str]] = defaultdict(set)
        self._moves = 0
        self._log: list[tuple[str, str]] = []  # the moved groups, each with the split that it came from
        self.split: dict[str, str] = {}
        self.have: Counter[tuple[str, str]] = Counter()

    def add(self, image: ImageToSplit) -> None:
        """Adds an image to its group, which is in the split of its hash."""
        split = self.split.setdefault(image.group, split_of(image.group, self._shares))
        if image.label not in self._labels[image.group]:
            self._labels[image.group].add(image.label)
            self.have[image.label, split] += 1

    def fill(self) -> None:
        """Moves groups until no class lacks a split, as far as possible."""
        groups: dict[str, list[str]] = defaultdict(list)
        for group, labels in sorted(self._labels.items()):
            for label in labels:
                groups[label].append(group)
        for label in sorted(groups):
            # From the end: a class whose hashes are all large gives its smallest one to test, the next one to val.
            for split in reversed(SPLITS):
                if split in self._splits and not self.have[label, split]:
                    self._moves = 0
                    self._take(label, split, groups, frozenset())

    def _take(self, label: str, split: str, groups: Mapping[str, Sequence[str]], settled: frozenset[str]) -> bool:
        """Moves a group of the class into the split, and others for classes that thereby lost their last group there.

        Returns:
            Whether that succeeded; if not, nothing has moved.
        """
        candidates = [group for group in groups[label] if group not in settled and self.split[group] != split]
        candidates.sort(key=lambda group: (self._loses(group), self._distance(group, split), group))
        for group in candidates:
            self._moves += 1
            if self._moves > MAX_MOVES:
                return False
            mark, origin = len(self._log), self.split[group]
            self._move(group, split)
            lost = sorted(one for one in self._labels[group] if not self.have[one, origin])
            if all(self.have[one, origin] or self._take(one, origin, groups, settled | {group}) for one in lost):
                return True
            while len(self._log) > mark:
                self._move(*self._log.pop(), log=False)
        return False

    def _loses(self, group: str) -> bool:
        """Whether some class has no other group in the group's split."""
        return any(self.have[label, self.split[group]] == 1 for label in self._labels[group])

    def _move(self, group: str, split: str, *, log: bool = True) -> None:
        origin, self.split[group] = self.split[group], split
        if log:
            self._log.append((group, origin))
        for label in self._labels[group]:
            self.have[label, origin] -= 1
            self.have[label, split] += 1

    def _distance(self, group: str, split: str) -> float:
        """The distance of the group's hash from the split's interval."""
        start, end = self._intervals[split]
        return max(start - _position(group), _position(group) - end, 0.0)


def _position(key: str) -> float:
    """The first 32 bits of a hash as a number in [0, 1)."""
    return int(key[:8], 16) / 2**32
