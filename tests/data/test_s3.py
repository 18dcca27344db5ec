"""Shards on S3 are the shards of a folder: written, verified and read over HTTP, against a server on loopback."""

from pathlib import Path

import numpy as np
import pytest

from emotune.config.run import Selection
from emotune.core.storage import Folder
from emotune.data.build.shards import write_shards
from emotune.data.build.verify import verify
from emotune.data.datasets.resolve import resolve_datasets
from emotune.data.manifest import HEALTH, MANIFEST
from emotune.data.read.batches import open_split
from emotune.data.sources.scenes import Scenes
from emotune.shard import main

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")  # of the server

SHARES = (0.5, 0.25, 0.25)


@pytest.fixture(scope="module")
def shards(s3: str) -> str:
    """A URL of the same shards as `small_shards`."""
    url = f"{s3}/small"
    write_shards(Scenes(160, seed=1).listing(), Folder(url), shares=SHARES, samples_per_shard=30, workers=2)
    return url


def test_shards_on_s3_are_those_of_a_folder_to_the_byte(shards: str, small_shards: Path):
    local = {path.name: path.read_bytes() for path in small_shards.iterdir() if path.name[0] != "."}
    there = Folder(shards)
    assert set(there.names()) == set(local)
    assert {name: there.read(name) for name in local} == local


def test_images_are_read_from_s3_as_from_a_folder(shards: str, small_shards: Path, tmp_path, monkeypatch):
    (ref,) = resolve_datasets([Selection(data=str(small_shards))])
    local = open_split(ref, "val")
    monkeypatch.setenv("EMOTUNE_CACHE", str(tmp_path))  # where nothing is decoded yet
    (ref,) = resolve_datasets([Selection(data=shards)])
    images = open_split(ref, "val")
    everything = np.arange(len(local))
    assert images.keys == local.keys
    assert np.array_equal(images.images.take(everything), local.images.take(everything))


def test_the_command_writes_to_s3_again_does_nothing_and_finds_damage_there(s3: str, capfd):
    url = f"{s3}/command"
    command = ["scenes", "--images", "80", "--seed", "1", "--split", "0.5/0.25/0.25", "--out", url]
    assert main(command) == 0
    assert main(["verify", url]) == 0
    assert "sound: 80 samples" in capfd.readouterr().out
    manifest, problems = verify(Folder(url))
    assert problems == []
    name = manifest.shards[0].file
    data = bytearray(Folder(url).read(name))
    data[len(data) // 2] ^= 1
    Folder(url).write(name, bytes(data))
    assert main(["verify", url]) == 1
    assert f"{url}: {name}: " in capfd.readouterr().out
    assert main(command) == 0, "the same command repairs it"
    assert verify(Folder(url)) == (manifest, [])
    assert set(Folder(url).names()) == {MANIFEST, HEALTH, *(shard.file for shard in manifest.shards)}


def test_a_bucket_that_is_not_there_is_refused_before_anything_is_read(s3: str, capfd):
    assert main(["scenes", "--images", "80", "--out", "s3://no-such-bucket/data"]) == 2
    assert "s3://no-such-bucket/data: cannot be" in capfd.readouterr().err


def test_without_credentials_the_reason_is_printed_without_a_traceback(s3: str, capfd, monkeypatch, tmp_path):
    import s3fs

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    s3fs.S3FileSystem.clear_instance_cache()
    for command in (["verify", f"{s3}/other"], ["scenes", "--images", "80", "--out", f"{s3}/other"]):
        assert main(command) == 2
        assert "credentials" in capfd.readouterr().err.lower()
    s3fs.S3FileSystem.clear_instance_cache()
