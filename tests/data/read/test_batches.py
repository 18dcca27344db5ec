"""Every image occurs once in an epoch, in an order that only depends on seed and epoch, wherever images are kept."""

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from emotune.config.input_spec import InputSpec
from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.data.image_io import encode_jpeg
from emotune.data.manifest import Shard
from emotune.data.read.batches import Batch, Split
from emotune.data.read.cache import Cache
from emotune.data.read.epoch_order import SHARDS_MIXED, epoch_batches, rank_slice, shard_order, steps_per_epoch
from emotune.data.read.image_reader import ImageReader
from emotune.data.read.indexed_shard import IndexedShard

IMAGE_SIDE = InputSpec.resize

SIZES = [(1, 1), (1, 50), (50, 50), (51, 50), (101, 50), (99, 7), (100, 1), (7, 100)]


@pytest.mark.parametrize(("images", "batch_size"), SIZES)
def test_every_epoch_is_a_permutation(images, batch_size):
    for epoch in range(3):
        batches = epoch_batches(images, batch_size, seed=5, epoch=epoch)
        assert sorted(np.concatenate(batches).tolist()) == list(range(images))


@pytest.mark.parametrize(("images", "batch_size"), SIZES)
def test_there_is_a_batch_for_each_step_and_their_sizes_differ_by_one_at_most(images, batch_size):
    sizes = [len(batch) for batch in epoch_batches(images, batch_size, seed=5, epoch=0)]
    assert len(sizes) == steps_per_epoch(images, batch_size) == int(np.ceil(images / batch_size))
    assert max(sizes) - min(sizes) <= 1
    assert 1 <= min(sizes) <= max(sizes) <= batch_size


def test_the_order_depends_on_seed_and_epoch_and_on_nothing_else():
    def order(seed: int, epoch: int, batch_size: int = 10) -> list[int]:
        return np.concatenate(epoch_batches(100, batch_size, seed, epoch)).tolist()

    assert order(1, 2) == order(1, 2) == order(1, 2, batch_size=33)
    orders = {tuple(order(seed, epoch)) for seed in range(4) for epoch in range(4)}
    assert len(orders) == 16
    assert tuple(range(100)) not in orders


def test_a_seed_may_have_all_63_bits():
    assert not np.array_equal(epoch_batches(50, 50, 2**63 - 1, 0)[0], epoch_batches(50, 50, 2**63 - 2, 0)[0])


@pytest.mark.parametrize("world_size", [1, 2, 3, 5])
@pytest.mark.parametrize("size", [1, 4, 34, 50])
def test_the_ranks_parts_of_a_batch_are_disjoint_complete_and_nearly_equal(world_size, size):
    batch = np.random.default_rng(0).permutation(1000)[:size]
    shares = [rank_slice(batch, rank, world_size) for rank in range(world_size)]
    assert sorted(np.concatenate(shares).tolist()) == sorted(batch.tolist())
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


WORLDS = (1, 2, 3, 4)
SAMPLE_JSON = b'{"label": "a", "votes": {}, "source": "s", "split_group": "g", "sha256": ""}'


@cache
def grey(index: int) -> bytes:
    """An image that shows its index."""
    return encode_jpeg(Image.new("RGB", (IMAGE_SIDE, IMAGE_SIDE), (2 * index, 2 * index, 2 * index)))


def split_of(images: ImageReader, size: int) -> Split:
    keys = tuple(map(str, range(size)))
    return Split(keys, np.arange(size) % 8, ({},) * size, keys, tuple("abcdefgh"), images)


def starts_of(sizes: list[int]) -> np.ndarray:
    return np.cumsum([0, *sizes])[:-1]


def decoded(sizes: list[int]) -> Split:
    arrays = []
    for start, size in zip(starts_of(sizes), sizes, strict=True):
        shown = 2 * np.arange(start, start + size, dtype=np.uint8)
        arrays.append(np.broadcast_to(shown[:, None, None, None], (len(shown), IMAGE_SIDE, IMAGE_SIDE, 3)).copy())
    return split_of(ImageReader(tuple(arrays), starts_of(sizes)), sum(sizes))


