"""Which images train, which validate, which test: by a hash, so that images which are added later move hardly any
other, yet with every class in every split.

The hash of a group (near-duplicates, or what the source calls a group) alone decides at first. A class that then lacks
a split gets the group whose hash lies nearest to that split's interval. What a source prescribes is never changed; of
splits that it does not have, such as val where only train and test are published, the images come out of its train.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from emotune.data.manifest import SPLITS

__all__ = ["SHARES", "ImageToSplit", "assign_splits", "carved_splits", "match_split", "split_of"]

SHARES = (0.7, 0.1, 0.2)
"""Of train, val and test."""

SYNONYMS: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(("train", "training"), "train")
    | dict.fromkeys(("val", "valid", "validation", "dev", "development", "publictest"), "val")
    | dict.fromkeys(("test", "testing", "privatetest"), "test")
)
"""What splits are called where data are published; PublicTest and PrivateTest are FER2013's."""

MOST_MOVES = 2000
"""After so many moves the search for a split gives up: groups that show several classes can make it impossible."""


@dataclass(frozen=True, slots=True)
class ImageToSplit:
    """An image that is to be put into a split: its group's name (hexadecimal), its class, the split that the source
    prescribes.
    """

    group: str
    label: str
    prescribed: str | None = None


def match_split(name: str) -> str | None:
    """The split that is published under a name; None if the name means none.

    >>> split_named("Validation"), split_named("PrivateTest"), split_named("awe")
    ('val', 'test', None)
    """
    return SYNONYMS.get(name.strip().lower().replace("_", "").replace("-", ""))


def split_of(key: str, shares: tuple[float, float, float] = SHARES) -> str:
    """The split of an image by its key, or its group's, as long as no class lacks a split.

    >>> split_of("00000000"), split_of("ffffffff")
    ('test', 'train')
    """
    position = _position(key)
    return "test" if position < shares[2] else "val" if position < shares[2] + shares[1] else "train"


def carved_splits(prescribed: Iterable[str | None]) -> tuple[str, ...]:
    """The splits that a source lacks which prescribes one for each of its images: they come out of its train.

    >>> carved_splits(["train", "test"]), carved_splits(["train", None]), carved_splits(["val", "test"])
    (('val',), (), ())
    """
    found = set(prescribed)
    if None in found or "train" not in found:
        return ()
    return tuple(split for split in SPLITS if split not in found)


def assign_splits(images: Sequence[ImageToSplit], shares: tuple[float, float, float] = SHARES) -> list[str]:
    """The split of each image.

    Every class is in every split if it has three groups or more, unless what the source prescribes stands against it.

    Args:
        images: All of a data set.
        shares: Of train, val and test, for images whose split the source does not prescribe. Where splits are carved
            out of a prescribed train, their shares are relative to train's.
    """
    carved = carved_splits(image.prescribed for image in images)
    fixed: dict[str, str] = {}  # groups with an image whose split is prescribed: the others follow it
    for image in images:
        if image.prescribed and not (carved and image.prescribed == "train"):
            fixed[image.group] = max(image.prescribed, fixed.get(image.group, image.prescribed), key=SPLITS.index)
    if carved:
        total = shares[0] + sum(shares[SPLITS.index(split)] for split in carved)
        shares = tuple(share / total if s in ("train", *carved) else 0 for s, share in zip(SPLITS, shares, strict=True))
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
    """Groups that may be moved, and how many there are of each class in each split."""

    def __init__(self, shares: tuple[float, float, float], splits: Sequence[str]) -> None:
        train, val, test = shares
        self._shares, self._splits = shares, splits
        self._intervals = {"test": (0.0, test), "val": (test, test + val), "train": (1 - train, 1.0)}
        self._labels: dict[str, set[str]] = defaultdict(set)
        self._moves = 0
        self._log: list[tuple[str, str]] = []  # moved groups, each with the split that it came from
        self.split: dict[str, str] = {}
        self.have: Counter[tuple[str, str]] = Counter()

    def add(self, image: ImageToSplit) -> None:
        split = self.split.setdefault(image.group, split_of(image.group, self._shares))
        if image.label not in self._labels[image.group]:
            self._labels[image.group].add(image.label)
            self.have[image.label, split] += 1

    def fill(self) -> None:
        """Moves groups until no class lacks a split, where that can be."""
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
        """Moves a group of the class into the split; classes that lose their last group elsewhere by it get another."""
        candidates = [group for group in groups[label] if group not in settled and self.split[group] != split]
        candidates.sort(key=lambda group: (self._loses(group), self._distance(group, split), group))
        for group in candidates:
            self._moves += 1
            if self._moves > MOST_MOVES:
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
        """Whether a class would lack the group's split without it."""
        return any(self.have[label, self.split[group]] == 1 for label in self._labels[group])

    def _move(self, group: str, split: str, *, log: bool = True) -> None:
        origin, self.split[group] = self.split[group], split
        if log:
            self._log.append((group, origin))
        for label in self._labels[group]:
            self.have[label, origin] -= 1
            self.have[label, split] += 1

    def _distance(self, group: str, split: str) -> float:
        start, end = self._intervals[split]
        return max(start - _position(group), _position(group) - end, 0.0)


def _position(key: str) -> float:
    return int(key[:8], 16) / 2**32
