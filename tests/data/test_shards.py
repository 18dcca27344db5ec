"""Shards hold every picture once, are the same wherever they are made, and survive any interruption."""

import csv
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emotune.data.manifest import MANIFEST, SPLITS, Manifest, read_manifest
from emotune.data.shards import Sample, read_samples, split_of, write_shards
from emotune.data.sources import folder, scenes
from emotune.emotions import MIKELS
from emotune.errors import InputError
from emotune.storage import Folder

PARTS = (0.5, 0.25, 0.25)


def samples_of(out: Path) -> dict[str, list[Sample]]:
    manifest = read_manifest(Folder(str(out)))
    return {
        split: [s for shard in manifest.of(split) for s in read_samples((out / shard.file).read_bytes(), shard.file)]
        for split in SPLITS
    }


def contents(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.iterdir()}


def test_the_shards_are_what_the_manifest_says(small_shards):
    manifest = read_manifest(Folder(str(small_shards)))
    assert {path.name for path in small_shards.glob("*.tar*")} == {shard.file for shard in manifest.shards}
    for shard in manifest.shards:
        data = (small_shards / shard.file).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (shard.bytes, shard.sha256)
        assert len(list(read_samples(data, shard.file))) == shard.samples <= 30
    for split, samples in samples_of(small_shards).items():
        assert len(manifest.of(split)) > 1
        labels = [sample.label for sample in samples]
        assert {label: labels.count(label) for label in MIKELS} == manifest.counts[split]
        assert all(split_of(sample.key, PARTS) == split for sample in samples)


def test_every_picture_of_the_source_is_in_the_shards_once(small_shards):
    listing = scenes(160, seed=1)
    found = [sample for samples in samples_of(small_shards).values() for sample in samples]
    assert sorted((s.key, s.label, s.source, json.dumps(s.votes)) for s in found) == sorted(
        (i.key, i.label, i.source, json.dumps(i.votes)) for i in listing.items
    )
    item = listing.items[17]
    assert next(s.jpg for s in found if s.key == item.key) == item.read()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_the_standard_webdataset_reader_reads_every_sample_once(small_shards):
    import webdataset

    manifest = read_manifest(Folder(str(small_shards)))
    urls = [str(small_shards / shard.file) for shard in manifest.shards]
    samples = list(webdataset.WebDataset(urls, shardshuffle=False).decode("pil"))
    assert len({sample["__key__"] for sample in samples}) == len(samples) == 160
    assert {sample["jpg"].size for sample in samples} == {(256, 256)}
    assert {sample["json"]["label"] for sample in samples} == set(MIKELS)


def test_the_same_pictures_give_the_same_bytes_in_another_folder(picture_folder, tmp_path):
    (picture_folder / "awe" / "broken.jpg").write_bytes(b"no picture")
    write_shards(folder(picture_folder), tmp_path / "one")
    elsewhere = Path(shutil.copytree(picture_folder, tmp_path / "moved" / "pictures"))
    for path in elsewhere.rglob("*.*"):
        os.utime(path, (1, 1))
    write_shards(folder(elsewhere), tmp_path / "other", workers=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "other")


def test_the_content_hash_does_not_depend_on_the_cut_into_shards_nor_on_file_names(picture_folder, tmp_path):
    one = write_shards(folder(picture_folder), tmp_path / "one")
    for path in list(picture_folder.rglob("*.*g")):
        path.rename(path.with_stem(f"renamed-{path.stem}"))
    two = write_shards(folder(picture_folder), tmp_path / "two", samples_per_shard=7)
    assert len(two.shards) > len(one.shards)
    assert two.content_hash == one.content_hash


def test_the_content_hash_changes_with_a_label_a_picture_and_the_split(picture_folder, tmp_path):
    listing = folder(picture_folder)
    hashes = [write_shards(listing, tmp_path / "one").content_hash]
    moved = next(i for i in listing.items if i.label == "awe" and split_of(i.key) == "train")
    (picture_folder / moved.source).rename(picture_folder / "fear" / "moved.jpg")
    hashes.append(write_shards(folder(picture_folder), tmp_path / "label").content_hash)
    (picture_folder / "fear" / "moved.jpg").unlink()
    hashes.append(write_shards(folder(picture_folder), tmp_path / "fewer").content_hash)
    hashes.append(write_shards(folder(picture_folder), tmp_path / "split", parts=PARTS).content_hash)
    hashes.append(write_shards(folder(picture_folder, shorter_side=20), tmp_path / "smaller").content_hash)
    assert len(set(hashes)) == 5


