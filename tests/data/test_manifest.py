"""A manifest comes back as it was written; one that can't be used says which file and what to do."""

import uuid

import pytest

from emotune.data.manifest import MANIFEST, LeftOut, Manifest, Shard, read_manifest, write_manifest
from emotune.errors import InputError
from emotune.storage import Folder

COMPLETE = Manifest(
    name="photos",
    classes=("awe", "fear"),
    counts={"train": {"awe": 2, "fear": 1}, "val": {"awe": 1, "fear": 1}, "test": {"awe": 1, "fear": 1}},
    shards=(
        Shard("train-000000-01234567.tar", "train", 3, 10240, "ab"),
        Shard("val-000000-89abcdef.tar", "val", 2, 9, "c"),
    ),
    content_hash="0123",
    left_out=(LeftOut("fear/ünïcode, comma.jpg", 'damaged: "quoted"'),),
    source="class folders in photos",
    licence="CC BY 4.0",
    synthetic=True,
)


@pytest.fixture(params=["disk", "memory"])
def folder(request, tmp_path) -> Folder:
    return Folder(str(tmp_path) if request.param == "disk" else f"memory://{uuid.uuid4().hex}")


def test_a_manifest_comes_back_as_it_was_written(folder):
    write_manifest(folder, COMPLETE)
    assert read_manifest(folder) == COMPLETE


def test_the_shards_of_a_split_are_those_of_that_split():
    assert [shard.split for shard in COMPLETE.of("train")] == ["train"]
    assert COMPLETE.of("test") == []


def refusal(folder: Folder) -> str:
    with pytest.raises(InputError) as caught:
        read_manifest(folder)
    assert str(folder) in str(caught.value)
    return str(caught.value)


def test_a_folder_without_one_is_told_how_to_make_shards(folder):
    assert f"python -m emotune.shard folder PICTURES --out {folder}" in refusal(folder)


def test_one_that_is_not_json_is_named(folder):
    folder.write(MANIFEST, b'{"name": ')
    assert MANIFEST in refusal(folder)


@pytest.mark.parametrize("change", [{"shards": 5}, {"content_hash": None}, {"counts": {"train": {"awe": "many"}}}])
def test_a_wrong_value_is_named_with_its_key_and_the_remedy(folder, change):
    write_manifest(folder, COMPLETE)
    folder.write_json(MANIFEST, folder.read_json(MANIFEST) | change)
    message = refusal(folder)
    assert f"{MANIFEST}: {next(iter(change))}" in message
    assert "make the shards again" in message


@pytest.mark.parametrize("value", [[], 5, "text", {}])
def test_json_that_is_no_manifest_is_refused(folder, value):
    folder.write_json(MANIFEST, value)
    message = refusal(folder)
    assert "make the shards again" in message


@pytest.mark.parametrize("missing", [[], ["licence", "counts"]], ids=["same fields", "other fields"])
def test_a_manifest_of_a_later_format_is_refused_as_such(folder, missing):
    write_manifest(folder, COMPLETE)
    value = folder.read_json(MANIFEST) | {"format": 2}
    folder.write_json(MANIFEST, {key: value[key] for key in value if key not in missing})
    message = refusal(folder)
    assert "format 2" in message
    assert "reads 1" in message
