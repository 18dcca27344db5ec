"""A cache of limited size: shards that do not fit are not decoded, or replace the least recently used ones."""

import errno
import hashlib
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from decoding import ref_of
from filelock import FileLock

from emotune.config.input_spec import InputSpec
from emotune.config.model import AlexNetConfig
from emotune.config.run import DatasetRef, RunConfig
from emotune.config.train import TrainConfig
from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.data.datasets.location import manifest_of
from emotune.data.manifest import SPLITS, Shard
from emotune.data.read.batches import open_split
from emotune.data.read.cache import Cache
from emotune.data.read.open_dataset import decoded_shards, open_shards, room_needed

IMAGE_SIDE = InputSpec.resize


def gigabytes(*counts: int) -> float:
    """The size of arrays of so many images in gigabytes, with half a byte for rounding."""
    return (sum(128 + count * IMAGE_SIDE * IMAGE_SIDE * 3 for count in counts) + 0.5) / 1e9


def decoded_splits(ref: DatasetRef, cache_gb: float | None = None) -> tuple[str, ...]:
    """The splits that are kept decoded, each of them whole."""
    decoded, manifest = decoded_shards(ref, cache_gb), manifest_of(ref)
    splits = tuple(split for split in SPLITS if decoded & {shard.sha256 for shard in manifest.shards_of(split)})
    assert decoded == {shard.sha256 for split in splits for shard in manifest.shards_of(split)}
    return splits


def arrays(tmp_path: Path) -> set[str]:
    return {path.name.partition("-")[0] for path in tmp_path.glob("cache/decoded/*.npy")}


def test_shards_that_fit_are_decoded_and_those_of_val_and_test_before_train(shards, tmp_path):
    ref = ref_of(shards)
    everything = gigabytes(30, 30, 12, 30, 19, 30, 9)
    assert decoded_splits(ref) == decoded_splits(ref, everything) == SPLITS
    assert decoded_splits(ref, everything - 1e-9) == decoded_splits(ref, gigabytes(30, 19, 30, 9)) == ("val", "test")
    assert decoded_splits(ref, gigabytes(30, 19, 30, 8)) == decoded_splits(ref, 0) == ()
    open_shards(ref, SPLITS, decoded=decoded_shards(ref, gigabytes(30, 19, 30, 9)))
    assert arrays(tmp_path) == {shard.sha256 for s in ("val", "test") for shard in manifest_of(ref).shards_of(s)}


def test_without_a_budget_a_tenth_of_the_disk_stays_free_and_of_a_large_one_5_gb(shards, monkeypatch):
    ref, usage = ref_of(shards), shutil.disk_usage("/")
    needed = int(1e9 * gigabytes(30, 30, 12, 30, 19, 30, 9))

    def disk_with(free: int, total: int = 10**9) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(total=total, free=free))

    disk_with(10**8 + needed)
    assert decoded_splits(ref) == SPLITS
    disk_with(10**8 + needed - 1)
    assert decoded_splits(ref) == ("val", "test")
    disk_with(5 * 10**9 + needed, total=4 * 10**12)
    assert decoded_splits(ref) == SPLITS
    disk_with(5 * 10**9 + needed - 1, total=4 * 10**12)
    assert decoded_splits(ref) == ("val", "test")
    open_shards(ref, SPLITS)
    disk_with(10**6)
    assert decoded_splits(ref) == SPLITS, "what is there needs no room"


@pytest.fixture
def opened(shards, tmp_path):
    """Opens a shard of the train split in a cache for 60 images."""
    folder = Folder(str(shards))

    def open_(shard: Shard, needed: frozenset[str] = frozenset()) -> np.ndarray:
        time.sleep(0.01)  # the clock of file systems is coarse
        return Cache(tmp_path / "cache" / "decoded", gigabytes(30, 30), needed).images(folder, shard)

    return open_


def test_the_least_recently_used_shard_is_removed_and_stays_readable_for_who_has_it_open(shards, opened, tmp_path):
    first, second, third = manifest_of(ref_of(shards)).shards_of("train")
    opened(first)
    held = opened(second)
    before = held.copy()
    opened(first)
    assert arrays(tmp_path) == {first.sha256, second.sha256}
    opened(third)
    assert arrays(tmp_path) == {first.sha256, third.sha256}
    assert np.array_equal(held, before)
    assert Cache(tmp_path / "cache" / "decoded").samples(Folder("/nowhere"), second), "keys and labels stay"
    assert np.array_equal(opened(second), before), "decoded again when it is wanted again"
    assert arrays(tmp_path) == {second.sha256, third.sha256}


