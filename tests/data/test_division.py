"""Each image is tested once over the folds, groups stay whole, classes are balanced, and the order does not matter."""

import hashlib
from collections import Counter, defaultdict

import numpy as np
import pytest

from emotune.config.division import Division
from emotune.core.errors import InputError
from emotune.data.division import divide, expected_counts
from emotune.data.manifest import SPLITS
from emotune.data.split import ImageToSplit, assign_splits

ARTPHOTO = dict(amusement=101, anger=77, awe=102, contentment=70, disgust=70, excitement=105, fear=115, sadness=166)


def images_of(sizes: dict[str, int], group_size: int = 1) -> list[ImageToSplit]:
    open_images = [
        ImageToSplit(hashlib.sha256(f"{label}/{number // group_size}".encode()).hexdigest(), label)
        for label, size in sizes.items() for number in range(size)
    ]  # fmt: skip
    own = assign_splits(open_images)
    return [ImageToSplit(image.group, image.label, split) for image, split in zip(open_images, own, strict=True)]


def folds_of(images: list[ImageToSplit], folds: int, seed: int = 0) -> list[list[str]]:
    return [divide(images, Division(seed=seed, folds=folds, fold=fold)) for fold in range(1, folds + 1)]


def counts_of(images: list[ImageToSplit], splits: list[str]) -> Counter[tuple[str, str]]:
    return Counter(zip([image.label for image in images], splits, strict=True))


@pytest.mark.parametrize("folds", [2, 5, 10])
def test_each_image_is_tested_in_one_fold_and_classes_and_folds_are_equal_within_one_image(folds):
    images = images_of(ARTPHOTO)
    divisions = folds_of(images, folds)
    assert all(Counter(splits)["test"] == 1 for splits in zip(*divisions, strict=True))
    tested = [counts_of(images, splits) for splits in divisions]
    for label in ARTPHOTO:
        of_label = [counts[label, "test"] for counts in tested]
        assert max(of_label) - min(of_label) <= 1
    totals = [splits.count("test") for splits in divisions]
    assert max(totals) - min(totals) <= 1
    assert len({tuple(splits) for splits in divisions}) == folds


def test_validation_images_are_taken_from_the_rest_in_the_share_of_the_own_split():
    images = images_of(ARTPHOTO)
    own = counts_of(images, [str(image.prescribed) for image in images])
    for number, splits in enumerate(folds_of(images, 5), 1):
        found = counts_of(images, splits)
        for label in ARTPHOTO:
            expected = expected_counts({s: own[label, s] for s in SPLITS}, Division(folds=5, fold=number))
            assert all(abs(found[label, split] - expected[split]) <= 1 for split in SPLITS)


def test_a_random_division_has_as_many_images_of_each_class_in_each_split_as_the_own_one_and_other_ones():
    images = images_of(ARTPHOTO)
    own = [str(image.prescribed) for image in images]
    divisions = [divide(images, Division(seed=seed)) for seed in range(4)]
    assert all(counts_of(images, splits) == counts_of(images, own) for splits in divisions)
    tested = [np.array([split == "test" for split in splits]) for splits in [own, *divisions]]
    overlap = [float((a & b).sum() / a.sum()) for i, a in enumerate(tested) for b in tested[:i]]
    assert min(overlap) > 0.1 and max(overlap) < 0.3  # two random fifths


def test_every_image_of_a_class_is_as_likely_as_any_other_to_be_tested():
    images = images_of({"a": 10, "b": 40})
    tested = sum(np.array([s == "test" for s in divide(images, Division(seed=seed))], float) for seed in range(200))
    for label in "ab":
        of_label = np.array([image.label == label for image in images])
        share = np.mean([image.prescribed == "test" for image in images if image.label == label])
        assert np.abs(tested[of_label] / 200 - share).max() < 4 * (0.25 / 200) ** 0.5


@pytest.mark.parametrize("how", [{"folds": 4}, {}], ids=["folds", "random"])
def test_groups_stay_whole_also_across_classes_and_every_class_is_in_every_split(how):
    numbers = [(group, label) for group in range(60) for label in "abc"[: group % 3 + 1] for _ in range(group % 4 + 1)]
    keys = [hashlib.sha256(str(group).encode()).hexdigest() for group in range(60)]
    plain = [ImageToSplit(keys[group], label) for group, label in numbers]
    images = [ImageToSplit(i.group, i.label, s) for i, s in zip(plain, assign_splits(plain), strict=True)]
    for seed in range(10):
        for fold in range(1, 1 + how.get("folds", 0)) or [0]:
            splits = divide(images, Division(seed=seed, fold=fold, **how))
            assert len(set(zip([i.group for i in images], splits, strict=True))) == 60
            found = defaultdict(set)
            for image, split in zip(images, splits, strict=True):
                found[image.label].add(split)
            assert all(found[label] == set(SPLITS) for label in "abc")


def test_a_class_gets_into_every_split_as_long_as_it_has_as_many_groups():
    plain = [ImageToSplit(hashlib.sha256(f"{n}".encode()).hexdigest(), "a") for n in (0, 0, 0, 0, 1, 2, 2)]
    images = [
        ImageToSplit(i.group, "a", s) for i, s in zip(plain, ["train"] * 4 + ["val", "test", "test"], strict=True)
    ]
    for seed in range(50):
        assert set(divide(images, Division(seed=seed))) == set(SPLITS)
        assert all(set(splits) == set(SPLITS) for splits in folds_of(images, 3, seed))


def test_the_order_of_the_images_does_not_matter():
    images = images_of(ARTPHOTO, group_size=2)
    shuffled = [images[i] for i in np.random.default_rng(0).permutation(len(images))]
    for division in (Division(folds=5, fold=3), Division(seed=1)):
        of_group = dict(zip([i.group for i in images], divide(images, division), strict=True))
        assert [of_group[image.group] for image in shuffled] == divide(shuffled, division)


def test_a_class_with_fewer_groups_than_folds_is_named():
    images = images_of({"a": 12, "b": 30}, group_size=3)
    with pytest.raises(InputError, match=r'"a" \(4 groups\)'):
        folds_of(images, 5)
    assert len(folds_of(images, 4)) == 4


def test_what_a_division_draws_stays_the_same():
    """Results of runs depend on it: a change needs a new format of results."""
    images = images_of({"a": 12, "b": 9}, group_size=2)
    divisions = (Division(folds=3, fold=2), Division(seed=4))
    drawn = {division.name: "".join(split[1] for split in divide(images, division)) for division in divisions}
    assert drawn == {"fold2of3": "rrrraaeerreerreeeeaar", "split4": "aarrrrrreerrrraarrrre"}


def test_classes_that_only_spread_ratings_may_lack_splits():
    images = [ImageToSplit(f"{n:08x}", "high" if n < 2 else "low", SPLITS[n % 3]) for n in range(9)]
    for division in (Division(folds=3, fold=1), Division(seed=1)):
        assert set(divide(images, division, every_class=False)) == set(SPLITS)
        with pytest.raises(InputError, match=r'not every class.*"high" \(2 groups\)'):
            divide(images, division)
    with pytest.raises(InputError, match=r"all images \(2 groups\)"):
        divide(images[:2] * 2, Division(seed=1), every_class=False)
