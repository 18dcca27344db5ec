"""FI's link files and archive become lists of images. All files are synthetic, made in the published formats."""

import re
from pathlib import Path

import pytest
from listings import labels, left_out, refusal, write

from emotune.config.labels import MIKELS
from emotune.data.annotations import OTHER
from emotune.data.manifest import Problem
from emotune.data.sources.base import Entry, Url
from emotune.data.sources.class_names import unknown_class
from emotune.data.sources.fi import FiArchive, FiLinks


def link(name: str) -> str:
    return f"https://images.invalid/{name}.jpg"


def fi_links(directory: Path, **lines: list[str]) -> Path:
    """A file for each emotion, with the given lines, or a single clearly good one."""
    for label in MIKELS:
        write(directory / "agg" / f"{label}_1st_1000.csv", *lines.get(label, [f"{label},{link(label)},0,5"]))
    return directory


def test_a_link_file_counts_who_disagrees_first(tmp_path):
    listing = FiLinks(fi_links(tmp_path, awe=[f"awe,{link('a')},1,4", f"awe,{link('b')},4,1"])).listing()
    assert Entry(link("a"), "awe", {"awe": 4, OTHER: 1}, Url(link("a"))) in listing.entries
    assert (listing.name, listing.classes, len(listing.entries), listing.left_out) == ("fi", MIKELS, 8, [])


def test_parts_divide_the_links_and_ties_are_noisy(tmp_path):
    fi_links(tmp_path, awe=[f"awe,{link('well')},2,3", f"awe,{link('tie')},2,2", f"awe,{link('noisy')},3,2"])
    agg = tmp_path / "agg"
    well, noisy, both = (set(labels(FiLinks(agg, part).listing())) for part in ("well", "noisy", "all"))
    assert noisy == {link("tie"), link("noisy")}
    assert link("well") in well and not well & noisy and well | noisy == both
    assert FiLinks(tmp_path, "noisy").listing().name == "fi-noisy"


def test_a_link_in_several_classes_has_the_label_of_the_one_in_which_it_is_well(tmp_path):
    fi_links(tmp_path, awe=[f"awe,{link('x')},3,2"], fear=[f"fear,{link('x')},1,4"])
    for part in ("well", "all"):
        listing = FiLinks(tmp_path, part).listing()
        assert labels(listing)[link("x")] == "fear"
    assert FiLinks(tmp_path, "well").listing().left_out == [], "its noisy lines were not asked for"
    assert left_out(listing) == [(link("x"), "awe", Problem.AMBIGUOUS)]
    assert re.match(r"awe_1st_1000\.csv:1\b.*\bfear\b.*\bfear_1st_1000\.csv:1\b", listing.left_out[0].detail)
    assert labels(FiLinks(tmp_path, "noisy").listing()) == {}


@pytest.mark.parametrize("counts", ["1,4", "4,1"])
def test_a_link_that_is_equally_good_in_several_classes_has_no_label(tmp_path, counts):
    fi_links(tmp_path, awe=[f"awe,{link('x')},{counts}"], fear=[f"fear,{link('x')},{counts}"])
    listing = FiLinks(tmp_path, "all").listing()
    assert link("x") not in labels(listing)
    assert left_out(listing) == [(link("x"), "awe", Problem.AMBIGUOUS), (link("x"), "fear", Problem.AMBIGUOUS)]
    assert "fear_1st_1000.csv:1" in listing.left_out[0].detail and "awe_1st_1000.csv:1" in listing.left_out[1].detail
    assert len(FiLinks(tmp_path, "well").listing().left_out) == (2 if counts == "1,4" else 0)


