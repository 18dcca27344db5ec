"""CSV tables become listings of images, or a message names every line that cannot be used."""

import re
from pathlib import Path

import pytest
from tables import listing, refusal

from emotune.config.labels import MIKELS
from emotune.core.errors import InputError
from emotune.data.manifest import ExcludedImage, Problem
from emotune.data.sources.base import Entry, Url
from emotune.data.sources.class_names import unknown_class
from emotune.data.sources.csv_source import Csv


@pytest.fixture
def table(tmp_path) -> Path:
    return tmp_path / "photos.csv"


def test_a_table_of_paths_and_labels_is_listed_row_by_row(table):
    found = listing(table, "path,label\na.jpg,awe\nsub/b c.png,fear\n")
    assert found.entries == [
        Entry("a.jpg", "awe", {"awe": 1}, table.parent / "a.jpg"),
        Entry("sub/b c.png", "fear", {"fear": 1}, table.parent / "sub" / "b c.png"),
    ]
    assert (found.name, found.classes, found.left_out) == ("photos", MIKELS, [])


def test_without_a_label_the_class_with_most_votes_is_the_label(table):
    found = listing(table, "path,awe,fear,other\na.jpg,3,1,4\nb.jpg,,2.5,\n")
    assert [(entry.label, entry.votes) for entry in found.entries] == [
        ("awe", {"awe": 3, "fear": 1, "other": 4}), ("fear", {"fear": 2.5}),
    ]  # fmt: skip
    assert all(isinstance(count, int) for count in found.entries[0].votes.values())


def test_a_label_stands_whatever_the_votes_say(table):
    (entry,) = listing(table, "path,label,awe,fear\na.jpg,fear,3,2\n").entries
    assert (entry.label, entry.votes) == ("fear", {"awe": 3, "fear": 2})
    (entry,) = listing(table, "path,label,awe,fear\na.jpg,,3,2\n").entries
    assert entry.label == "awe"


@pytest.mark.parametrize("votes", ["2,2,0", "0,0,3", ",,", "0,0,0"])
def test_a_tie_and_an_image_without_votes_have_no_label_and_are_left_out(table, votes):
    found = listing(table, f"path,awe,fear,other\na.jpg,{votes}\nb.jpg,1,0,0\n")
    assert [entry.source for entry in found.entries] == ["b.jpg"]
    ((row),) = found.left_out
    assert isinstance(row, ExcludedImage)
    assert (row.source, row.label, row.problem, row.kept) == ("a.jpg", "", Problem.VOTES, False)


def test_a_tie_stays_where_the_target_are_distributions(table):
    table.write_text("path,awe,fear,other\na.jpg,2,2,0\nb.jpg,0,0,3\nc.jpg,0,1,4\n")
    found = Csv(table, target="distributions").listing()
    assert [(entry.source, entry.label) for entry in found.entries] == [("a.jpg", "awe"), ("c.jpg", "fear")]
    assert ([row.source for row in found.left_out], found.target) == (["b.jpg"], "distributions")
    assert any("left out of the distributions" in note for note in found.notes)
    assert not any("left out" in note for note in Csv(table).listing().notes)


def test_links_stand_for_images_and_a_path_goes_before_a_link(table):
    url = "https://example.org/a,b.jpg"
    found = listing(table, f'url,path,label\n"{url}",,awe\n"{url}",here.jpg,awe\n')
    assert [(entry.source, entry.image) for entry in found.entries] == [
        (url, Url(url)), ("here.jpg", table.parent / "here.jpg"),
    ]  # fmt: skip


