"""A damaged shard is named together with what to do, and leaves nothing in the cache."""

import hashlib
import io
import json
import tarfile
import time
from dataclasses import replace
from pathlib import Path

import pytest
from decoding import ref_of

from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.data.manifest import Shard, read_manifest, write_manifest
from emotune.data.read.batches import Split, open_split
from emotune.data.shard_reader import read_samples


def rejection(folder: Path, split: str = "test") -> str:
    started = time.monotonic()
    with pytest.raises(InputError) as caught:
        open_split(ref_of(folder), split)
    assert time.monotonic() - started < 10, "it waited for a lock"
    return str(caught.value)


def test_a_shard_with_one_wrong_byte_is_named_and_leaves_nothing_in_the_cache(shards, tmp_path):
    path = sorted(shards.glob("test-*.tar"))[1]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    for _ in range(2):
        message = rejection(shards)
        assert str(path) in message
        assert "damaged" in message
        assert "emotune.shard" in message
    assert not list(tmp_path.glob("cache/**/*.part"))


def test_a_missing_shard_is_named(shards):
    path = sorted(shards.glob("test-*.tar"))[0]
    path.unlink()
    message = rejection(shards)
    assert str(path) in message
    assert "missing" in message
    assert "emotune.shard" in message


def test_damage_in_one_split_does_not_keep_the_others_closed(shards):
    sorted(shards.glob("test-*.tar"))[0].unlink()
    opened: Split = open_split(ref_of(shards), "val")
    assert len(opened) == 49


def replace_shard(folder: Path, name: str, data: bytes) -> None:
    """Replaces a shard and its entry in the manifest, so that only its content is wrong."""
    (folder / name).write_bytes(data)
    change_shard(folder, name, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())


def change_shard(folder: Path, name: str, **change: object) -> None:
    """Changes the entry of a shard in the manifest."""
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


def test_an_image_that_cannot_be_decoded_is_named_with_its_shard(shards, tmp_path):
    path = sorted(shards.glob("test-*.tar"))[0]
    first = next(read_samples(path.read_bytes(), path.name))
    replace_shard(shards, path.name, rewritten(path, {"jpg": b"no image"}))
    message = rejection(shards)
    assert str(path) in message
    assert first.key in message
    assert first.source in message
    assert not list(tmp_path.glob("cache/**/*.part"))


def test_a_label_that_is_not_in_the_manifest_is_named(shards):
    path = sorted(shards.glob("test-*.tar"))[0]
    other = json.dumps({"label": "joy", "votes": {}, "source": "s", "split_group": "g", "sha256": "h"}).encode()
    replace_shard(shards, path.name, rewritten(path, {"json": other}))
    message = rejection(shards)
    assert "'joy'" in message
    assert str(shards) in message


def test_a_shard_that_is_no_tar_is_named(shards):
    path = sorted(shards.glob("test-*.tar"))[0]
    replace_shard(shards, path.name, b"no tar at all")
    assert str(path) in rejection(shards)


@pytest.mark.parametrize("change", [-1, 1])
def test_a_shard_with_another_number_of_samples_than_in_the_manifest_is_named(shards, change):
    shard = read_manifest(Folder(str(shards))).shards_of("test")[0]
    change_shard(shards, shard.file, samples=shard.samples + change)
    assert shard.file in rejection(shards)