def test_shards_that_a_call_needs_are_not_removed(shards, opened, tmp_path):
    first, second, third = manifest_of(ref_of(shards)).shards_of("train")
    opened(first)
    opened(second)
    opened(third, frozenset({first.sha256, third.sha256}))
    assert arrays(tmp_path) == {first.sha256, third.sha256}
    opened(second, frozenset({first.sha256, second.sha256, third.sha256}))
    assert arrays(tmp_path) == {first.sha256, second.sha256, third.sha256}


def test_a_shard_that_is_needed_in_one_size_may_be_removed_in_another(shards, opened, tmp_path):
    first, second, _ = manifest_of(ref_of(shards)).shards_of("train")
    opened(first)
    opened(second)
    seen = InputSpec(side=180, resize=181)
    cache = Cache(tmp_path / "cache" / "decoded", gigabytes(30, 30), frozenset({first.sha256}), seen)
    cache.images(Folder(str(shards)), first)
    names = {path.name for path in cache.folder.glob("*.npy")}
    assert names == {f"{second.sha256}-{IMAGE_SIDE}.npy", f"{first.sha256}-181.npy"}


def test_the_room_for_runs_counts_every_size_of_their_images(shards, tmp_path):
    run = RunConfig(dataset=ref_of(shards), seed=0, model=AlexNetConfig(), train=TrainConfig())
    other = replace(run, input=InputSpec(side=64, resize=72))
    everything = [shard.samples for shard in manifest_of(run.dataset).shards]
    usual, small = (sum(128 + count * side * side * 3 for count in everything) for side in (IMAGE_SIDE, 72))
    assert [room_needed(runs) for runs in ([run], [other], [run, other, run])] == [usual, small, usual + small]
    budget = (small + 0.5) / 1e9
    assert decoded_shards(run.dataset, budget) < decoded_shards(run.dataset, budget, input_spec=other.input)
    open_shards(run.dataset, SPLITS, other.input)
    assert (room_needed([other]), room_needed([run, other])) == (0, usual)


def test_leftovers_of_killed_processes_are_removed_and_unfinished_files_of_others_are_not(shards, opened, tmp_path):
    first, second, third = manifest_of(ref_of(shards)).shards_of("train")
    opened(first)
    cache = Cache(tmp_path / "cache" / "decoded")
    dead, alive = (cache.folder / f"{shard.sha256}-{IMAGE_SIDE}.part" for shard in (second, third))
    dead.write_bytes(b"half")
    alive.write_bytes(b"half")
    with FileLock(cache.folder / f"{third.sha256}.lock"):
        opened(manifest_of(ref_of(shards)).shards_of("val")[0])
        assert not dead.exists()
        assert alive.exists()


def test_a_full_disk_is_named_with_what_to_do(shards, monkeypatch, tmp_path):
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"decoded: .*EMOTUNE_CACHE.*--cache-gb"):
        open_split(ref_of(shards), "val", threads=2)
    assert not list(tmp_path.glob("cache/**/*.part"))


CROWDED = """
import hashlib, sys
import numpy as np
from emotune.data.read.open_dataset import open_shards
from emotune.data.datasets.location import manifest_of
from emotune.data.datasets.resolve import resolve_datasets
shards, split, budget = sys.argv[1:]
(ref,) = resolve_datasets([shards])
decoded = [shard.sha256 for shard in manifest_of(ref).shards_of(split)]
for _ in range(6):
    opened = open_shards(ref, [split], decoded=decoded, cache_gb=float(budget), threads=2)
    print(hashlib.sha256(b"".join(shard.images.tobytes() for shard in opened)).hexdigest(), flush=True)
"""


def test_two_processes_that_share_a_cache_that_is_too_small_both_read_the_right_images(shards, tmp_path):
    budget = gigabytes(30, 30, 12)
    processes = {
        split: subprocess.Popen(
            [sys.executable, "-c", CROWDED, str(shards), split, str(budget)], stdout=subprocess.PIPE, text=True
        )
        for split in ("train", "val")
    }
    outputs = {split: process.communicate(timeout=60)[0].split() for split, process in processes.items()}
    sizes = [path.stat().st_size for path in tmp_path.glob("cache/decoded/*.npy")]
    assert sum(sizes) <= budget * 1e9
    for split, output in outputs.items():
        expected = b"".join(shard.images.tobytes() for shard in open_shards(ref_of(shards), [split]))
        assert output == [hashlib.sha256(expected).hexdigest()] * 6
