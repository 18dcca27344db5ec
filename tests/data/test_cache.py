"""Decoded pictures are those of the shards, decoded once per machine; a damaged shard is named."""

import hashlib
import io
import json
import shutil
import subprocess
import sys
import tarfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emotune.data.cache import SIDE, Pictures, open_split
from emotune.data.datasets import resolve
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
    batch = pictures.take(np.arange(len(pictures)))
    assert (batch.shape, batch.dtype) == ((len(samples), SIDE, SIDE, 3), np.uint8)
    for row, sample in zip(batch, samples, strict=True):
        assert np.array_equal(row, decode_square(sample.jpg, SIDE))


def test_pictures_taken_across_shards_are_those_taken_one_by_one(small_shards):
    pictures = open_split(ref_of(small_shards), "train")
    assert len(pictures.arrays) == 3
    indices = np.array([71, 29, 30, 0, 59, 60, 30, 1])
    batch = pictures.take(indices)
    for row, index in zip(batch, indices, strict=True):
        assert np.array_equal(row, pictures.take(np.array([index]))[0])
    assert not np.array_equal(batch[1], batch[2])
    assert pictures.take(np.array([], dtype=int)).shape == (0, SIDE, SIDE, 3)


def test_a_second_opening_does_not_decode_again(shards):
    first = open_split(ref_of(shards), "val")
    for path in shards.glob("*.tar"):
        path.unlink()
    second = open_split(ref_of(shards), "val")
    assert second.keys == first.keys
    assert np.array_equal(second.take(np.arange(5)), first.take(np.arange(5)))


def test_an_array_that_was_cleaned_away_is_decoded_again(shards, tmp_path):
    before = open_split(ref_of(shards), "val").take(np.arange(49))
    for path in tmp_path.glob("cache/**/*.npy"):
        path.unlink()
    assert np.array_equal(open_split(ref_of(shards), "val").take(np.arange(49)), before)


def test_an_interrupted_decoding_is_begun_again_and_leaves_nothing_half_done(shards, tmp_path):
    program = PROGRAM.replace("real(data, side)", "real(data, side) if random.random() < 0.9 else os._exit(9)")
    result = subprocess.run([sys.executable, "-c", program, *arguments(shards, tmp_path)], check=False, timeout=60)
    assert result.returncode == 9
    pictures = open_split(ref_of(shards), "train")
    samples = samples_of(shards, "train")
    assert all(
        np.array_equal(pictures.take(np.array([i]))[0], decode_square(samples[i].jpg, SIDE)) for i in (0, 40, 71)
    )


PROGRAM = """
import hashlib, os, random, sys, time
from pathlib import Path
import numpy as np
from emotune.data import cache
from emotune.data.datasets import resolve
from emotune.run import Selection
shards, log, go = sys.argv[1:]
real = cache.decode_square
def counted(data, side):
    with open(log, "a") as file: file.write("decoded\\n")
    return real(data, side)
cache.decode_square = counted
(ref,) = resolve([Selection(data=shards)])
print("ready", flush=True)
while not Path(go).exists(): time.sleep(0.001)
pictures = cache.open_split(ref, "train")
print(hashlib.sha256(pictures.take(np.arange(len(pictures))).tobytes()).hexdigest(), len(pictures))
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
    everything = hashlib.sha256(expected.take(np.arange(72)).tobytes()).hexdigest()
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
    opened: Pictures = open_split(ref_of(shards), "val")
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
