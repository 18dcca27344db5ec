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
    assert any("1 images" in note for note in found.notes)


@pytest.mark.parametrize(("options", "words"), [
    ({"scale": ""}, ["--scale"]), ({"scale": "9..1"}, ["--scale", "9..1"]), ({"scale": "1-9"}, ["--scale", "1-9"]),
    ({"scale": "1..9,1..9,1..9"}, ["--scale"]), ({"arousal": "Arousal"}, [":1", "Arousal"]),
    ({"dominance_sd": "V"}, ["--dominance-sd"]), ({"target": "distributions"}, ["--target"]),
    ({"votes": "V"}, ["--votes"]),
])  # fmt: skip
def test_wrong_options_are_refused(table, options, words):
    table.write_text("path,V,A\na.jpg,1,2\n")
    text = "\n".join(refusal(Csv(table, **VA | options)))
    assert all(word in text for word in words)


def test_wrong_cells_are_named_by_line_and_a_scale_alone_is_refused(table):
    table.write_text("path,V,A\na.jpg,0.5,2\nb.jpg,x,2\nc.jpg,5,10\n,5,5\nd.jpg,5\n")
    lines = refusal(Csv(table, **VA))
    assert [int(line.removeprefix(f"{table}:").split(":")[0]) for line in lines] == [2, 3, 4, 5, 6]
    table.write_text("path,V,A\n")
    assert "lists no images" in refusal(Csv(table, **VA))[0]
    table.write_text("path,label\na.jpg,awe\n")
    assert "--scale" in refusal(Csv(table, scale="1..9"))[0]
