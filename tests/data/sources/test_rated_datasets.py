"""Published sets of valence and arousal become lists of rated images. These tests make their files."""

import json
from pathlib import Path

import pytest
from listings import refusal, write

from emotune.core.errors import InputError
from emotune.data.annotations import QUARTERS
from emotune.data.manifest import Problem
from emotune.data.sources.base import Listing, Url
from emotune.data.sources.rated_datasets import FindingEmo, Gaped, Naps, Oasis

HEADER = ",Theme,Category,Source,Valence_mean,Valence_SD,Valence_N,Arousal_mean,Arousal_SD,Arousal_N"


def ratings(listing: Listing) -> dict[str, dict]:
    return {entry.source: dict(entry.ratings) for entry in listing.entries}


def scales(listing: Listing) -> list[tuple]:
    return [(one.name, one.low, one.high) for one in listing.dimensions]


def oasis(directory: Path, *rows: str, end: str = "\r", header: str = HEADER) -> Path:
    (directory / "images").mkdir(exist_ok=True)
    (directory / "images" / "Acorns 1.jpg").touch()
    (directory / "OASIS.csv").write_bytes(end.join([header, *rows]).encode())
    return directory


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_oasis_is_read_with_bare_carriage_returns_an_unnamed_column_and_blanks_around_themes(tmp_path, end):
    rows = ["I1,Acorns 1,Object,Pixabay,4.68,0.95,102,2.34,1.60,101", 'I2, Bar 1 ,"Scene, inside",X,6,1,100,7,,99']
    listing = Oasis(oasis(tmp_path, *rows, end=end)).listing()
    assert ratings(listing) == {
        "Acorns 1.jpg": {"valence": (4.68, 0.95), "arousal": (2.34, 1.6)},
        "Bar 1.jpg": {"valence": (6, 1), "arousal": (7, None)},
    }
    assert listing.entries[1].image == tmp_path / "images" / "Bar 1.jpg"
    assert scales(listing) == [("valence", 1, 7), ("arousal", 1, 7)]
    assert (listing.name, listing.target, listing.classes) == ("oasis", "dimensions", (QUARTERS[0], QUARTERS[-1]))


def test_rating_errors_are_those_of_dimensions_whose_raters_are_known_for_all_images(tmp_path):
    rows = ["I1,Acorns 1,Object,Pixabay,4.68,0.9,100,2.34,1.60,101", "I2,Bar 1,Scene,X,6,1.5,50,7,,99"]
    listing = Oasis(oasis(tmp_path, *rows)).listing()
    assert listing.rating_errors == pytest.approx({"valence": (0.9**2 / 100 + 1.5**2 / 50) / 2})
    assert Oasis(oasis(tmp_path, rows[0].replace("100,2.34", ",2.34"))).listing().rating_errors.keys() == {"arousal"}
    assert "many" in refusal(Oasis(oasis(tmp_path, rows[0].replace("101", "many"))))[0]


def test_wrong_tables_of_oasis_are_refused_by_line(tmp_path):
    good = "I1,Acorns 1,Object,Pixabay,4.68,0.95,102,2.34,1.60,101"
    wrong = [good.replace("4.68", value) for value in ("0.9", "7.1", "x", "", "nan")] + [good.replace("0.95", "9")]
    lines = refusal(Oasis(oasis(tmp_path, good, *wrong)))
    assert all(line.startswith(f"{tmp_path}/OASIS.csv:") for line in lines) and '"0.9"' in lines[0]
    assert refusal(Oasis(oasis(tmp_path, good, good + ",5")))[0].startswith(f"{tmp_path}/OASIS.csv:3: 11 columns")
    assert "Arousal_SD" in refusal(Oasis(oasis(tmp_path, good, header=HEADER.replace("Arousal_SD", "SD"))))[0]
    assert "none of the 1" in refusal(Oasis(oasis(tmp_path, good.replace("Acorns", "Oaks"))))[0]
    (tmp_path / "OASIS.csv").unlink()
    assert "OASIS.csv" in refusal(Oasis(tmp_path))[0]


@pytest.mark.parametrize(("place", "header"), [("{0}/{0}.txt", ""), ("{0}.txt", "Item\tValence\tArousal\n")])
def test_gaped_has_a_folder_and_a_list_for_each_category(tmp_path, place, header):
    for number, name in enumerate(("A", "H", "N", "P", "Sn", "Sp")):
        write(tmp_path / name / f"{name}001.bmp")
        (tmp_path / place.format(name)).write_text(f"{header}{name}001.bmp\t{10 * number}.5\t60.25\t50\t50\n")
    listing = Gaped(tmp_path).listing()
    assert ratings(listing)["Sn/Sn001.bmp"] == {"valence": (40.5, None), "arousal": (60.25, None)}
    assert len(listing.entries) == 6 and scales(listing) == [("valence", 0, 100), ("arousal", 0, 100)]
    (tmp_path / place.format("Sp")).write_text("Sp002.bmp\t10\t20\nSp001.bmp\t101\t20\nSp001.bmp\n")
    lines = refusal(Gaped(tmp_path))
    assert [int(line.split(":")[1]) for line in lines] == [2, 3]