def test_scenes_split_otherwise_are_another_data_set(tmp_path):
    """Else runs on one of them would count as runs on the other."""
    listing = scenes(80, seed=1)
    one = write_shards(listing, tmp_path / "one", parts=PARTS)
    other = write_shards(listing, tmp_path / "other", parts=(0.34, 0.33, 0.33))
    assert one.counts != other.counts
    assert one.content_hash != other.content_hash


def test_files_that_are_no_pictures_are_listed_and_the_others_are_all_there(picture_folder, tmp_path):
    whole = {item.key for item in folder(picture_folder).items}
    bad = {
        "awe/empty.jpg": (b"", "empty"),
        "awe/page.jpg": (b"<html>404</html>", "not a picture"),
        "fear/half, with comma.jpg": (next((picture_folder / "fear").glob("*.jpg")).read_bytes()[:700], "damaged"),
        "sadness/ünïcode\nname.png": (b"\x89PNG\r\n\x1a\n", ""),
    }
    for name, (data, _) in bad.items():
        (picture_folder / name).write_bytes(data)
    manifest = write_shards(folder(picture_folder), tmp_path / "out", samples_per_shard=10, workers=2)
    found = {s.key for samples in samples_of(tmp_path / "out").values() for s in samples}
    assert found == whole
    with (tmp_path / "out" / "left_out.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["source", "reason"]
    listed = dict(rows[1:])
    assert listed == {entry.source: entry.reason for entry in manifest.left_out}
    assert set(listed) == set(bad)
    assert all(reason in listed[name] for name, (_, reason) in bad.items())


def test_a_file_name_that_is_not_utf8_does_not_end_the_command(picture_folder, tmp_path):
    for label, data in (("awe", Image.new("RGB", (9, 9), (1, 2, 3))), ("fear", None)):
        path = os.fsencode(picture_folder / label) + b"/\xe9t\xe9.png"
        with open(path, "wb") as file:  # noqa: PTH123 - pathlib takes no bytes
            data.save(file, "PNG") if data else file.write(b"no picture")
    manifest = write_shards(folder(picture_folder), tmp_path / "out")
    assert sum(shard.samples for shard in manifest.shards) == 65
    assert len(manifest.left_out) == 1


def test_a_shard_of_which_no_picture_can_be_read_does_no_harm(picture_folder, tmp_path):
    (picture_folder / "awe" / "broken.jpg").write_bytes(b"no picture")
    manifest = write_shards(folder(picture_folder), tmp_path / "out", samples_per_shard=1)
    assert sum(shard.samples for shard in manifest.shards) == 64
    assert sum(map(len, samples_of(tmp_path / "out").values())) == 64


def test_a_class_too_small_for_a_split_is_refused_before_anything_is_written(picture_folder, tmp_path):
    for label in ("awe", "fear"):
        for item in folder(picture_folder).items:
            if item.label == label and split_of(item.key) == "val":
                (picture_folder / item.source).unlink()
    with pytest.raises(InputError) as caught:
        write_shards(folder(picture_folder), tmp_path / "out")
    message = str(caught.value)
    assert 'class "awe": too few pictures (train 4, val 0, test 2); val would be empty' in message
    assert 'class "fear"' in message
    assert "--split" in message
    assert not (tmp_path / "out").exists()


def test_a_class_that_lost_its_pictures_on_reading_is_refused_and_the_earlier_shards_stay_valid(
    picture_folder, tmp_path
):
    out = tmp_path / "out"
    write_shards(folder(picture_folder), out)
    before = contents(out)
    for item in folder(picture_folder).items:
        if item.label == "awe" and split_of(item.key) == "test":
            (picture_folder / item.source).unlink()
    number = 0
    while split_of(hashlib.sha256(b"no picture %d" % number).hexdigest()) != "test":
        number += 1
    (picture_folder / "awe" / "broken.jpg").write_bytes(b"no picture %d" % number)
    with pytest.raises(InputError, match=r'"awe": too few pictures .*test 0'):
        write_shards(folder(picture_folder), out)
    assert before.items() <= contents(out).items()


def test_a_folder_with_other_files_is_left_as_it_is(picture_folder, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.pdf").write_bytes(b"x")
    with pytest.raises(InputError, match=r"thesis\.pdf.*empty or new folder"):
        write_shards(folder(picture_folder), tmp_path / "out")
    assert contents(tmp_path / "out") == {"thesis.pdf": b"x"}


def test_another_set_of_pictures_replaces_the_earlier_shards(picture_folder, tmp_path):
    out = tmp_path / "out"
    write_shards(folder(picture_folder), out, samples_per_shard=5)
    generator = np.random.default_rng(9)
    for label in MIKELS:
        for number in range(3):
            pixels = generator.integers(0, 256, (30, 30, 3), np.uint8)
            Image.fromarray(pixels).save(picture_folder / label / f"new-{number}.png")
    manifest = write_shards(folder(picture_folder), out, samples_per_shard=6)
    assert {path.name for path in out.iterdir()} == {s.file for s in manifest.shards} | {MANIFEST, "left_out.csv"}
    assert sum(map(len, samples_of(out).values())) == 88


def test_a_finished_command_repeated_writes_no_shard_again(picture_folder, tmp_path):
    (picture_folder / "awe" / "broken.jpg").write_bytes(b"no picture")
    first = write_shards(folder(picture_folder), tmp_path / "out", samples_per_shard=10)
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.tar")}
    passed = []
    second = write_shards(folder(picture_folder), tmp_path / "out", samples_per_shard=10, advance=passed.append)
    assert second.left_out == first.left_out == tuple(second.left_out)
    assert second == first
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.tar")} == times
    assert sum(passed) == 65


SCRIPT = """
import sys
from pathlib import Path
from emotune.data.shards import write_shards
from emotune.data.sources import scenes
write_shards(scenes(160, seed=1), Path(sys.argv[1]), parts=(0.5, 0.25, 0.25), samples_per_shard=10)
"""


def test_an_interrupted_command_goes_on_with_the_shards_that_are_missing(small_shards, tmp_path):
    out = tmp_path / "out"
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(out)], start_new_session=True, stderr=subprocess.DEVNULL
    ) as process:
        try:
            until = time.monotonic() + 60
            while len(list(out.glob("*.tar"))) < 3 and process.poll() is None and time.monotonic() < until:
                time.sleep(0.005)
        finally:
            kill_group(process.pid)
            process.wait(60)
    assert not (out / MANIFEST).exists(), "it was not interrupted in time"
    finished = {path: path.stat() for path in out.glob("*.tar")}
    assert 3 <= len(finished) < 17
    manifest = write_shards(scenes(160, seed=1), out, parts=PARTS, samples_per_shard=10)
    for path, stat in finished.items():
        assert (path.stat().st_mtime_ns, path.stat().st_ino) == (stat.st_mtime_ns, stat.st_ino)
    assert {path.name for path in out.iterdir()} == {s.file for s in manifest.shards} | {MANIFEST, "left_out.csv"}
    undisturbed: Manifest = read_manifest(Folder(str(small_shards)))
    assert (manifest.content_hash, manifest.counts) == (undisturbed.content_hash, undisturbed.counts)
    assert samples_of(out) == samples_of(small_shards)


def kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


def test_a_killed_command_leaves_no_processes_behind(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "out")], start_new_session=True, stderr=subprocess.DEVNULL
    ) as process:
        try:
            until = time.monotonic() + 60
            while not list(tmp_path.glob("out/*.tar")) and time.monotonic() < until:
                time.sleep(0.01)
            process.kill()
            process.wait(20)
            until = time.monotonic() + 3
            while group_lives(process.pid) and time.monotonic() < until:
                time.sleep(0.05)
            assert not group_lives(process.pid), "its workers go on without it"
        finally:
            kill_group(process.pid)


def group_lives(group: int) -> bool:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(its_group) == group and state not in "ZX":
            return True
    return False


def test_a_damaged_shard_is_an_input_error_that_names_it(small_shards):
    path = sorted(small_shards.glob("*.tar"))[0]
    data = path.read_bytes()
    for damaged in (b"", b"no tar", data[: len(data) // 2], b"\x1f\x8b" + data[2:], bytes([255]) * len(data)):
        with pytest.raises(InputError) as caught:
            list(read_samples(damaged, str(path)))
        assert str(path) in str(caught.value)
        assert "delete it and run emotune.shard again" in str(caught.value)
        assert "object at 0x" not in str(caught.value), "no words for people"


@pytest.mark.parametrize(
    "files", [{"a.jpg": b"x"}, {"a.json": b'{"label": "awe", "votes": {}, "source": "s"}'},
     {"a.jpg": b"x", "a.json": b"{}"},
              {"a.jpg": b"x", "a.json": b"[]"}, {"a.jpg": b"x", "a.json": b"{"}],
    ids=["no json", "no jpg", "no label", "list", "broken"],
)  # fmt: skip
def test_a_sample_without_its_picture_or_label_is_an_input_error(files):
    import tarfile

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    with pytest.raises(InputError, match=r"some\.tar"):
        list(read_samples(buffer.getvalue(), "some.tar"))
