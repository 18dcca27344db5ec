"""A manifest comes back as it was written; one that can't be used says which file and what to do."""

import uuid

import pytest

from emotune.data.manifest import FORMAT, MANIFEST, SPLITS, Manifest, Shard, read_manifest, write_manifest
from emotune.errors import InputError
from emotune.storage import Folder

COMPLETE = Manifest(
    name="photos",
    classes=("awe", "fear"),
    counts={"train": {"awe": 2, "fear": 1}, "val": {"awe": 1, "fear": 1}, "test": {"awe": 1, "fear": 1}},
    noisy={"train": {"awe": 1, "fear": 0}, "val": {"awe": 0, "fear": 1}, "test": {"awe": 0, "fear": 0}},
    shards=(
        Shard("train-000000-01234567.tar", "train", 3, 10240, "ab"),
        Shard("val-000000-89abcdef.tar", "val", 2, 9, "c"),
    ),
    content_hash="0123",
    health={"tiny": {"awe": 1}, "undecodable": {"awe": 2, "fear": 3}, "no majority": {"": 2}},
    health_sha256="45",
    source='class folders in ünïcode, "quoted"',
    licence="CC BY 4.0",
    recipe="67",
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


def test_pictures_are_counted_by_split_class_and_part():
    assert [COMPLETE.count("train", "awe", part) for part in ("all", "well", "noisy")] == [2, 1, 1]
    assert [COMPLETE.count("val", "fear", part) for part in ("all", "well", "noisy")] == [1, 0, 1]
    assert all(COMPLETE.count(split, "awe") == COMPLETE.counts[split]["awe"] for split in SPLITS)


def test_what_was_left_out_is_counted_by_problem_the_most_frequent_first():
    assert list(COMPLETE.left_out.items()) == [("undecodable", 5), ("no majority", 2), ("tiny", 1)]


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


@pytest.mark.parametrize(
    "change",
    [{"shards": 5}, {"content_hash": None}, {"counts": {"train": {"awe": "many"}}}, {"health": []}, {"recipe": 7}],
)
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


@pytest.mark.parametrize(
    "change", [{"name": "phot0s"}, {"classes": ["fear", "awe"]}, {"content_hash": "0124"}, {"synthetic": False},
               {"noisy": {}}, {"another": 1}, {"sha256": "0" * 64}, {"sha256": None}],
)  # fmt: skip
def test_a_manifest_that_someone_edited_is_refused(folder, change):
    write_manifest(folder, COMPLETE)
    folder.write_json(MANIFEST, folder.read_json(MANIFEST) | change)
    message = refusal(folder)
    assert f"{MANIFEST}: not as it was written" in message
    assert "make the shards again" in message


@pytest.mark.parametrize("other", [FORMAT - 1, FORMAT + 1, "new"])
@pytest.mark.parametrize("missing", [[], ["licence", "counts"]], ids=["same fields", "other fields"])
def test_a_manifest_of_another_format_is_refused_as_such(folder, missing, other):
    write_manifest(folder, COMPLETE)
    value = folder.read_json(MANIFEST) | {"format": other}
    folder.write_json(MANIFEST, {key: value[key] for key in value if key not in missing})
    message = refusal(folder)
    assert f"format {other}" in message
    assert "reads 2" in message
