"""Streamed pictures are those of the cache, from any place that holds shards."""

import hashlib
import io
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emotune.data.batches import open_split
from emotune.data.datasets import manifest_of, resolve
from emotune.data.manifest import SPLITS, read_manifest, write_manifest
from emotune.data.samples import read_samples, read_shard
from emotune.data.stream import Stream, require_shards
from emotune.errors import InputError
from emotune.run import DatasetRef
from emotune.storage import Folder


@pytest.fixture(params=["folder", "memory://streamed/shards"])
def ref(request, small_shards: Path, tmp_path: Path, monkeypatch) -> DatasetRef:
    """Shards on disk or behind a URL, and a cache that has not seen them."""
    monkeypatch.setenv("EMOTUNE_CACHE", str(tmp_path / "cache"))
    location = str(small_shards) if request.param == "folder" else request.param
    if location != str(small_shards):
        for path in small_shards.iterdir():
            Folder(location).write(path.name, path.read_bytes())
    return resolve([location])[0]


@pytest.mark.parametrize("name", SPLITS)
def test_a_streamed_split_is_the_cached_one_without_a_decoded_picture_on_disk(ref, name, tmp_path):
    streamed = open_split(ref, name, decoded=(), threads=2)
    batches = [
        *streamed.evaluation_batches(16, rank=0, world_size=2), *streamed.evaluation_batches(16, rank=1, world_size=2),
        *(streamed.training_batches(16, 1, 0) if name == "train" else ()),
    ]  # fmt: skip
    assert len(list(tmp_path.glob("cache/**/*.known.json"))) == len(manifest_of(ref).of(name))
    assert not list(tmp_path.glob("cache/**/*.npy"))
    cached = open_split(ref, name)
    assert replace(streamed, targets=None, pictures=None) == replace(cached, targets=None, pictures=None)
    assert np.array_equal(streamed.targets, cached.targets)
    for batch in batches:
        assert np.array_equal(np.stack(batch.images), cached.pictures.take(batch.indices))


def test_votes_are_those_of_the_samples(small_shards):
    (ref,) = resolve([str(small_shards)])
    samples = [
        sample
        for shard in manifest_of(ref).of("val")
        for sample in read_samples(read_shard(Folder(str(small_shards)), shard), shard.file)
    ]
    assert open_split(ref, "val").votes == tuple(sample.votes for sample in samples)
    assert all(sum(votes.values()) == 5 for votes in open_split(ref, "val", decoded=()).votes)


def test_a_stream_does_not_depend_on_the_number_of_threads(small_shards):
    shards = tuple(manifest_of(resolve([str(small_shards)])[0]).of("train"))
    one, many = (Stream(Folder(str(small_shards)), shards, threads).shuffled(7, 3) for threads in (1, 3))
    for (index, picture), (other, same), _ in zip(one, many, range(100), strict=False):
        assert index == other
        assert np.array_equal(picture, same)
    one.close()
    many.close()


def test_a_picture_that_cannot_be_decoded_is_named_with_its_shard(small_shards, tmp_path):
    folder = Path(shutil.copytree(small_shards, tmp_path / "shards"))
    path, buffer = min(folder.glob("val-*.tar")), io.BytesIO()
    with tarfile.open(path) as old, tarfile.open(fileobj=buffer, mode="w") as new:
        for entry in old:
            data = b"no picture" if entry.name.endswith("jpg") else old.extractfile(entry).read()
            entry.size = len(data)
            new.addfile(entry, io.BytesIO(data))
    path.write_bytes(buffer.getvalue())
    manifest, sha256 = read_manifest(Folder(str(folder))), hashlib.sha256(buffer.getvalue()).hexdigest()
    told = [replace(shard, sha256=sha256) if shard.file == path.name else shard for shard in manifest.shards]
    write_manifest(Folder(str(folder)), replace(manifest, shards=tuple(told)))
    val = open_split(resolve([str(folder)])[0], "val", decoded=(), threads=2)
    with pytest.raises(InputError) as caught:
        list(val.evaluation_batches(8))
    assert str(path) in str(caught.value)
    assert any(key in str(caught.value) for key in val.keys)


def test_more_ranks_than_shards_are_refused_with_the_remedy(small_shards):
    manifest = manifest_of(resolve([str(small_shards)])[0])
    require_shards(manifest, 3)
    with pytest.raises(InputError, match=r"3 train shards.*4 workers.*smaller shards.*--cache-gb"):
        require_shards(manifest, 4)
    with pytest.raises(InputError):
        require_shards(replace(manifest, shards=()), 1)
