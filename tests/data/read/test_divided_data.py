"""Runs read the images of a division by index, whatever split they were sharded into."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from emotune.config.run import DatasetRef, Selection
from emotune.core.errors import InputError
from emotune.data.datasets.counts import images_by_class
from emotune.data.datasets.resolve import resolve_datasets
from emotune.data.manifest import SPLITS
from emotune.data.read.batches import Split, open_split
from emotune.data.read.thumbnails import thumbnails


def divided(folder: object, **options: int) -> tuple[DatasetRef, ...]:
    return resolve_datasets([Selection(data=str(folder), **options)])


def images_of(split: Split) -> dict[str, np.ndarray]:
    return dict(zip(split.keys, split.images.take(np.arange(len(split))), strict=True))


@pytest.fixture
def own(small_shards) -> dict[str, np.ndarray]:
    (ref,) = resolve_datasets([str(small_shards)])
    return {key: image for name in SPLITS for key, image in images_of(open_split(ref, name)).items()}


def test_over_the_folds_each_image_is_tested_once_and_is_what_its_shard_holds(small_shards, own):
    tested: Counter[str] = Counter()
    for ref in divided(small_shards, folds=3):
        parts = {name: open_split(ref, name) for name in SPLITS}
        images = {name: images_of(part) for name, part in parts.items()}
        assert sorted(key for part in images.values() for key in part) == sorted(own)
        assert all(np.array_equal(own[key], image) for part in images.values() for key, image in part.items())
        assert not set(parts["test"].groups) & {*parts["train"].groups, *parts["val"].groups}
        for name, part in parts.items():
            expected = images_by_class(ref, name)
            found = Counter(part.classes[target] for target in part.targets)
            assert all(abs(found[label] - number) <= 1 for label, number in expected.items())
        tested.update(images["test"].keys())
    assert tested == Counter(own.keys())


def test_random_splits_have_the_sizes_of_the_own_one_and_differ(small_shards):
    (plain,) = resolve_datasets([str(small_shards)])
    refs = divided(small_shards, split_seeds=3)
    sizes = [[len(open_split(ref, name)) for name in SPLITS] for ref in (plain, *refs)]
    assert sizes == [sizes[0]] * 4
    assert len({open_split(ref, "test").keys for ref in refs}) == 3


def test_images_are_the_same_whether_decoded_or_read_from_the_files(small_shards):
    ref = divided(small_shards, folds=3)[1]
    decoded, indexed = images_of(open_split(ref, "train")), images_of(open_split(ref, "train", decoded=()))
    assert list(decoded) == list(indexed)
    assert all(np.array_equal(decoded[key], indexed[key]) for key in decoded)


def test_a_fold_shows_thumbnails_of_its_test_images(small_shards):
    ref = divided(small_shards, folds=3)[2]
    keys = open_split(ref, "test").keys
    assert list(thumbnails(ref, keys[:3])) == list(keys[:3])


def test_names_and_identities_of_divisions_differ_and_those_of_the_own_split_stay(small_shards):
    (plain,) = resolve_datasets([str(small_shards)])
    refs = [*divided(small_shards, folds=3), *divided(small_shards, split_seeds=2)]
    repeated = divided(small_shards, folds=3, split_seeds=2)
    assert len({ref.identity for ref in (plain, *refs)}) == 6
    assert [ref.name.removeprefix(f"{plain.name}-") for ref in refs] == [
        "fold1of3", "fold2of3", "fold3of3", "split0", "split1"
    ]  # fmt: skip
    assert repeated[:3] == tuple(refs[:3])  # so that studies share runs
    assert {ref.undivided for ref in (*refs, *repeated)} == {plain}
    assert plain.identity == plain.content_hash


def test_folds_that_a_class_cannot_fill_are_refused_before_images_are_read(small_shards):
    with pytest.raises(InputError, match=r"folds: 100 .*amusement"):
        divided(small_shards, folds=100)


def test_a_data_set_is_not_both_divided_and_as_it_is(small_shards):
    with pytest.raises(InputError, match="scenes"):
        resolve_datasets([str(small_shards), Selection(data=str(small_shards), folds=3)])


def test_parts_are_divided_by_themselves(small_shards):
    ref = replace(divided(small_shards, folds=2)[0], part="well")
    whole = replace(ref.undivided, part="well")
    assert sum(len(open_split(ref, name)) for name in SPLITS) == sum(len(open_split(whole, name)) for name in SPLITS)