def indexed(folder: Path, sizes: list[int], threads: int = 1) -> Split:
    """A split in real shards of these sizes."""
    files, index = [], 0
    for number, size in enumerate(sizes):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for _ in range(size):
                for suffix, data in (("jpg", grey(index)), ("json", SAMPLE_JSON)):
                    entry = tarfile.TarInfo(f"{index:04d}.{suffix}")
                    entry.size = len(data)
                    tar.addfile(entry, io.BytesIO(data))
                index += 1
        data, name = buffer.getvalue(), f"train-{number}.tar"
        (folder / name).write_bytes(data)
        shard = Shard(name, "train", size, len(data), hashlib.sha256(data).hexdigest())
        files.append(IndexedShard.open(Cache(folder / "cache"), Folder(str(folder)), shard))
    return split_of(ImageReader(tuple(files), starts_of(sizes), threads=threads), index)


def indices_of(batches: Iterator[Batch]) -> list[list[int]]:
    """The indices of the batches; each image is checked to be the one of its index."""
    indices = []
    for batch in batches:
        images = torch.stack(batch.images) if len(batch.indices) else torch.empty(0, IMAGE_SIDE, IMAGE_SIDE, 3)
        assert images.shape == (len(batch.indices), IMAGE_SIDE, IMAGE_SIDE, 3)
        shown = images[:, 100, 100, 0].numpy() / 2
        assert np.abs(shown - batch.indices).max(initial=0) < 0.6
        indices.append(batch.indices.tolist())
    return indices


@pytest.fixture
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize(
    ("size", "batch_size"), [(1, 1), (1, 50), (2, 1), (7, 3), (49, 50), (50, 50), (51, 50), (101, 16)]
)
def test_ranks_share_each_batch_whatever_their_number(size: int, batch_size: int):
    split, expected = decoded([size]), epoch_batches(size, batch_size, seed=3, epoch=1)
    for world_size in WORLDS:
        ranks = [
            list(split.training_batches(batch_size, 3, 1, rank=rank, world_size=world_size))
            for rank in range(world_size)
        ]
        for step, whole in enumerate(expected):
            parts = [batches[step] for batches in ranks]
            assert sorted(np.concatenate([part.indices for part in parts])) == sorted(whole)
            assert {part.total for part in parts} == {len(whole)}
        assert {len(batches) for batches in ranks} == {len(expected)}
        assert indices_of(iter(ranks[-1])) == [
            rank_slice(whole, world_size - 1, world_size).tolist() for whole in expected
        ]


@pytest.mark.parametrize(("size", "batch_size"), [(0, 5), (1, 1), (2, 50), (7, 3), (50, 50), (51, 50), (101, 16)])
def test_evaluation_visits_each_image_once_for_any_number_of_ranks(size: int, batch_size: int):
    for world_size in WORLDS:
        ranks = [
            indices_of(decoded([size]).evaluation_batches(batch_size, rank=rank, world_size=world_size))
            for rank in range(world_size)
        ]
        assert sorted(index for batches in ranks for batch in batches for index in batch) == list(range(size))
        assert all(1 <= len(batch) <= batch_size for batches in ranks for batch in batches)


@pytest.mark.parametrize("sizes", [[1], [1, 1, 1, 4], [25, 0, 25, 1, 7], [9] * 10])
def test_the_order_of_shards_visits_each_image_once_and_needs_few_shards_at_a_time(sizes: list[int]):
    shards = np.repeat(np.arange(len(sizes)), sizes)
    orders = [shard_order(shards, np.random.default_rng(seed)) for seed in range(3)]
    for order in orders:
        assert sorted(order.tolist()) == list(range(sum(sizes)))
        used = shards[order]
        spans = [np.flatnonzero(used == shard)[[0, -1]] for shard in set(used)]
        assert all(sum(a <= at <= b for a, b in spans) <= SHARDS_MIXED for at in range(len(used)))
    if len(sizes) > SHARDS_MIXED:
        assert len({tuple(shards[order]) for order in orders}) == 3, "shards come in another order"


