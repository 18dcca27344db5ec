"""Manifests: round trip, validation, and messages that name the file, the key and the remedy."""

import csv
import io
import json
import re
import uuid
from dataclasses import asdict

import pytest

from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.data.datasets.resolve import resolve_datasets
from emotune.data.manifest import (
    FORMAT,
    MANIFEST,
    SPLITS,
    ExcludedImage,
    Manifest,
    Problem,
    Shard,
    digest,
    health_csv,
    read_manifest,
    write_manifest,
)
from emotune.data.read.open_dataset import open_shards

COMPLETE = Manifest(
    name="photos",
    classes=("awe", "fear"),
    counts={"train": {"awe": 2, "fear": 1}, "val": {"awe": 1, "fear": 1}, "test": {"awe": 1, "fear": 1}},
    noisy={"train": {"awe": 1, "fear": 0}, "val": {"awe": 0, "fear": 1}, "test": {"awe": 0, "fear": 0}},
    shards=(
        Shard("train-000000-01234567.tar", "train", 3, 10240, "ab" * 32),
        Shard("val-000000-89abcdef.tar", "val", 2, 9, "c" * 64),
    ),
    content_hash="01" * 32,
    health={"tiny": {"awe": 1}, "undecodable": {"awe": 2, "fear": 3}, "no majority": {"": 2}},
    health_sha256="45" * 32,
    source='class folders in ünïcode, "quoted"',
    licence="CC BY 4.0",
    recipe="67" * 32,
    synthetic=True,
)


@pytest.fixture(params=["disk", "memory"])
def folder(request, tmp_path) -> Folder:
    return Folder(str(tmp_path) if request.param == "disk" else f"memory://{uuid.uuid4().hex}")


def test_a_manifest_comes_back_as_it_was_written(folder):
    write_manifest(folder, COMPLETE)
    assert read_manifest(folder) == COMPLETE


def test_the_shards_of_a_split_are_those_of_that_split():
    assert [shard.split for shard in COMPLETE.shards_of("train")] == ["train"]
    assert COMPLETE.shards_of("test") == []


def test_images_are_counted_by_split_class_and_part():
    assert [COMPLETE.count("train", "awe", part) for part in ("all", "well", "noisy")] == [2, 1, 1]
    assert [COMPLETE.count("val", "fear", part) for part in ("all", "well", "noisy")] == [1, 0, 1]
    assert all(COMPLETE.count(split, "awe") == COMPLETE.counts[split]["awe"] for split in SPLITS)


def test_excluded_images_are_counted_by_problem_the_most_frequent_first():
    assert list(COMPLETE.left_out.items()) == [("undecodable", 5), ("no majority", 2), ("tiny", 1)]


def refusal(folder: Folder) -> str:
    with pytest.raises(InputError) as caught:
        read_manifest(folder)
    assert str(folder) in str(caught.value)
    return str(caught.value)


def test_a_folder_without_manifest_is_refused_with_the_command_that_makes_shards(folder):
    assert re.search(rf"emotune\.shard .*--out {re.escape(str(folder))}", refusal(folder))


def test_a_manifest_that_is_not_json_is_named(folder):
    folder.write(MANIFEST, b'{"name": ')
    assert MANIFEST in refusal(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"shards": 5},
        {"content_hash": None},
        {"counts": {"train": {"awe": "many"}}},
        {"health": []},
        {"recipe": 7},
        {"noisy": {}},
    ],
)
def test_a_wrong_value_is_named_with_its_key_and_the_remedy(folder, change):
    write_manifest(folder, COMPLETE)
    folder.write_json(MANIFEST, folder.read_json(MANIFEST) | change)
    message = refusal(folder)
    assert f"{MANIFEST}: {next(iter(change))}" in message
    assert "again" in message


@pytest.mark.parametrize("value", [[], 5, "text", {}])
def test_json_that_is_not_a_manifest_is_refused(folder, value):
    folder.write_json(MANIFEST, value)
    message = refusal(folder)
    assert f"{MANIFEST}: " in message
    assert "again" in message


@pytest.mark.parametrize(
    "change", [{"name": "phot0s"}, {"classes": ["fear", "awe"]}, {"content_hash": "02" * 32}, {"synthetic": False},
               {"another": 1}, {"sha256": "0" * 64}, {"sha256": None}],
)  # fmt: skip
def test_a_manifest_that_someone_edited_is_refused(folder, change):
    write_manifest(folder, COMPLETE)
    folder.write_json(MANIFEST, folder.read_json(MANIFEST) | change)
    message = refusal(folder)
    assert f"{MANIFEST}: " in message
    assert "sha256" in message
    assert "again" in message


