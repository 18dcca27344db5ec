"""Explanations name the most common problems with an example each, and what to do about each of them."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from emotune.data.build.rejections import explain_missing_splits, explain_too_few_listed
from emotune.data.manifest import SPLITS, ExcludedImage, Problem
from emotune.data.sources.base import Entry, Listing

CLASSES = ("a", "b")


def listing(sources: Sequence[str], base: Path, **options) -> Listing:
    entries = [Entry(source, "ab"[n % 2], {"ab"[n % 2]: 1}, base / source) for n, source in enumerate(sources)]
    return Listing("x", CLASSES, entries, "x", "", base=base, **options)


def explained(given: Listing, problem: Problem, detail: str, usable: int = 0) -> list[str]:
    """The explanation if all images are excluded, and so many others of each class are usable in each split."""
    rows = [ExcludedImage(entry.source, entry.label, problem, detail) for entry in given.entries]
    counts = {split: dict.fromkeys(CLASSES, usable) for split in SPLITS}
    return explain_missing_splits(given, counts, dict.fromkeys(CLASSES, 3 * usable), rows)


def test_classes_with_images_in_every_split_need_no_explanation(tmp_path):
    given = listing(["1.jpg"] * 8, tmp_path)
    assert explained(given, Problem.TINY, "", usable=1) == explain_too_few_listed(given) == []


def test_missing_files_are_explained_by_where_they_were_searched_and_where_they_are(tmp_path):
    (tmp_path / "splits").mkdir()
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "1.jpg").write_bytes(b"x")
    given = listing([f"images/{n}.jpg" for n in range(1, 9)], tmp_path / "splits")
    *classes, line = explained(given, Problem.UNREADABLE, "No such file or directory")
    assert [row.split(":")[0] for row in classes] == ['class "a"', 'class "b"']
    for part in ("8 images", f"{tmp_path}/splits/images/1.jpg", f"{tmp_path}/splits.",
                 f"--images {tmp_path}"):  # fmt: skip
        assert part in line


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/home/ann/1.jpg", "absolute"), ("C:\\ann\\1.jpg", "absolute"), ("images\\1.jpg", "slashes")],
)  # fmt: skip
def test_paths_of_another_machine_are_counted(tmp_path, path, kind):
    line = explained(listing([path] * 8, tmp_path), Problem.UNREADABLE, "No such file or directory")[-1]
    assert re.search(rf"\b8 paths\b[^.:]*\b{kind}\b", line)


def test_a_name_with_other_capitals_is_named(tmp_path):
    (tmp_path / "one.JPG").write_bytes(b"x")
    assert f"{tmp_path}/one.JPG" in explained(listing(["one.jpg"] * 8, tmp_path), Problem.UNREADABLE, "")[-1]


def test_a_file_that_is_there_but_cannot_be_read_is_not_called_missing(tmp_path):
    (tmp_path / "1.jpg").mkdir()
    line = explained(listing(["1.jpg"] * 8, tmp_path), Problem.UNREADABLE, "Is a directory")[-1]
    assert "Is a directory" in line and str(tmp_path) not in line, "where it was searched"


def test_small_images_are_explained_with_the_option_that_keeps_them(tmp_path):
    line = explained(listing(["1.jpg"] * 8, tmp_path), Problem.TINY, "48×32 pixels, the shorter side under 64")[-1]
    assert "48×32" in line and "--min-side 32" in line


HEADS = {
    "HEIC": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
    "HTML": b"<!DOCTYPE html>",
    "zip": b"PK\x03\x04",
}


@pytest.mark.parametrize(("part", "head"), HEADS.items(), ids=HEADS)
def test_files_that_cannot_be_decoded_are_named_by_their_kind(tmp_path, part, head):
    (tmp_path / "1.jpg").write_bytes(head)
    assert part in explained(listing(["1.jpg"] * 8, tmp_path), Problem.UNDECODABLE, "not an image")[-1]


def test_several_problems_are_explained_the_most_common_first_each_with_its_number(tmp_path):
    given = listing([f"{n}.jpg" for n in range(8)], tmp_path)
    rows = [ExcludedImage(entry.source, entry.label, Problem.NEAR if n < 3 else Problem.ANIMATED, "x")
            for n, entry in enumerate(given.entries)]  # fmt: skip
    counts = {split: dict.fromkeys(CLASSES, 0) for split in SPLITS}
    lines = explain_missing_splits(given, counts, dict.fromkeys(CLASSES, 0), rows)
    assert lines[2].startswith("animated: 5 images") and "--keep animated" in lines[2]
    assert lines[3].startswith("near-duplicate: 3 images") and "--keep near" in lines[3]
    assert lines[0].startswith('class "a": ')
    assert "(train 0, val 0, test 0)" in lines[0] and lines[0].endswith("2 near-duplicate, 2 animated")


def test_a_class_that_is_too_small_is_named_with_its_number_and_what_to_do(tmp_path):
    lines = explain_too_few_listed(listing(["1.jpg"] * 3, tmp_path))
    assert re.search(r'"a"\D* 2 ', lines[0]) and re.search(r'"b"\D* 1 ', lines[1])
    assert all(split in lines[2] for split in SPLITS) and '"a", "b"' in lines[3]


def test_quarters_of_ratings_may_lack_splits_but_no_split_may_be_empty(tmp_path):
    one_of_b = listing(["1.jpg"] * 2, tmp_path, target="dimensions")
    assert explain_too_few_listed(replace(one_of_b, entries=[*one_of_b.entries, one_of_b.entries[0]])) == []
    assert explain_too_few_listed(one_of_b)[0].startswith("2 images")
    given = listing(["1.jpg"] * 8, tmp_path, target="dimensions")
    counts = {"train": {"a": 4, "b": 0}, "val": {"a": 0, "b": 1}, "test": {"a": 2, "b": 1}}
    assert explain_missing_splits(given, counts, {"a": 6, "b": 2}, []) == []
    rows = [ExcludedImage("1.jpg", "b", Problem.TINY, "x")]
    lines = explain_missing_splits(given, counts | {"val": {"a": 0, "b": 0}}, {"a": 6, "b": 1}, rows)
    assert "(train 4, val 0, test 3)" in lines[0] and lines[0].endswith("1 tiny") and lines[1].startswith("tiny: ")
    assert "class" not in "".join(lines)


def test_few_scenes_are_counted(tmp_path):
    counts = {split: {"a": 4, "b": 4 * (split == "train")} for split in SPLITS}
    lines = explain_missing_splits(listing(["1.jpg"] * 8, tmp_path), counts, {"a": 9, "b": 2}, [])
    assert lines[0].startswith('class "b": ')
    assert "(train 4, val 0, test 0)" in lines[0] and " 2 " in lines[0].partition(")")[2]


def test_published_splits_that_lack_a_class_are_not_blamed_on_the_number_of_images(tmp_path):
    entries = [Entry(f"{n}.jpg", "ab"[n % 2], {}, tmp_path / f"{n}.jpg", split="train") for n in range(8)]
    counts = {split: {"a": 1, "b": 4 * (split == "train")} for split in SPLITS}
    lines = explain_missing_splits(Listing("x", CLASSES, entries, "x", ""), counts, {"a": 3, "b": 4}, [])
    assert len(lines) == 2 and '"b"' in lines[1] and "splits" in lines[1]