def test_the_order_of_shards_is_the_same_for_any_number_of_ranks():
    split = decoded([9] * 10)
    whole = [batch.indices.tolist() for batch in split.training_batches(7, 1, 2, order="shards")]
    assert sorted(index for batch in whole for index in batch) == list(range(90))
    assert whole != [batch.indices.tolist() for batch in split.training_batches(7, 1, 2)]
    for world_size in WORLDS:
        ranks = [
            [
                batch.indices
                for batch in split.training_batches(7, 1, 2, order="shards", rank=rank, world_size=world_size)
            ]
            for rank in range(world_size)
        ]
        for step, indices in enumerate(whole):
            assert [ranks[rank][step].tolist() for rank in range(world_size)] == [
                indices[rank::world_size] for rank in range(world_size)
            ]


@pytest.fixture(params=["decoded", "indexed"])
def split(request, tmp_path: Path) -> Split:
    return decoded([20, 20, 11]) if request.param == "decoded" else indexed(tmp_path, [20, 20, 11], threads=2)


@pytest.mark.parametrize("order", ["images", "shards"])
def test_an_epoch_that_is_continued_is_the_rest_of_the_uninterrupted_one(split: Split, order, no_thread_is_left):
    for rank, world_size in ((0, 1), (1, 2)):
        undisturbed = indices_of(split.training_batches(8, 5, 2, order=order, rank=rank, world_size=world_size))
        for first in (0, 1, 4, len(undisturbed)):
            rest = split.training_batches(8, 5, 2, order=order, first=first, rank=rank, world_size=world_size)
            assert indices_of(rest) == undisturbed[first:]


def test_the_order_of_batches_is_that_of_seed_and_epoch(split: Split):
    def order(seed: int, epoch: int) -> tuple[int, ...]:
        return tuple(i for batch in split.training_batches(8, seed, epoch) for i in batch.indices.tolist())

    assert order(1, 2) == order(1, 2)
    orders = {order(seed, epoch) for seed in range(2) for epoch in range(2)} | {tuple(range(51))}
    assert len(orders) == 5


def test_ranks_without_an_image_have_empty_batches(tmp_path: Path):
    split = indexed(tmp_path, [1, 1])
    assert [len(batch.indices) for batch in split.training_batches(1, 0, 0, rank=1, world_size=2)] == [0, 0]
    assert list(split.evaluation_batches(8, rank=2, world_size=3)) == []


def test_batches_left_early_or_with_an_error_leave_no_thread(split: Split, no_thread_is_left):
    for interruption in (KeyboardInterrupt, ArithmeticError):
        with pytest.raises(interruption), closing(split.training_batches(8, 0, 0)) as batches:
            for _ in batches:
                raise interruption
    with closing(split.evaluation_batches(8)) as batches:
        next(batches)


def test_a_shard_that_is_damaged_while_it_is_read_is_named(tmp_path: Path, no_thread_is_left):
    split, path = indexed(tmp_path, [20, 20], threads=2), tmp_path / "train-1.tar"
    data = bytearray(path.read_bytes())
    sample = split.images.shards[1].samples[7]
    data[sample.start + sample.bytes - 3] ^= 1  # Pillow would decode it to another image
    path.write_bytes(data)
    for batches in (split.training_batches(8, 0, 0), split.evaluation_batches(8)):
        with pytest.raises(InputError, match=r"train-1\.tar: damaged \(0027 "):
            indices_of(batches)
    path.unlink()
    with pytest.raises(InputError, match=r"train-1\.tar: missing"):
        indices_of(split.evaluation_batches(8))