OUTSIDE = ["../outside.tar", "/outside.tar", "a/b.tar", "a\\b.tar", "..tar", ".tar", "a.tar\n", "a\0.tar", "a.tar/..",
           "", "~.tar", "a?b.tar", "a" * 300 + ".tar"]  # fmt: skip


def crafted(folder: Folder, change: dict) -> None:
    """A manifest whose own hash fits, as anybody can write one."""
    value = json.loads(json.dumps(asdict(COMPLETE))) | change
    folder.write_json(MANIFEST, value | {"sha256": digest([json.dumps(value, sort_keys=True)])})


@pytest.mark.parametrize(
    ("change", "key"),
    [({"shards": [asdict(COMPLETE.shards[0]) | {"file": name}]}, "shards.0.file") for name in OUTSIDE]
    + [({"shards": [asdict(COMPLETE.shards[0]) | {"sha256": text}]}, "shards.0.sha256")
       for text in ("../" * 21 + "x", "ab", "AB" * 32, "ab" * 32 + "\n", "*" * 64)]
    + [({"shards": [asdict(COMPLETE.shards[0]) | {field: value}]}, f"shards.0.{field}")
       for field, value in (("split", "../train"), ("samples", 0), ("samples", -1), ("bytes", -1))]
    + [({"name": name}, "name") for name in ("../photos", ".photos", "a/b", "photos\n", "Photos", "a" * 81, "")]
    + [({key: "../" + "0" * 61}, key) for key in ("content_hash", "health_sha256", "recipe")]
    + [({"classes": ["awe", label]}, "classes.1") for label in ("fear\n", "\x1b[2J", "", "f" * 101)]
    + [({"classes": ["awe", "awe"]}, "classes"), ({"classes": ["awe", "joy"]}, "counts"), ({"classes": []}, "classes")]
    + [({"shards": [asdict(COMPLETE.shards[0])] * 2}, "shards"), ({"counts": {"train": {}}}, "counts")]
    + [({"noisy": dict(COMPLETE.noisy) | {"val": {"awe": 2, "fear": 0}}}, "noisy")]
    + [({"licence": "CC\nBY"}, "licence"), ({"source": "s" * 2001}, "source"), ({"health": {"a\nb": {}}}, "health")],
)  # fmt: skip
def test_values_that_become_paths_pages_and_tables_are_checked_against_patterns(folder, change, key):
    crafted(folder, {})
    assert read_manifest(folder) == COMPLETE
    crafted(folder, change)
    message = refusal(folder)
    assert f"{MANIFEST}: {key}" in message
    assert len(message.splitlines()) == 1


def test_a_crafted_manifest_deletes_and_reads_nothing_outside_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EMOTUNE_CACHE", str(tmp_path / "cache"))
    victim = tmp_path / "victim-256.npy"
    victim.write_bytes(b"precious")
    crafted(Folder(str(tmp_path / "data")), {"shards": [asdict(COMPLETE.shards[0]) | {"sha256": "../../victim"}]})
    with pytest.raises(InputError, match="sha256"):
        open_shards(resolve_datasets([str(tmp_path / "data")])[0], ["train"])
    assert victim.read_bytes() == b"precious"


def test_formulas_become_text_in_the_table_of_excluded_images():
    rows = [
        ExcludedImage("=HYPERLINK(1)", "awe", Problem.TINY, "@SUM"),
        ExcludedImage("joy/-1.jpg", "awe", Problem.TINY, "8 × 8"),
    ]
    table = list(csv.reader(io.StringIO(health_csv(rows).decode())))
    assert [row[0] for row in table] == ["source", "'=HYPERLINK(1)", "joy/-1.jpg"]
    assert table[1][3] == "'@SUM"


@pytest.mark.parametrize("other", [FORMAT - 1, FORMAT + 1, "new"])
@pytest.mark.parametrize("missing", [[], ["licence", "counts"]], ids=["same fields", "other fields"])
def test_a_manifest_of_another_format_is_refused_as_such(folder, missing, other):
    write_manifest(folder, COMPLETE)
    value = folder.read_json(MANIFEST) | {"format": other}
    folder.write_json(MANIFEST, {key: value[key] for key in value if key not in missing})
    message = refusal(folder)
    assert f"format {other}" in message
    assert f"{FORMAT}" in message.replace(f"format {other}", "")