def test_splits_and_groups_are_prescribed_row_by_row(table):
    found = listing(table, "path,label,split,group\na.jpg,awe,test,ann\nb.jpg,awe,,ann\nc.jpg,awe,val,\n")
    assert [(entry.split, entry.group) for entry in found.entries] == [("test", "ann"), (None, "ann"), ("val", None)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_byte_order_mark_blanks_and_any_line_ends_do_no_harm(table, encoding, end):
    text = end.join([" path , label ,", " ä.jpg , awe ,", "", "b.jpg,fear,"])
    for labels in ("mikels", "any"):
        found = listing(table, text, labels, encoding)
        assert [(entry.source, entry.label) for entry in found.entries] == [("ä.jpg", "awe"), ("b.jpg", "fear")]


def test_a_quoted_newline_belongs_to_its_cell_and_later_lines_keep_their_numbers(table):
    found = listing(table, 'path,label\n"a\nb.jpg",awe\n')
    assert found.entries[0].source == "a\nb.jpg"
    assert refusal(table, 'path,label\n"a\nb.jpg",awe\nc.jpg,joy\n') == [f":4: {unknown_class('joy', MIKELS)}"]


def test_with_labels_any_the_labels_are_the_classes(table):
    assert listing(table, "path,label\na.jpg,sea\nb.jpg,city\nc.jpg,sea\n", "any").classes == ("city", "sea")
    found = listing(table, "path,sea,city,other\na.jpg,1,2,0\n", "any")
    assert (found.classes, found.entries[0].label) == (("sea", "city"), "city")


HEADERS = {
    "label\nawe\n": '"path" or "url"',
    "path;label\na.jpg;awe\n": "path;label",
    "": '"path" or "url"',
    "path,photographer\na.jpg,ann\n": "(amusement, ",
    "path,label,label\na.jpg,awe,fear\n": '"label"',
    "path,awe, awe\na.jpg,1,2\n": '"awe"',
}


@pytest.mark.parametrize(("text", "named"), HEADERS.items())
def test_a_header_that_cannot_be_used_is_refused_as_line_one(table, text, named):
    (line,) = refusal(table, text)
    assert line.startswith(":1: ")
    assert named in line


ROWS = {
    "a.jpg,joy,,,,": ['"joy"'],
    "a.jpg,Awee,,,,": ['"Awee"', '"awe"'],
    ",awe,,,,": ["path", "url"],
    "a.jpg,,,,,": ["label"],
    "a.jpg": ["6 columns"],
    "a.jpg,awe": ["6 columns"],
    "a.jpg,awe,two,,,": ['"fear"', '"two"'],
    "a.jpg,awe,-1,,,": ['"fear"', '"-1"'],
    "a.jpg,awe,nan,,,": ['"fear"', '"nan"'],
    "a.jpg,awe,1_0,,,": ['"fear"', '"1_0"'],
    "a.jpg,awe,,1e999,,": ['"other"', '"1e999"'],
    "a.jpg,awe,,,fold1,": ["split", '"fold1"'],
    "a.jpg,3,,,,": ['"3"'],
    "a.jpg,awe,,,,ann,b": ["6 columns"],
}


@pytest.mark.parametrize(("row", "named"), ROWS.items())
def test_a_row_that_cannot_be_used_is_refused_with_its_line(table, row, named):
    (line,) = refusal(table, f"path,label,fear,other,split,group\ngood.jpg,awe,,,,\n{row}\n")
    assert line.startswith(":3: ")
    assert all(part in line for part in named)


def test_wrong_rows_of_a_kind_are_one_line_with_their_number_and_values(table):
    rows = [f"{number}.jpg,{'joy' if number % 3 else 'Awee'},{number % 2 or '2?'}" for number in range(60)]
    lines = refusal(table, "\n".join(["path,label,fear", *rows]))
    assert [line.partition(": ")[0] for line in lines] == [":2", ":3"]
    assert "30 rows" in lines[0] and '"2?"' in lines[0]
    assert "30 rows" in lines[1] and '("joy" 20, "Awee" 10)' in lines[1]


def test_a_misspelt_column_of_votes_is_not_lost_silently(table):
    (line,) = refusal(table, "path,contentement,awe\na.jpg,5,1\n")
    assert line.startswith(":1: ") and '"contentement"' in line and '"contentment"' in line


def test_columns_of_other_things_are_ignored(table):
    table.write_text("path,label,photographer,width\na.jpg,awe,Ann,500\n")
    (entry,) = Csv(table).listing().entries
    assert entry.votes == {"awe": 1}


def test_votes_that_are_all_zero_do_not_count_as_votes(table):
    table.write_text("path,label,awe,fear\na.jpg,awe,0,0\nb.jpg,awe,0,2\n")
    first, second = Csv(table).listing().entries
    assert (first.votes, second.votes) == ({"awe": 1}, {"awe": 0, "fear": 2})


def test_a_table_without_rows_is_refused(table):
    assert len(refusal(table, "path,label\n")) == 1


def test_a_url_that_is_not_a_link_is_refused_with_its_line(table):
    (line,) = refusal(table, "url,label\nhttps://a.example/1.jpg,awe\nfoo,awe\n")
    assert line.startswith(':3: "foo"')


def test_a_group_in_two_splits_is_refused(table):
    text = "path,label,split,group\na.jpg,awe,train,ann\nb.jpg,awe,test,ann\nc.jpg,awe,test,bob\n"
    (line,) = refusal(table, text)
    assert all(part in line for part in ('"ann"', "test", "train")) and "bob" not in line


@pytest.mark.parametrize("text", ["path,label\n", "path,label\na.jpg,sea\n"])
def test_fewer_than_two_labels_are_refused(table, text):
    (line,) = refusal(table, text, "any")
    assert re.search(r"\b[01] labels", line)


def test_one_column_of_votes_is_refused(table):
    (line,) = refusal(table, "path,sea\na.jpg,1\n", "any")
    assert line.startswith(":1: ")


def test_a_file_that_is_not_a_table_is_refused(table, tmp_path):
    assert "UTF-8" in refusal(table, "path,label\nä.jpg,awe\n", encoding="latin-1")[0]
    assert "UTF-8" in refusal(table, "path,label\na.jpg,awe\n", encoding="utf-16")[0]
    assert "CSV" in refusal(table, f'path,label\n"{"a" * 200_000}",awe\n')[0]
    for path in (tmp_path, tmp_path / "none.csv"):
        with pytest.raises(InputError, match=path.name):
            Csv(path).listing()