def test_a_missing_picture_of_gaped_stays_listed_but_some_must_be_there(tmp_path):
    for name in ("A", "H", "N", "P", "Sn", "Sp"):
        write(tmp_path / name / f"{name}.txt", f"{name}001.bmp\t10\t20")
    (line,) = refusal(Gaped(tmp_path))
    assert "none of the 6" in line
    write(tmp_path / "A" / "A001.bmp")
    listing = Gaped(tmp_path).listing()
    assert len(listing.entries) == 6 and listing.entries[1].image == tmp_path / "H" / "H001.bmp"


def test_naps_is_separated_by_semicolons_and_may_have_decimal_commas(tmp_path):
    write(tmp_path / "images" / "Animals_001_h.jpg")
    write(tmp_path / "NAPS_valence_arousal_2014.csv", "ID;Category;Nr;V_H;Description;Valence;Arousal",
          "Animals_001_h;Animals;1;h;a dog, asleep;7.05;1,82", "Faces_002_v;Faces;2;v;-;2;9")  # fmt: skip
    listing = Naps(tmp_path).listing()
    assert ratings(listing)["Animals_001_h.jpg"] == {"valence": (7.05, None), "arousal": (1.82, None)}
    assert listing.entries[1].image == tmp_path / "images" / "Faces_002_v.jpg"
    write(tmp_path / "NAPS_valence_arousal_2014.csv", "ID,Category,Nr", "1,2,3")
    assert "no column ID, Valence, Arousal" in refusal(Naps(tmp_path))[0]


def test_of_rows_that_repeat_an_image_the_last_one_counts_and_a_note_says_so(tmp_path):
    row = "I1,Acorns 1,Object,Pixabay,4.68,0.95,102,2.34,1.60,101"
    found = [Oasis(oasis(tmp_path, row, row.replace("4.68", "6"))).listing()]
    write(tmp_path / "images" / "a.jpg")
    write(tmp_path / "NAPS_valence_arousal_2014.csv", "ID;Valence;Arousal", "a;7;2", "a;6;2")
    write(tmp_path / "annotations_single.ann", "image_path,valence,arousal", "/a.jpg,1,2", "/a.jpg,2,2")
    (tmp_path / "dataset_urls_exploded.json").write_text('[{"rel_path": "/a.jpg", "idx_url": 1, "url": "https://a"}]')
    found += [Naps(tmp_path).listing(), FindingEmo(tmp_path).listing()]
    assert [[entry.ratings["valence"][0] for entry in listing.entries] for listing in found] == [[6], [6], [2]]
    assert [[note.split(";")[0] for note in listing.notes] for listing in found] == [
        [f"rows that repeat an image: 1, such as {name}"] for name in ("Acorns 1.jpg", "a.jpg", "/a.jpg")
    ]  # fmt: skip


ANNOTATIONS = "index,user,image_path,tags,age,valence,arousal,emotion,dec_factors,ambiguity,datetime"


def test_findingemo_is_links_and_a_picture_without_one_is_left_out(tmp_path):
    rows = [f'0,u,/Run_2/a b/{name}.jpg,Undefined,Children,{v},{a},Trust,"x,y",0,2023' for name, v, a in
            [("one", -3, 6), ("two", 3, 0), ("three", 0, 1)]]  # fmt: skip
    write(tmp_path / "annotations_single.ann", ANNOTATIONS, *rows)
    links = [("one", 2, "https://b.org/2"), ("one", 1, "https://a.org/1"), ("two", 1, "https://a.org/2")]
    content = [{"rel_path": f"/Run_2/a b/{name}.jpg", "idx_url": n, "url": url} for name, n, url in links]
    (tmp_path / "dataset_urls_exploded.json").write_text(json.dumps(content))
    listing = FindingEmo(tmp_path).listing()
    assert [entry.image for entry in listing.entries] == [Url("https://a.org/1"), Url("https://a.org/2")]
    assert listing.entries[0].ratings == {"valence": (-3, None), "arousal": (6, None)}
    assert [(row.source, row.problem) for row in listing.left_out] == [("/Run_2/a b/three.jpg", Problem.LOST)]
    assert scales(listing) == [("valence", -3, 3), ("arousal", 0, 6)]
    for wrong in ('{"a": 1}', "[1]", "x"):
        (tmp_path / "dataset_urls_exploded.json").write_text(wrong)
        with pytest.raises(InputError, match=r"dataset_urls_exploded\.json"):
            FindingEmo(tmp_path).listing()
