"""The cache holds the images of the shards, each decoded once per machine."""

import hashlib
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from decoding import ref_of

from emotune.config.input_spec import InputSpec
from emotune.core.storage import Folder
from emotune.data.image_io import decode_square
from emotune.data.manifest import SPLITS, Manifest, read_manifest
from emotune.data.read.batches import open_split
from emotune.data.shard_reader import Sample, read_samples

IMAGE_SIDE = InputSpec.resize


def samples_of(folder: Path, split: str) -> list[Sample]:
    manifest: Manifest = read_manifest(Folder(str(folder)))
    return [
        s for shard in manifest.shards_of(split) for s in read_samples((folder / shard.file).read_bytes(), shard.file)
    ]


@pytest.mark.parametrize("split", SPLITS)
def test_the_images_are_those_of_the_shards(small_shards, split):
    images, samples = open_split(ref_of(small_shards), split), samples_of(small_shards, split)
    assert images.keys == tuple(sample.key for sample in samples)
    assert [images.classes[target] for target in images.targets] == [sample.label for sample in samples]
    assert images.targets.dtype == np.int64
    batch = np.stack(images.images.take(np.arange(len(images))))
    assert (batch.shape, batch.dtype) == ((len(samples), IMAGE_SIDE, IMAGE_SIDE, 3), np.uint8)
    for row, sample in zip(batch, samples, strict=True):
        assert np.array_equal(row, decode_square(sample.jpg, IMAGE_SIDE))


def test_images_taken_across_shards_are_those_taken_one_by_one(small_shards):
    images = open_split(ref_of(small_shards), "train")
    assert len(images.images.shards) == 3
    indices = np.array([71, 29, 30, 0, 59, 60, 30, 1])
    batch = np.stack(images.images.take(indices))
    for row, index in zip(batch, indices, strict=True):
        assert np.array_equal(row, images.images.take(np.array([index]))[0])
    assert not np.array_equal(batch[1], batch[2])
    assert images.images.take(np.array([], dtype=int)) == []


def test_a_second_opening_does_not_decode_again(shards):
    first = open_split(ref_of(shards), "val")
    for path in shards.glob("*.tar"):
        path.unlink()
    second = open_split(ref_of(shards), "val")
    assert second.keys == first.keys
    assert np.array_equal(second.images.take(np.arange(5)), first.images.take(np.arange(5)))


def test_a_removed_array_is_decoded_again(shards, tmp_path):
    before = np.stack(open_split(ref_of(shards), "val").images.take(np.arange(49)))
    for path in tmp_path.glob("cache/**/*.npy"):
        path.unlink()
    assert np.array_equal(open_split(ref_of(shards), "val").images.take(np.arange(49)), before)


def test_interrupted_decoding_starts_again_and_leaves_nothing_incomplete(shards, tmp_path):
    program = PROGRAM.replace(
        "real(data, *size)", "real(data, *size) if random.random() < 0.9 else os.kill(os.getpid(), signal.SIGKILL)"
    )
    result = subprocess.run([sys.executable, "-c", program, *arguments(shards, tmp_path)], check=False, timeout=60)
    assert result.returncode == -signal.SIGKILL
    assert list(tmp_path.glob("cache/**/*.part"))
    images = open_split(ref_of(shards), "train")
    samples = samples_of(shards, "train")
    assert all(
        np.array_equal(images.images.take(np.array([i]))[0], decode_square(samples[i].jpg, IMAGE_SIDE))
        for i in (0, 40, 71)
    )


def test_images_of_several_sizes_are_kept_side_by_side_under_the_name_of_their_shard(shards, tmp_path):
    ref, samples = ref_of(shards), samples_of(shards, "val")
    sizes = [InputSpec(), InputSpec(side=64, resize=72), InputSpec(side=64, resize=72, interpolation="lanczos")]
    for seen in sizes:
        decoded, read = (open_split(ref, "val", seen, decoded=kept) for kept in (None, ()))
        for index, sample in list(enumerate(samples))[:3]:
            expected = decode_square(sample.jpg, seen.resize, seen.interpolation)
            assert expected.shape == (seen.resize, seen.resize, 3)
            for split in (decoded, read):
                assert np.array_equal(split.images.take(np.array([index]))[0], expected)
    names = {path.name.partition("-")[2] for path in tmp_path.glob("cache/decoded/*.npy")}
    assert names == {"256.npy", "72.npy", "72-lanczos.npy"}, "caches of earlier versions stay valid"


PROGRAM = """
import hashlib, os, random, signal, sys, time
from pathlib import Path
import numpy as np
from emotune.data import shard_reader
from emotune.data.read import batches
from emotune.data.datasets.resolve import resolve_datasets
from emotune.config.run import Selection
shards, log, go = sys.argv[1:]
real = shard_reader.decode_square
def counted(data, *size):
    with open(log, "a") as file: file.write("decoded\\n")
    return real(data, *size)
shard_reader.decode_square = counted
(ref,) = resolve_datasets([Selection(data=shards)])
print("ready", flush=True)
while not Path(go).exists(): time.sleep(0.001)
images = batches.open_split(ref, "train")
print(hashlib.sha256(np.stack(images.images.take(np.arange(len(images)))).tobytes()).hexdigest(), len(images))
"""


def arguments(shards: Path, tmp_path: Path) -> list[str]:
    (tmp_path / "go").touch()
    return [str(shards), str(tmp_path / "log"), str(tmp_path / "go")]


def test_processes_that_open_at_the_same_time_decode_once_and_agree(shards, tmp_path):
    command = [sys.executable, "-c", PROGRAM, *arguments(shards, tmp_path)]
    (tmp_path / "go").unlink()
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    (tmp_path / "go").touch()
    outputs = {process.communicate(timeout=60)[0] for process in processes}
    expected = open_split(ref_of(shards), "train")
    everything = hashlib.sha256(np.stack(expected.images.take(np.arange(72))).tobytes()).hexdigest()
    assert outputs == {f"{everything} 72\n"}
    assert (tmp_path / "log").read_text().count("decoded") == 72
