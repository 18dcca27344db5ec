"""Decoded pictures are those of the shards, decoded once per machine; a damaged shard is named."""

import errno
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from emotune.data.batches import Split, open_split
from emotune.data.cache import SIDE, Cache, decodable_splits, open_shards
from emotune.data.datasets import manifest_of, resolve
from emotune.data.manifest import SPLITS, Manifest, Shard, read_manifest, write_manifest
from emotune.data.pictures import decode_square
from emotune.data.samples import Sample, read_samples
from emotune.errors import InputError
from emotune.run import DatasetRef, Selection
from emotune.storage import Folder


@pytest.fixture
def shards(small_shards, tmp_path, monkeypatch) -> Path:
    """Shards to be damaged, and a cache that has not seen them."""
    monkeypatch.setenv("EMOTUNE_CACHE", str(tmp_path / "cache"))
    return Path(shutil.copytree(small_shards, tmp_path / "shards"))


def ref_of(folder: Path) -> DatasetRef:
    return resolve([Selection(data=str(folder))])[0]


def samples_of(folder: Path, split: str) -> list[Sample]:
    manifest: Manifest = read_manifest(Folder(str(folder)))
    return [s for shard in manifest.of(split) for s in read_samples((folder / shard.file).read_bytes(), shard.file)]


@pytest.mark.parametrize("split", SPLITS)
def test_the_pictures_are_those_of_the_shards(small_shards, split):
    pictures, samples = open_split(ref_of(small_shards), split), samples_of(small_shards, split)
    assert pictures.keys == tuple(sample.key for sample in samples)
    assert [pictures.classes[target] for target in pictures.targets] == [sample.label for sample in samples]
    assert pictures.targets.dtype == np.int64
    batch = np.stack(pictures.pictures.take(np.arange(len(pictures))))
    assert (batch.shape, batch.dtype) == ((len(samples), SIDE, SIDE, 3), np.uint8)
    for row, sample in zip(batch, samples, strict=True):
        assert np.array_equal(row, decode_square(sample.jpg, SIDE))


def test_pictures_taken_across_shards_are_those_taken_one_by_one(small_shards):
    pictures = open_split(ref_of(small_shards), "train")
    assert len(pictures.pictures.arrays) == 3
    indices = np.array([71, 29, 30, 0, 59, 60, 30, 1])
    batch = np.stack(pictures.pictures.take(indices))
    for row, index in zip(batch, indices, strict=True):
        assert np.array_equal(row, pictures.pictures.take(np.array([index]))[0])
    assert not np.array_equal(batch[1], batch[2])
    assert pictures.pictures.take(np.array([], dtype=int)) == []


def test_a_second_opening_does_not_decode_again(shards):
    first = open_split(ref_of(shards), "val")
    for path in shards.glob("*.tar"):
        path.unlink()
    second = open_split(ref_of(shards), "val")
    assert second.keys == first.keys
    assert np.array_equal(second.pictures.take(np.arange(5)), first.pictures.take(np.arange(5)))


def test_an_array_that_was_cleaned_away_is_decoded_again(shards, tmp_path):
    before = np.stack(open_split(ref_of(shards), "val").pictures.take(np.arange(49)))
    for path in tmp_path.glob("cache/**/*.npy"):
        path.unlink()
    assert np.array_equal(open_split(ref_of(shards), "val").pictures.take(np.arange(49)), before)


def test_an_interrupted_decoding_is_begun_again_and_leaves_nothing_half_done(shards, tmp_path):
    program = PROGRAM.replace(
        "real(data, side)", "real(data, side) if random.random() < 0.9 else os.kill(os.getpid(), signal.SIGKILL)"
    )
    result = subprocess.run([sys.executable, "-c", program, *arguments(shards, tmp_path)], check=False, timeout=60)
    assert result.returncode == -signal.SIGKILL
    assert list(tmp_path.glob("cache/**/*.part"))
    pictures = open_split(ref_of(shards), "train")
    samples = samples_of(shards, "train")
    assert all(
        np.array_equal(pictures.pictures.take(np.array([i]))[0], decode_square(samples[i].jpg, SIDE))
        for i in (0, 40, 71)
    )


PROGRAM = """
import hashlib, os, random, signal, sys, time
from pathlib import Path
import numpy as np
from emotune.data import batches, samples
from emotune.data.datasets import resolve
from emotune.run import Selection
shards, log, go = sys.argv[1:]
real = samples.decode_square
def counted(data, side):
    with open(log, "a") as file: file.write("decoded\\n")
    return real(data, side)
samples.decode_square = counted
(ref,) = resolve([Selection(data=shards)])
print("ready", flush=True)
while not Path(go).exists(): time.sleep(0.001)
pictures = batches.open_split(ref, "train")
print(hashlib.sha256(np.stack(pictures.pictures.take(np.arange(len(pictures)))).tobytes()).hexdigest(), len(pictures))
"""


def arguments(shards: Path, tmp_path: Path) -> list[str]:
    (tmp_path / "go").touch()
    return [str(shards), str(tmp_path / "log"), str(tmp_path / "go")]


