"""Published tables: spellings, one row per rater, columns that are not votes, paths from other systems."""

from pathlib import Path

import pytest
from tables import listing, refusal

from emotune.core.errors import InputError
from emotune.data.manifest import Problem
from emotune.data.sources.csv_source import Csv


@pytest.fixture
def table(tmp_path) -> Path:
    return tmp_path / "photos.csv"


@pytest.mark.parametrize(
    "header", ["path,amusement,content,sad", "Path,Amusement,Content,Sad", "PATH,AMUSEMENT,CONTENT,SADNESS"]
)
def test_published_spellings_of_columns_are_taken(table, header):
    found = listing(table, f"{header}\na.jpg,0,4,1\nb.jpg,0,1,4\n")
    assert [entry.label for entry in found.entries] == ["contentment", "sadness"]
    assert found.entries[0].votes == {"amusement": 0, "contentment": 4, "sadness": 1}


def test_two_columns_of_votes_for_one_class_are_refused(table):
    assert "sadness" in refusal(table, "path,sad,sadness\na.jpg,1,2\n")[0]


def test_published_spellings_of_labels_are_taken_where_the_label_space_has_them(table):
    found = listing(table, "path,label\na.jpg,Sad\nb.jpg,CONTENT\nc.jpg,Awe\n")
    assert [entry.label for entry in found.entries] == ["sadness", "contentment", "awe"]
    assert [e.label for e in listing(table, "path,label\na.jpg,Happiness\nb.jpg,angry\n", "ekman").entries] == [
        "joy", "anger",
    ]  # fmt: skip
    assert '"happy"' in refusal(table, "path,label\na.jpg,happy\n")[0]


def test_ignored_columns_are_named_in_one_note(table):
    found = listing(table, "path,label,photographer,Valence_mean\na.jpg,awe,Ann,5.1\nb.jpg,fear,Bob,2.7\n")
    assert [note.partition(": ")[0] for note in found.notes if "photographer, Valence_mean" in note] == ["photos.csv"]
    assert found.entries[0].votes == {"awe": 1}


RATINGS = {
    "means": "path,Valence_mean,Arousal_mean\na.jpg,5.12,3.4\nb.jpg,2.5,4.1\n",
    "means without telling names": "path,sea,city\na.jpg,5.12,3.4\nb.jpg,2.5,4.1\n",
    "sizes": "path,width,height\na.jpg,160,120\nb.jpg,120,160\n",
    "numbers of several totals": "path,sea,city\na.jpg,160,120\nb.jpg,120,90\n",
    "votes beside a size": "path,sea,city,width\na.jpg,1,2,160\nb.jpg,2,1,160\n",
}


@pytest.mark.parametrize("text", RATINGS.values(), ids=RATINGS)
def test_numbers_that_may_not_be_votes_are_refused_until_the_user_names_the_votes(table, text):
    (line,) = refusal(table, text, "any")
    assert "--votes" in line
    first, second = text.split("\n")[0].split(",")[1:3]
    found = Csv(table, "any", votes=f"{first}, {second}").listing()
    assert found.classes == (first, second)


@pytest.mark.parametrize("cells", [("0.7", "0.3"), (".7", ".3"), ("62.5%", "37.5%"), ("70", "30"), ("4", "1")])
def test_shares_and_counts_with_one_total_are_votes(table, cells):
    found = listing(
        table, "path,sea,city,by\n" + f"a.jpg,{cells[0]},{cells[1]},Ann\nb.jpg,{cells[1]},{cells[0]},Bob\n", "any"
    )
    assert found.classes == ("sea", "city")
    assert [entry.label for entry in found.entries] == ["sea", "city"]


def test_votes_that_are_not_columns_or_not_classes_are_refused(table):
    table.write_text("path,awe,fear,joy\na.jpg,1,2,3\n")
    for votes, part in (("awe,none", '--votes .*"none"'), ("awe,joy", '"joy"')):
        with pytest.raises(InputError, match=part):
            Csv(table, votes=votes).listing()
    assert Csv(table, votes="awe").listing().entries[0].votes == {"awe": 1}


def test_ratings_in_columns_of_classes_are_noted(table):
    found = listing(table, "path,awe,fear\na.jpg,5.12,3.4\nb.jpg,2,3\n")
    assert any("1 rows" in note and "awe 5.12" in note for note in found.notes)


