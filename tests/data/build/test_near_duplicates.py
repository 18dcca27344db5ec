"""Copies are found relative to images that stay, in memory that does not grow with the number of pairs."""

import tracemalloc

import numpy as np
import pytest

from emotune.data.build import hamming_search, near_duplicates
from emotune.data.build.near_duplicates import copies_in_other_classes, copies_of_earlier, scene_numbers
from emotune.data.build.perceptual_hash import COPY_DISTANCE, SCENE_DISTANCE


def chain(count: int, step: int, seed: int = 0) -> np.ndarray:
    """Hashes of which each differs from the one before in ``step`` bits; mirror images are like nothing else."""
    generator = np.random.default_rng(seed)
    bits = np.zeros((count, 512), np.uint8)
    bits[:, 256:] = generator.integers(0, 2, (count, 256))
    bits[0, :256] = generator.integers(0, 2, 256)
    for number in range(1, count):
        bits[number, :256] = bits[number - 1, :256]
        bits[number, generator.choice(256, step, replace=False)] ^= 1
    return np.ascontiguousarray(np.packbits(bits, axis=1)).view(np.uint64)


def distances(hashes: np.ndarray) -> np.ndarray:
    """Between each image (rows), mirrored or not, and each other (columns)."""
    straight = hashes[:, :4]
    both = [np.bitwise_count(part[:, None] ^ straight).sum(axis=2) for part in (straight, hashes[:, 4:])]
    return np.minimum(*both)


def greedily(hashes: np.ndarray) -> list[int]:
    near, stay, first = distances(hashes) <= COPY_DISTANCE, [], []
    for index in range(len(hashes)):
        earlier = [other for other in stay if near[index, other]]
        first.append(earlier[0] if earlier else -1)
        if not earlier:
            stay.append(index)
    return first


@pytest.fixture
def in_buckets(monkeypatch):
    monkeypatch.setattr(hamming_search, "FEW", 2000)
    monkeypatch.setattr(near_duplicates, "FEW", 8)


@pytest.mark.parametrize("step", [0, 1, 9, 20, 33])
@pytest.mark.usefixtures("in_buckets")
def test_only_copies_of_images_that_stay_go(step):
    hashes = chain(120, step)
    hashes[60, :4] = hashes[10, 4:]  # what mirrors an earlier one
    assert copies_of_earlier(hashes).tolist() == greedily(hashes)


@pytest.mark.usefixtures("in_buckets")
def test_a_mirrored_copy_is_a_copy():
    hashes = chain(40, 120)
    hashes[30] = np.roll(hashes[7], 4)
    assert copies_of_earlier(hashes).tolist() == [-1] * 30 + [7] + [-1] * 9
    assert copies_in_other_classes(hashes, np.arange(40))[0].tolist() == [
        {30: 7, 7: 30}.get(index, -1) for index in range(40)
    ]  # fmt: skip


@pytest.mark.usefixtures("in_buckets")
def test_the_first_copy_in_another_class_is_named():
    hashes, labels = chain(90, 10), np.arange(90) // 30
    near = distances(hashes)
    near = np.minimum(near, near.T) <= COPY_DISTANCE
    expected = [
        next((int(other) for other in np.flatnonzero(near[index]) if labels[other] != labels[index]), -1)
        for index in range(90)
    ]
    other, copied = copies_in_other_classes(hashes, labels)
    assert other.tolist() == expected
    assert copied.tolist() == (near.sum(axis=1) > 1).tolist()
    assert len(set(expected)) > 3


@pytest.mark.usefixtures("in_buckets")
def test_scenes_go_through_others_but_not_from_one_prescribed_split_to_another():
    hashes = chain(50, 40)
    hashes[25:] = chain(25, 40, seed=1)
    for splits in (np.zeros(50, int), np.ones(50, int)):
        number = scene_numbers(hashes, splits)
        assert [len(set(number[part].tolist())) for part in (slice(25), slice(25, 50))] == [1, 1]
        assert len(set(number.tolist())) == 2
    splits = np.where(np.arange(50) < 12, 1, 2)
    assert len(set(scene_numbers(hashes, splits).tolist())) == 3
    splits = np.arange(50) % 3
    number, near = scene_numbers(hashes, splits), distances(hashes) <= SCENE_DISTANCE
    assert all(
        number[i] == number[j] for i, j in np.argwhere(near) if 0 in (splits[i], splits[j]) or splits[i] == splits[j]
    )


@pytest.mark.parametrize("step", [0, 1])
def test_many_nearly_equal_images_need_no_memory_for_their_pairs(step):
    generator = np.random.default_rng(0)
    hashes = np.tile(generator.integers(0, 2**64, (1, 8), np.uint64), (3000, 1))
    for row in range(3000 * step):
        hashes[row, generator.integers(8)] ^= np.uint64(1) << np.uint64(generator.integers(64))
    tracemalloc.start()
    assert copies_of_earlier(hashes).tolist() == [-1] + [0] * 2999
    assert set(scene_numbers(hashes, np.zeros(3000, int)).tolist()) == {0}
    assert set(copies_in_other_classes(hashes, np.zeros(3000, int))[0].tolist()) == {-1}
    assert tracemalloc.get_traced_memory()[1] < 100e6  # 4.5 million pairs of two numbers would be 72 MB
    tracemalloc.stop()