def test_a_repeated_link_is_one_image_whose_rounds_of_votes_are_added_but_whose_copies_are_not(tmp_path):
    lines = [f"awe,{link('two-rounds')},1,4", f"awe,{link('copy')},2,3", f"awe,{link('copy')},2,3"]
    fi_links(tmp_path, awe=lines)
    write(tmp_path / "agg" / "awe_2nd.csv", f"awe,{link('two-rounds')},3,2")
    listing = FiLinks(tmp_path).listing()
    votes = {entry.source: entry.votes for entry in listing.entries}
    assert votes[link("two-rounds")] == {"awe": 6, OTHER: 4}
    assert votes[link("copy")] == {"awe": 3, OTHER: 2}
    assert left_out(listing) == [(link(name), "awe", Problem.EXACT) for name in ("two-rounds", "copy")]
    assert re.fullmatch(r"awe_2nd\.csv:1 \w+ awe_1st_1000\.csv:1", listing.left_out[0].detail)


def test_a_link_without_votes_has_no_label(tmp_path):
    fi_links(tmp_path, awe=[f"awe,{link('x')},0,0"])
    assert link("x") not in labels(FiLinks(tmp_path).listing())
    assert left_out(FiLinks(tmp_path, "noisy").listing()) == [(link("x"), "awe", Problem.VOTES)]


def test_bad_lines_of_all_link_files_are_one_line_with_the_first_and_their_number(tmp_path):
    bad = [f"fear,{link('a')},1,4", f"awe,{link('a')},x,4", f"awe,{link('a')},-1,4",
           "awe,ftp://a/b.jpg,1,4", f"awe,{link('a')},1", ""]  # fmt: skip
    fi_links(tmp_path, awe=bad, fear=["fear"])
    (line,) = refusal(FiLinks(tmp_path))
    assert re.match(r".*/agg/awe_1st_1000\.csv:1: ", line)
    assert f'"fear,{link("a")},1,4"' in line and "6 rows" in line


def test_published_spellings_of_link_files_are_recognised(tmp_path):
    fi_links(tmp_path)
    for label, word in (("awe", "Awe"), ("sadness", "Sad")):
        (tmp_path / "agg" / f"{label}_1st_1000.csv").unlink()
        write(tmp_path / "agg" / f"{word}_1st.csv", f"{word},{link(label)},0,5")
    assert labels(FiLinks(tmp_path).listing()) == {link(label): label for label in MIKELS}


def test_link_files_of_no_emotion_or_of_too_few_are_refused(tmp_path):
    agg = fi_links(tmp_path) / "agg"
    (agg / "awe_1st_1000.csv").rename(agg / "aww_1st_1000.csv")
    write(agg / "._fear_1st_1000.csv", "hidden")
    assert refusal(FiLinks(tmp_path)) == [
        f"{agg}/aww_1st_1000.csv: {unknown_class('aww', MIKELS)}",
        f"{agg}: no file awe_*.csv",
    ]
    (line,) = refusal(FiLinks(tmp_path / "none"))
    assert line.startswith(f"{tmp_path / 'none'}: ")
    fi_links(tmp_path)
    (agg / "aww_1st_1000.csv").unlink()
    (agg / "awe_1st_1000.csv").write_bytes(b"awe,\xff")
    assert "awe_1st_1000.csv: " in refusal(FiLinks(tmp_path))[0]


def test_the_archive_is_labelled_by_its_folders(tmp_path):
    for label in MIKELS:
        write(tmp_path / "emotion_dataset" / label / f"{label}_0001.jpg")
    write(tmp_path / "emotion_dataset" / "awe" / "renamed.jpg")
    listing = FiArchive(tmp_path).listing()
    assert labels(listing) == {f"{label}/{label}_0001.jpg": label for label in MIKELS} | {"awe/renamed.jpg": "awe"}
    assert (listing.name, listing.classes, listing.left_out) == ("fi", MIKELS, ())
    (tmp_path / "emotion_dataset" / "fear").rename(tmp_path / "emotion_dataset" / "feer")
    lines = refusal(FiArchive(tmp_path / "emotion_dataset"))
    assert '"feer"' in lines[0] and '"fear"' in lines[1]
