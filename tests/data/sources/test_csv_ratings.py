"""Columns of ratings in a CSV table become ratings on a stated scale, or a message names what is wrong."""

from pathlib import Path

import pytest
from listings import refusal

from emotune.data.sources.base import Listing, Url
from emotune.data.sources.csv_source import Csv


@pytest.fixture
def table(tmp_path) -> Path:
    return tmp_path / "photos.csv"


def listing(table: Path, text: str, **options) -> Listing:
    table.write_text(text)
    return Csv(table, **options).listing()


VA = {"valence": "V", "arousal": "A", "scale": "1..9"}


def test_columns_are_named_and_have_one_scale_or_one_each(table):
    found = listing(table, "path,V,V_SD,A,split,group\na.jpg,2.5,1,8,test,ann\nb.jpg,9,,1,,\n", **VA, valence_sd="V_SD")
    assert [dict(entry.ratings) for entry in found.entries] == [
        {"valence": (2.5, 1), "arousal": (8, None)}, {"valence": (9, None), "arousal": (1, None)}
    ]  # fmt: skip
    assert [(one.name, one.low, one.high) for one in found.dimensions] == [("valence", 1, 9), ("arousal", 1, 9)]
    assert (found.target, found.entries[0].split, found.entries[0].group) == ("dimensions", "test", "ann")
    assert found.entries[0].image == table.parent / "a.jpg"
    other = listing(table, "url,A,D\nhttps://a.org/1,-2,70\n", arousal="A", dominance="D", scale="-3..3,0..100")
    assert [(one.name, one.low, one.high) for one in other.dimensions] == [("arousal", -3, 3), ("dominance", 0, 100)]
    assert other.entries[0].image == Url("https://a.org/1")


def test_several_rows_of_an_image_are_its_raters(table):
    found = listing(table, "path,V\na.jpg,1\na.jpg,2\nb.jpg,5\na.jpg,3\n", valence="V", scale="1..9")
    assert [dict(entry.ratings) for entry in found.entries] == [{"valence": (2, 1)}, {"valence": (5, None)}]
    assert any("rater" in note for note in found.notes)


def test_a_copied_row_is_no_rater_but_another_rater_may_give_the_same_ratings(table):
    found = listing(table, "path,V\na.jpg,4\n./a.jpg,4\nb.jpg,5\n./b.jpg,7\n", valence="V", scale="1..9")
    assert [dict(entry.ratings) for entry in found.entries] == [{"valence": (4, None)}, {"valence": (6, 2**0.5)}]
    assert [note.split(":")[1] for note in found.notes[-2:]] == [
        " rows that repeat another row of their image", " images in several rows"
    ]  # fmt: skip
    found = listing(table, "path,rater,V\na.jpg,1,4\na.jpg,2,4\na.jpg,2,4\n", valence="V", scale="1..9")
    assert dict(found.entries[0].ratings) == {"valence": (4, 0)}


@pytest.mark.parametrize(("rows", "words"), [
    ("a.jpg,5,train,g\nb.jpg,5,test,\na.jpg,5,test,g", [":4", "a.jpg", "several splits", "test, train"]),
    ("a.jpg,5,train,g\nb.jpg,5,test,g\na.jpg,5,test,h", ["several groups", "g, h"]),
    ("a.jpg,5,train,g\nb.jpg,5,test,g", ['group "g"', "test and train"]),
])  # fmt: skip
def test_an_image_or_a_group_in_several_splits_is_refused(table, rows, words):
    table.write_text(f"path,V,split,group\n{rows}\n")
    text = "\n".join(refusal(Csv(table, valence="V", scale="1..9")))
    assert all(word in text for word in words)


def test_paths_and_links_are_read_as_in_tables_of_classes(table):
    (table.parent / "in").mkdir()
    (table.parent / "in" / "a.jpg").write_bytes(b"x")
    found = listing(table, "path,V\nin\\a.jpg,4\nb.jpg,5\n", valence="V", scale="1..9")
    assert (found.entries[0].source, found.entries[0].image) == ("in/a.jpg", table.parent / "in" / "a.jpg")
    assert any("backslashes" in note for note in found.notes)
    table.write_text("url,V\na.org/1.jpg,5\n")
    assert '"a.org/1.jpg" is not a link' in refusal(Csv(table, valence="V", scale="1..9"))[0]


def test_different_rows_of_an_image_contradict_a_column_of_standard_deviations(table):
    options = {"valence": "V", "valence_sd": "SD", "scale": "1..9"}
    assert dict(listing(table, "path,V,SD\na.jpg,5,1\na.jpg,5,1\n", **options).entries[0].ratings) == {
        "valence": (5, 1)
    }
    table.write_text("path,V,SD\na.jpg,5,1\na.jpg,6,1\n")
    (line,) = refusal(Csv(table, **options))
    assert line.startswith(f"{table}:3: ") and '"a.jpg"' in line


@pytest.mark.parametrize(("options", "words"), [
    ({"scale": ""}, ["--scale"]), ({"scale": "9..1"}, ["--scale", "9..1"]), ({"scale": "1-9"}, ["--scale", "1-9"]),
    ({"scale": "1..9,1..9,1..9"}, ["--scale"]), ({"arousal": "Arousal"}, [":1", "Arousal"]),
    ({"dominance_sd": "V"}, ["--dominance-sd"]), ({"target": "distributions"}, ["--target"]),
    ({"votes": "V"}, ["--votes"]), ({"valence": "VV"}, ["--valence", '"VV"', '"V"']),
])  # fmt: skip
def test_wrong_options_are_refused(table, options, words):
    table.write_text("path,V,A\na.jpg,1,2\n")
    text = "\n".join(refusal(Csv(table, **VA | options)))
    assert all(word in text for word in words)
    assert len(set(text.splitlines())) == len(text.splitlines()) and '--scale ""' not in text


def test_wrong_cells_are_named_by_line_and_a_scale_alone_is_refused(table):
    table.write_text("path,V,A\na.jpg,0.5,2\nb.jpg,x,2\nc.jpg,5,10\n,5,5\nd.jpg,5\n")
    lines = refusal(Csv(table, **VA))
    assert [int(line.removeprefix(f"{table}:").split(":")[0]) for line in lines] == [2, 3, 4, 5, 6]
    table.write_text("path,V,A\n")
    assert "lists no images" in refusal(Csv(table, **VA))[0]
    table.write_text("path,label\na.jpg,awe\n")
    assert "--scale" in refusal(Csv(table, scale="1..9"))[0]
