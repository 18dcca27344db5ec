"""Divides a data set's images anew into train, val and test: for cross-validation, or at random.

A division depends on the images' classes, groups and own splits and on its seed, not on their order or on the machine.
Groups (near-duplicates, or images that the source groups) stay whole, and every class is in every split; of rated
images, whose classes only spread the ratings, each split has images. With groups of one image the numbers of images of
each class are exact: those of two folds differ by one at most, and a random division has as many images in each split
as the data set's own.
"""

import hashlib
from bisect import bisect
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import accumulate

from emotune.config.division import Division
from emotune.core.errors import InputError
from emotune.data.manifest import SPLITS
from emotune.data.split import ImageToSplit

__all__ = ["divide", "expected_counts"]

Quotas = Mapping[str, Sequence[int]]
"""The number of images that each bin is to get, by class."""


def divide(images: Sequence[ImageToSplit], division: Division, *, every_class: bool = True) -> list[str]:
    """The split of each image in a division.

    Args:
        images: All images that are used; ``prescribed`` is the split that each is in as the shards were made.
        division: The division.
        every_class: Whether every class must be in every split; otherwise, each split must only have images.

    Raises:
        InputError: a class has too few groups of images for being in every split.
    """
    own = _own_counts(images)
    seed = f"{division.seed}"
    if division.folds:
        fold_of = _deal(images, _fold_quotas(own, division.folds), f"{seed}/folds/{division.folds}")
        tested = {group for group, fold in fold_of.items() if fold == division.fold - 1}
        rest = [image for image in images if image.group not in tested]
        split_of = dict.fromkeys(tested, "test")
        quotas = _train_and_val_quotas(own, Counter(image.label for image in rest))
        dealt = _deal(rest, quotas, f"{seed}/val/{division.folds}/{division.fold}")
        split_of |= {group: SPLITS[number] for group, number in dealt.items()}
    else:
        split_of = {group: SPLITS[number] for group, number in _deal(images, own, f"{seed}/random").items()}
    splits = [split_of[image.group] for image in images]
    _check_every_split([image.label if every_class else "" for image in images], images, splits, division)
    return splits


def expected_counts(own: Mapping[str, int], division: Division) -> dict[str, int]:
    """The number of images of a class in each split of a division, exact for groups of one image.

    Args:
        own: The number of images of the class in each of the data set's own splits.
        division: The division.

    >>> expected_counts({"train": 70, "val": 10, "test": 20}, Division(folds=5, fold=1))
    {'train': 70, 'val': 10, 'test': 20}
    """
    if not division.folds:
        return dict(own)
    total = sum(own.values())
    test = round(total / division.folds)
    val = _val_share(own["train"], own["val"], total - test)
    return {"train": total - test - val, "val": val, "test": test}


def _own_counts(images: Sequence[ImageToSplit]) -> Quotas:
    counts = Counter((image.label, image.prescribed) for image in images)
    return {label: [counts[label, split] for split in SPLITS] for label in sorted({one for one, _ in counts})}


def _fold_quotas(own: Quotas, folds: int) -> Quotas:
    """Equal numbers of images for all folds; what is left over goes round, so that the totals are equal, too."""
    quotas, first = {}, 0
    for label, counts in own.items():
        share, over = divmod(sum(counts), folds)
        quotas[label] = [share + ((number - first) % folds < over) for number in range(folds)]
        first += over
    return quotas


def _train_and_val_quotas(own: Quotas, rest: Mapping[str, int]) -> Quotas:
    quotas = {}
    for label, number in rest.items():
        train, val, _ = own[label]
        share = _val_share(train, val, number)
        quotas[label] = [number - share, share]
    return quotas


def _val_share(train: int, val: int, rest: int) -> int:
    """The number of validation images among the images that are not tested: their share is the data set's own."""
    return max(1, round(rest * val / max(train + val, 1)))


def _deal(images: Sequence[ImageToSplit], quotas: Quotas, stream: str) -> dict[str, int]:
    """The bin of each group, at random: large groups first, and each with the odds of what the bins still lack.

    As long as a class has as many groups as there are bins, it gets into every bin.

    Args:
        images: The images.
        quotas: The number of images that each bin is to get, by class.
        stream: The text on which the random numbers depend besides the groups.
    """
    members: dict[str, Counter[str]] = defaultdict(Counter)
    for image in images:
        members[image.group][image.label] += 1
    number_of_bins = max(map(len, quotas.values()))
    left = {label: list(counts) for label, counts in quotas.items()}
    empty = {label: set(range(len(counts))) for label, counts in quotas.items()}
    waiting = Counter(label for labels in members.values() for label in labels)
    drawn = {group: _random_numbers(stream, group) for group in members}
    bins: dict[str, int] = {}
    for group in sorted(members, key=lambda group: (-members[group].total(), drawn[group], group)):
        labels = sorted(members[group].items())
        odds = [sum(count * max(left[label][number], 0) for label, count in labels) for number in range(number_of_bins)]
        for label, _ in labels:
            allowed = [odd if number in empty[label] else 0 for number, odd in enumerate(odds)]
            if waiting[label] <= len(empty[label]) and any(allowed):
                odds = allowed
        chosen = bins[group] = _drawn(odds, drawn[group][1])
        for label, count in labels:
            left[label][chosen] -= count
            empty[label].discard(chosen)
            waiting[label] -= 1
    return bins


def _drawn(odds: Sequence[int], position: float) -> int:
    """The number of the bin at a position in [0, 1) of bins as wide as their odds; of equal bins without any odds."""
    odds = odds if any(odds) else [1] * len(odds)
    *before, _ = accumulate(odds)
    return bisect(before, position * sum(odds))


def _random_numbers(stream: str, group: str) -> tuple[float, float]:
    """Two numbers in [0, 1), one for the order of the groups, one for the choice of the bin."""
    data = hashlib.sha256(f"{stream}/{group}".encode()).digest()
    return int.from_bytes(data[:6], "big") / 2**48, int.from_bytes(data[6:12], "big") / 2**48


def _check_every_split(
    labels: Sequence[str], images: Sequence[ImageToSplit], splits: Sequence[str], division: Division
) -> None:
    have = set(zip(labels, splits, strict=True))
    groups = defaultdict(set)
    for label, image in zip(labels, images, strict=True):
        groups[label].add(image.group)
    lacking = [
        (f'"{label}"' if label else "all images") + f" ({len(of_label)} group{'' if len(of_label) == 1 else 's'})"
        for label, of_label in sorted(groups.items()) if any((label, split) not in have for split in SPLITS)
    ]  # fmt: skip
    if lacking:
        remedy = "ask for fewer folds" if division.folds > 2 else "use the data set's own split"
        what = "not every class can be" if labels[0] else "there cannot be images"
        raise InputError(
            f"{division.name}: {what} in each of train, val and test, because groups of near-duplicate images "
            f"stay whole: {', '.join(lacking)}; {remedy}"
        )