def test_processes_that_open_at_the_same_time_decode_once_and_agree(shards, tmp_path):
    command = [sys.executable, "-c", PROGRAM, *arguments(shards, tmp_path)]
    (tmp_path / "go").unlink()
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    (tmp_path / "go").touch()
    answers = {process.communicate(timeout=60)[0] for process in processes}
    expected = open_split(ref_of(shards), "train")
    everything = hashlib.sha256(np.stack(expected.pictures.take(np.arange(72))).tobytes()).hexdigest()
    assert answers == {f"{everything} 72\n"}
    assert (tmp_path / "log").read_text().count("decoded") == 72


def refusal(folder: Path, split: str = "test") -> str:
    started = time.monotonic()
    with pytest.raises(InputError) as caught:
        open_split(ref_of(folder), split)
    assert time.monotonic() - started < 10, "it waited for a lock"
    return str(caught.value)


def test_a_shard_with_one_wrong_byte_is_named_with_the_remedy_and_nothing_is_kept_of_it(shards, tmp_path):
    path = sorted(shards.glob("test-*.tar"))[1]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    for _ in range(2):
        message = refusal(shards)
        assert str(path) in message
        assert "damaged" in message
        assert "run emotune.shard again" in message
    assert not list(tmp_path.glob("cache/**/*.part"))


def test_a_missing_shard_is_named_with_the_remedy(shards):
    path = sorted(shards.glob("test-*.tar"))[0]
    path.unlink()
    message = refusal(shards)
    assert str(path) in message
    assert "missing" in message
    assert "emotune.shard" in message


def test_damage_in_one_split_does_not_keep_the_others_closed(shards):
    sorted(shards.glob("test-*.tar"))[0].unlink()
    opened: Split = open_split(ref_of(shards), "val")
    assert len(opened) == 49


def replace_shard(folder: Path, name: str, data: bytes) -> None:
    """With a manifest that agrees, so that only the content is wrong."""
    (folder / name).write_bytes(data)
    change_shard(folder, name, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())


def change_shard(folder: Path, name: str, **change: object) -> None:
    """Changes what the manifest says of a shard."""
    manifest = read_manifest(Folder(str(folder)))
    assert name in {shard.file for shard in manifest.shards}
    shards: list[Shard] = [replace(s, **change) if s.file == name else s for s in manifest.shards]
    write_manifest(Folder(str(folder)), replace(manifest, shards=tuple(shards)))


def rewritten(path: Path, change: dict[str, bytes]) -> bytes:
    """The tar with other bytes in the first file of an ending."""
    buffer, left = io.BytesIO(), dict(change)
    with tarfile.open(path) as old, tarfile.open(fileobj=buffer, mode="w") as new:
        for entry in old:
            data = left.pop(entry.name.rpartition(".")[2], None) or old.extractfile(entry).read()
            entry.size = len(data)
            new.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def test_a_picture_that_cannot_be_decoded_is_named_with_its_shard(shards, tmp_path):
    path = sorted(shards.glob("test-*.tar"))[0]
    first = next(read_samples(path.read_bytes(), path.name))
    replace_shard(shards, path.name, rewritten(path, {"jpg": b"no picture"}))
    message = refusal(shards)
    assert str(path) in message
    assert first.key in message
    assert first.source in message
    assert not list(tmp_path.glob("cache/**/*.part"))


def test_a_label_that_the_manifest_does_not_know_is_named(shards):
    path = sorted(shards.glob("test-*.tar"))[0]
    known = {"label": "joy", "votes": {}, "source": "s", "split_group": "g", "sha256": "h"}
    other = json.dumps(known).encode()
    replace_shard(shards, path.name, rewritten(path, {"json": other}))
    message = refusal(shards)
    assert "'joy'" in message
    assert str(shards) in message


def test_a_shard_that_is_no_tar_is_named(shards):
    path = sorted(shards.glob("test-*.tar"))[0]
    replace_shard(shards, path.name, b"no tar at all")
    assert str(path) in refusal(shards)


@pytest.mark.parametrize("change", [-1, 1])
def test_a_shard_with_another_number_of_samples_than_the_manifest_says_is_named(shards, change):
    shard = read_manifest(Folder(str(shards))).of("test")[0]
    change_shard(shards, shard.file, samples=shard.samples + change)
    assert shard.file in refusal(shards)


def gigabytes(*counts: int) -> float:
    """What arrays of so many pictures take, and half a byte for rounding."""
    return (sum(128 + count * SIDE * SIDE * 3 for count in counts) + 0.5) / 1e9


def arrays(tmp_path: Path) -> set[str]:
    return {path.name.partition("-")[0] for path in tmp_path.glob("cache/decoded/*.npy")}