def test_labels_that_differ_in_capitals_alone_are_refused(table):
    (line,) = refusal(table, "path,label\na.jpg,Sea\nb.jpg,sea\nc.jpg,city\n", "any")
    assert '"Sea"' in line and '"sea"' in line


def test_rows_of_one_image_are_merged_and_their_labels_are_votes(table):
    rows = ["a.jpg,awe", "a.jpg,awe", "./a.jpg,fear", "b.jpg,fear", "c.jpg,awe", "c.jpg,fear"]
    found = listing(table, "\n".join(["path,label", *rows]))
    assert [(entry.source, entry.label, entry.votes) for entry in found.entries] == [
        ("a.jpg", "awe", {"awe": 2, "fear": 1}), ("b.jpg", "fear", {"fear": 1}),
    ]  # fmt: skip
    assert [(row.source, row.problem) for row in found.left_out] == [("c.jpg", Problem.VOTES)]
    assert ["2 images" in note and "5 rows" in note for note in found.notes] == [True]


def test_votes_of_several_rows_are_added_but_a_copied_row_counts_once(table):
    found = listing(table, "path,awe,fear\na.jpg,1,2\na.jpg,1,2\na.jpg,4,0\n")
    assert [(entry.label, entry.votes) for entry in found.entries] == [("awe", {"awe": 5, "fear": 2})]


def test_rows_of_one_image_that_contradict_in_split_or_group_are_one_line_each(table):
    rows = [f"{n}.jpg,awe,{split},{group}" for n in range(9) for split, group in (("train", "ann"), ("test", "bob"))]
    lines = refusal(table, "\n".join(["path,label,split,group", *rows]))
    assert len(lines) == 2 and all("9 rows" in line for line in lines)


def test_labels_that_their_votes_contradict_are_counted_in_a_note_and_stay(table):
    found = listing(table, "path,label,awe,fear\na.jpg,awe,0,5\nb.jpg,awe,1,5\nc.jpg,awe,5,1\n")
    assert [entry.label for entry in found.entries] == ["awe"] * 3
    assert any("2 images" in note and "a.jpg" in note for note in found.notes)


def test_published_names_of_splits_and_columns_are_recognised(table):
    found = listing(
        table, "file_name,emotion,Usage\na.jpg,awe,Training\nb.jpg,fear,PublicTest\nc.jpg,fear,PrivateTest\n"
    )
    assert [entry.split for entry in found.entries] == ["train", "val", "test"]
    assert any('"file_name"' in note and '"path"' in note for note in found.notes)
    found = listing(table, "path,label,split\na.jpg,awe,TRAIN\nb.jpg,fear,dev\nc.jpg,fear,Validation\n")
    assert [entry.split for entry in found.entries] == ["train", "val", "val"]


def test_a_table_without_names_of_columns_says_so(table):
    assert "path,label" in refusal(table, "a.jpg,awe\nb.jpg,fear\n")[0]


def test_paths_from_windows_are_read_with_slashes_where_these_are_files(table):
    (table.parent / "images").mkdir()
    (table.parent / "images" / "a.jpg").write_bytes(b"x")
    found = listing(table, "path,label\nimages\\a.jpg,awe\nimages\\b.jpg,awe\n")
    assert [entry.image for entry in found.entries] == [
        table.parent / "images" / "a.jpg",
        table.parent / "images\\b.jpg",
    ]
    assert any("1 paths" in note and "images\\a.jpg" in note for note in found.notes)


def test_paths_are_relative_to_the_folder_that_is_named(table, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    table.write_text("path,label\na.jpg,awe\n")
    assert Csv(table, images=str(tmp_path / "elsewhere")).listing().entries[0].image == tmp_path / "elsewhere" / "a.jpg"
    with pytest.raises(InputError, match="--images"):
        Csv(table, images=str(tmp_path / "none")).listing()


@pytest.mark.parametrize("head", [b"PK\x03\x04", b"Rar!\x1a\x07\0", b"\x1f\x8b\x08"])
def test_an_archive_in_place_of_a_table_is_to_be_unpacked(table, head):
    table.write_bytes(head)
    with pytest.raises(InputError, match="archive"):
        Csv(table).listing()
