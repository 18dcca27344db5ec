"""Every class is in every split where that can be, and images that are added later move hardly any other."""

import hashlib
from collections import Counter, defaultdict
from itertools import product

import numpy as np
import pytest

from emotune.data.manifest import SPLITS
from emotune.data.split import SHARES, ImageToSplit, assign_splits, carved_splits, match_split, split_of


def key(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()[:20]


def drawn(sizes: dict[str, int], seed: int = 0) -> list[ImageToSplit]:
    numbers = iter(range(seed * 100_000, (seed + 1) * 100_000))
    return [ImageToSplit(key(next(numbers)), label) for label, size in sizes.items() for _ in range(size)]


def found_in(images: list[ImageToSplit], splits: list[str]) -> dict[str, set[str]]:
    found = defaultdict(set)
    for image, split in zip(images, splits, strict=True):
        found[image.label].add(split)
    return found


ABSTRACT = dict(amusement=25, anger=3, awe=15, contentment=63, disgust=18, excitement=36, fear=36, sadness=32)


@pytest.mark.parametrize("shares", [SHARES, (0.4, 0.3, 0.3), (0.98, 0.01, 0.01), (0.01, 0.01, 0.98)])
@pytest.mark.parametrize("sizes", [ABSTRACT, {"a": 3, "b": 3}, {label: 10 for label in "abcdefgh"}])
def test_a_class_of_three_or_more_is_in_every_split_in_every_drawing(sizes, shares):
    for seed in range(40):
        images = drawn(sizes, seed)
        assert all(found == set(SPLITS) for found in found_in(images, assign_splits(images, shares)).values())


def test_where_every_class_is_in_every_split_anyway_the_hash_alone_decides():
    images = drawn({"a": 300, "b": 200})
    assert assign_splits(images) == [split_of(image.group) for image in images]


def test_only_as_many_groups_as_are_needed_leave_the_split_of_their_hash():
    for seed in range(40):
        images = drawn(ABSTRACT, seed)
        by_hash = [split_of(image.group) for image in images]
        lacking = sum(3 - len(found) for found in found_in(images, by_hash).values())
        assert sum(a != b for a, b in zip(by_hash, assign_splits(images), strict=True)) == lacking


def test_the_order_of_the_images_does_not_matter():
    images = drawn(ABSTRACT, 3)
    splits = dict(zip(images, assign_splits(images), strict=True))
    shuffled = [images[i] for i in np.random.default_rng(0).permutation(len(images))]
    assert dict(zip(shuffled, assign_splits(shuffled), strict=True)) == splits


def test_an_added_image_moves_at_most_what_was_moved_for_its_class():
    for seed in range(30):
        images = drawn({"a": 12, "b": 12, "c": 5}, seed)
        before = assign_splits(images)
        after = assign_splits([*images, ImageToSplit(key(-1 - seed), "c")])[:-1]
        moved = [image for image, a, b in zip(images, before, after, strict=True) if a != b]
        assert all(image.label == "c" for image in moved)
        assert len(moved) <= 2  # one takes the place of the other


def test_shares_over_the_set_are_as_asked():
    images = drawn({label: 60 for label in "abcdefgh"})
    counts = Counter(assign_splits(images))
    assert all(abs(counts[s] / 480 - share) < 0.06 for s, share in zip(SPLITS, SHARES, strict=True))


def test_groups_stay_whole_and_count_for_each_of_their_classes():
    images = [ImageToSplit(key(group), label) for group in range(9) for label in "ab" for _ in range(group % 3 + 1)]
    splits = assign_splits(images, (0.98, 0.01, 0.01))
    assert all(found == set(SPLITS) for found in found_in(images, splits).values())
    assert len(set(zip([image.group for image in images], splits, strict=True))) == 9


def possible(images: list[ImageToSplit]) -> bool:
    groups = sorted({image.group for image in images})
    for splits in product(SPLITS, repeat=len(groups)):
        of = dict(zip(groups, splits, strict=True))
        if all(found == set(SPLITS) for found in found_in(images, [of[i.group] for i in images]).values()):
            return True
    return False


def test_groups_that_show_several_classes_are_split_wherever_any_split_has_every_class():
    generator = np.random.default_rng(5)
    could = 0
    for _ in range(60):
        number = int(generator.integers(3, 7))
        names = [key(int(n)) for n in generator.integers(0, 10**9, number)]
        images = [ImageToSplit(name, label) for name in names for label in "abc" if generator.random() < 0.6]
        if set("abc") - {image.label for image in images}:
            continue
        made = all(found == set(SPLITS) for found in found_in(images, assign_splits(images)).values())
        assert made == possible(images)
        could += made
    assert could > 10


def test_a_class_of_fewer_than_three_groups_lacks_a_split_and_takes_none_from_others():
    images = drawn({"a": 2, "b": 30})
    found = found_in(images, assign_splits(images))
    assert len(found["a"]) <= 2 and found["b"] == set(SPLITS)


def test_what_a_source_prescribes_is_never_changed_and_open_images_fill_what_it_lacks():
    images = [ImageToSplit(key(n), "a", ("train", "test")[n % 2]) for n in range(20)] + drawn({"a": 3, "b": 3}, 7)
    splits = assign_splits(images)
    assert all(split == image.prescribed for image, split in zip(images, splits, strict=True) if image.prescribed)
    assert all(found == set(SPLITS) for found in found_in(images, splits).values())


def test_an_open_image_follows_the_prescribed_one_of_its_group():
    images = [ImageToSplit(key(0), "a", "val"), ImageToSplit(key(0), "a"), *drawn({"a": 10}, 1)]
    assert assign_splits(images)[:2] == ["val", "val"]


@pytest.mark.parametrize(("published", "missing"), [("test", ["val"]), ("val", ["test"]), (None, ["val", "test"])])
def test_a_split_that_is_not_published_comes_out_of_train_by_group_and_the_others_stay(published, missing):
    images = [ImageToSplit(key(n // 2), "ab"[n % 4 // 2], "train") for n in range(200)]
    images += [ImageToSplit(key(n), "ab"[n % 2], published) for n in range(1000, 1020) if published]
    splits = assign_splits(images)
    assert splits[200:] == [published] * len(splits[200:])
    assert set(splits[:200]) == {"train", *missing}
    assert splits[:200:2] == splits[1:200:2]
    assert all(found == set(SPLITS) for found in found_in(images, splits).values())
    share = 0.1 / 0.8 if missing == ["val"] else 0.2 / 0.9 if missing == ["test"] else 0.3
    assert abs(1 - splits[:200].count("train") / 200 - share) < 0.1


def test_nothing_is_carved_where_images_are_open_or_there_is_no_train():
    assert carved_splits(["train", "test", None]) == carved_splits(["val", "test"]) == carved_splits([None]) == ()
    assert carved_splits(["train", "val", "test"]) == ()


def test_published_names_of_splits_are_understood():
    names = ["Train", "TRAINING", "dev", "Validation", "valid", "PublicTest", "PrivateTest", "testing"]
    assert [match_split(name) for name in names] == ["train", "train", "val", "val", "val", "val", "test", "test"]
    assert match_split("awe") is None