def test_what_fits_the_budget_is_decoded_and_val_and_test_before_train(shards, tmp_path):
    ref = ref_of(shards)
    everything = gigabytes(30, 30, 12, 30, 19, 30, 9)
    assert decodable_splits(ref) == decodable_splits(ref, everything) == SPLITS
    assert (
        decodable_splits(ref, everything - 1e-9) == decodable_splits(ref, gigabytes(30, 19, 30, 9)) == ("val", "test")
    )
    assert decodable_splits(ref, gigabytes(30, 19, 30, 8)) == decodable_splits(ref, 0) == ()
    open_shards(ref, SPLITS, decoded=("val", "test"))
    assert arrays(tmp_path) == {shard.sha256 for s in ("val", "test") for shard in manifest_of(ref).of(s)}


def test_without_a_budget_a_tenth_of_the_disk_stays_free(shards, monkeypatch):
    ref, usage = ref_of(shards), shutil.disk_usage("/")
    needed = int(1e9 * gigabytes(30, 30, 12, 30, 19, 30, 9))

    def disk_with(free: int) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(total=10**9, free=free))

    disk_with(10**8 + needed)
    assert decodable_splits(ref) == SPLITS
    disk_with(10**8 + needed - 1)
    assert decodable_splits(ref) == ("val", "test")
    open_shards(ref, SPLITS)
    disk_with(10**6)
    assert decodable_splits(ref) == SPLITS, "what is there needs no room"


@pytest.fixture
def opened(shards, tmp_path):
    """Opens a shard of the train split in a cache for 60 pictures."""
    folder = Folder(str(shards))

    def open_(shard: Shard, needed: frozenset[str] = frozenset()) -> np.ndarray:
        time.sleep(0.01)  # the clock of file systems is coarse
        return Cache(tmp_path / "cache" / "decoded", gigabytes(30, 30), needed).pictures(folder, shard)

    return open_


def test_the_shard_that_was_not_used_for_longest_makes_room_and_who_has_it_open_keeps_it(shards, opened, tmp_path):
    first, second, third = manifest_of(ref_of(shards)).of("train")
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


def test_what_a_call_needs_itself_does_not_make_room(shards, opened, tmp_path):
    first, second, third = manifest_of(ref_of(shards)).of("train")
    opened(first)
    opened(second)
    opened(third, frozenset({first.sha256, third.sha256}))
    assert arrays(tmp_path) == {first.sha256, third.sha256}
    opened(second, frozenset({first.sha256, second.sha256, third.sha256}))
    assert arrays(tmp_path) == {first.sha256, second.sha256, third.sha256}


def test_what_a_killed_process_left_makes_room_and_what_a_living_one_writes_does_not(shards, opened, tmp_path):
    first, second, third = manifest_of(ref_of(shards)).of("train")
    opened(first)
    cache = Cache(tmp_path / "cache" / "decoded")
    dead, alive = (cache.folder / f"{shard.sha256}-{SIDE}.part" for shard in (second, third))
    dead.write_bytes(b"half")
    alive.write_bytes(b"half")
    with FileLock(cache.folder / f"{third.sha256}.lock"):
        opened(manifest_of(ref_of(shards)).of("val")[0])
        assert not dead.exists()
        assert alive.exists()


def test_an_index_of_an_earlier_version_is_no_obstacle(shards, tmp_path):
    first = manifest_of(ref_of(shards)).of("val")[0]
    (tmp_path / "cache" / "decoded").mkdir(parents=True)
    (tmp_path / "cache" / "decoded" / f"{first.sha256}-{SIDE}.json").write_text('[["key", "awe"]]')
    assert open_split(ref_of(shards), "val").votes[0]


def test_a_full_disk_is_named_with_the_remedy(shards, monkeypatch, tmp_path):
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"decoded: the disk is full.*EMOTUNE_CACHE.*--cache-gb"):
        open_split(ref_of(shards), "val", threads=2)
    assert not list(tmp_path.glob("cache/**/*.part"))


CROWDED = """
import hashlib, sys
import numpy as np
from emotune.data.cache import open_shards
from emotune.data.datasets import resolve
shards, split, budget = sys.argv[1:]
(ref,) = resolve([shards])
for _ in range(6):
    opened = open_shards(ref, [split], decoded=[split], cache_gb=float(budget), threads=2)
    print(hashlib.sha256(b"".join(shard.pictures.tobytes() for shard in opened)).hexdigest(), flush=True)
"""


def test_two_processes_that_drive_each_others_shards_out_of_a_small_cache_both_read_the_right_pictures(
    shards, tmp_path
):
    budget = gigabytes(30, 30, 12)
    processes = {
        split: subprocess.Popen(
            [sys.executable, "-c", CROWDED, str(shards), split, str(budget)], stdout=subprocess.PIPE, text=True
        )
        for split in ("train", "val")
    }
    answers = {split: process.communicate(timeout=60)[0].split() for split, process in processes.items()}
    sizes = [path.stat().st_size for path in tmp_path.glob("cache/decoded/*.npy")]
    assert sum(sizes) <= budget * 1e9
    for split, found in answers.items():
        expected = b"".join(shard.pictures.tobytes() for shard in open_shards(ref_of(shards), [split]))
        assert found == [hashlib.sha256(expected).hexdigest()] * 6
