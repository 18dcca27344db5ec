"""Folders of classes are found below and above published splits; what is no image, no class or no folder is told."""

import os
from pathlib import Path

import pytest

from emotune.config.labels import MIKELS
from emotune.core.errors import InputError
from emotune.data.manifest import MANIFEST
from emotune.data.sources.base import Listing
from emotune.data.sources.class_folders import ClassFolders


def draw(directory: Path, *names: str) -> Path:
    for name in names:
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(b"\xff\xd8\xff\xe0")
    return directory


def listing(directory: Path, labels: str = "any") -> Listing:
    return ClassFolders(directory, labels).listing()


def refusal(directory: Path, labels: str = "any") -> str:
    with pytest.raises(InputError) as caught:
        listing(directory, labels)
    assert str(directory) in str(caught.value)
    return str(caught.value)


def has_note(listing: Listing, *parts: str) -> bool:
    return any(all(part in note for part in parts) for note in listing.notes)


NAMES = [
    ("train", "val", "test"),
    ("Training", "Validation", "testing"),
    ("train", "dev", "test"),
    ("TRAIN", "valid", "TEST"),
]


@pytest.mark.parametrize("names", NAMES, ids=" ".join)
@pytest.mark.parametrize("layout", ["{split}/{label}", "{label}/{split}"])
def test_published_splits_are_recognised_and_are_not_classes(tmp_path, names, layout):
    for split in names:
        for label in ("happy", "sad"):
            draw(tmp_path, f"{layout.format(split=split, label=label)}/{split}-{label}.jpg")
    found = listing(tmp_path)
    assert found.classes == ("happy", "sad")
    assert sorted((entry.label, entry.split) for entry in found.entries) == sorted(
        (label, split) for label in ("happy", "sad") for split in ("train", "val", "test")
    )
    assert has_note(found, "train", "val", "test")


def test_splits_above_the_classes_of_a_label_space_are_recognised(tmp_path):
    draw(tmp_path, *(f"{split}/{label.capitalize()}/a.jpg" for split in ("train", "test") for label in MIKELS))
    found = listing(tmp_path, "mikels")
    assert found.classes == MIKELS
    assert {entry.split for entry in found.entries} == {"train", "test"}


def test_a_single_class_that_is_called_like_a_split_stays_a_class(tmp_path):
    draw(tmp_path, "car/a.jpg", "train/a.jpg", "train/steam/b.jpg")
    found = listing(tmp_path)
    assert found.classes == ("car", "train")
    assert {entry.split for entry in found.entries} == {None}


def test_layouts_that_can_mean_two_things_are_refused(tmp_path):
    draw(tmp_path / "beside", "train/happy/a.jpg", "test/happy/a.jpg", "annotations/a.jpg")
    assert "annotations" in refusal(tmp_path / "beside")
    draw(tmp_path / "flat", "train/a.jpg", "test/a.jpg")
    assert "train" in refusal(tmp_path / "flat")
    draw(tmp_path / "some", "happy/train/a.jpg", "happy/test/a.jpg", "sad/a.jpg")
    assert "sad" in refusal(tmp_path / "some")
    draw(
        tmp_path / "loose", "happy/train/a.jpg", "happy/test/a.jpg", "happy/b.jpg", "sad/train/a.jpg", "sad/test/a.jpg"
    )
    assert "happy" in refusal(tmp_path / "loose")


def test_published_spellings_of_folders_are_recognised(tmp_path):
    names = ["Amusement", "ANGER", "Awe", "Content", "Disgust", "Excitement", "Fear", "Sad"]
    draw(tmp_path, *(f"{name}/a.jpg" for name in names), "sadness/b.jpg")
    found = listing(tmp_path, "mikels")
    assert [entry.label for entry in found.entries] == [*MIKELS, "sadness"]
    assert has_note(found, "Sad, sadness")


def test_folders_that_differ_in_capitals_only_are_refused(tmp_path):
    message = refusal(draw(tmp_path, "Sea/a.jpg", "sea/a.jpg", "city/a.jpg"))
    assert '"Sea"' in message and '"sea"' in message


def test_unknown_folders_are_one_line(tmp_path):
    draw(tmp_path, *(f"{name}/a.jpg" for name in ("joy", "love", *MIKELS)))
    message = refusal(tmp_path, "mikels")
    first = message.splitlines()[0]
    assert "2 folders" in first and '"joy"' in first and '"love"' in first


def test_the_folder_that_holds_the_classes_is_suggested(tmp_path):
    draw(tmp_path, *(f"dataset/{label}/a.jpg" for label in MIKELS))
    assert str(tmp_path / "dataset") in refusal(tmp_path, "mikels")


def test_files_that_are_not_images_are_skipped_and_counted(tmp_path):
    draw(tmp_path, "a/1.jpg", "a/2", "b/1.HEIC")
    for name, data in {"a/1.txt": b"a caption", "a/1.json": b"{}", "b/Thumbs.db": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
                       "b/x.parquet": b"PAR1", "b/clip.mp4": b"\0\0\0\x18ftypisom", "b/empty": b"",
                       "b/lost.jpg": b"<html>404</html>"}.items():  # fmt: skip
        (tmp_path / name).write_bytes(data)
    found = listing(tmp_path)
    assert sorted(entry.source for entry in found.entries) == ["a/1.jpg", "a/2", "b/1.HEIC", "b/lost.jpg"]
    assert has_note(found, "6 files", ".txt 1", ".json 1")


def test_a_class_without_images_but_with_other_files_is_refused(tmp_path):
    draw(tmp_path, "a/1.jpg", "b/1.jpg")
    (tmp_path / "b" / "1.jpg").rename(tmp_path / "b" / "1.zip")
    (tmp_path / "b" / "1.zip").write_bytes(b"PK\x03\x04")
    message = refusal(tmp_path)
    assert "1 other files" in message and message.split(";")[0].endswith("in b")


ARCHIVES = {"zip": b"PK\x03\x04", "tgz": b"\x1f\x8b\x08", "rar": b"Rar!\x1a\x07\0", "7z": b"7z\xbc\xaf\x27\x1c"}


@pytest.mark.parametrize(("suffix", "head"), [*ARCHIVES.items(), ("tar", bytes(257) + b"ustar")])
def test_an_archive_is_refused_as_one(tmp_path, suffix, head):
    (tmp_path / f"images.{suffix}").write_bytes(head + os.urandom(60))
    assert "archive" in refusal(tmp_path / f"images.{suffix}")
    assert f"images.{suffix}" in refusal(tmp_path) and "archive" in refusal(tmp_path)


def test_shards_among_the_folders_are_not_a_class(tmp_path):
    draw(tmp_path, "a/1.jpg", "b/1.jpg", "shards/train-000000-01234567.tar", f"shards/{MANIFEST}")
    found = listing(tmp_path)
    assert found.classes == ("a", "b")
    assert has_note(found, ": shards")


def test_system_folders_are_not_classes(tmp_path):
    assert listing(draw(tmp_path, "a/1.jpg", "b/1.jpg", "b/@eaDir/1.jpg", "__MACOSX/a/x.jpg")).classes == ("a", "b")
