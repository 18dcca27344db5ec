"""Published sets become lists of images. All files are synthetic: these tests make them in the published formats."""

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
from listings import labels, left_out, refusal, write

from emotune.config.labels import EKMAN, MIKELS, POLARITY
from emotune.data.annotations import OTHER
from emotune.data.manifest import Problem
from emotune.data.sources.public_datasets import Abstract, ArtPhoto, EmoSet, Emotion6, Twitter1
from emotune.data.sources.registry import SOURCES


def emoset(directory: Path, **lists: object) -> Path:
    (directory / "image").mkdir(exist_ok=True)
    for number, split in enumerate(("train", "val", "test")):
        path = f"image/awe/awe_{number:05d}.jpg"
        items = [["awe", f"awe_{number:05d}", path, path.replace("image", "annotation")]]
        (directory / f"{split}.json").write_text(json.dumps(lists.get(split, items)))
    return directory


def test_emoset_prescribes_its_split_with_and_without_ids(tmp_path):
    three = [["sadness", "image/sadness/sadness_1.jpg", "annotation/sadness/sadness_1.json"]]
    listing = EmoSet(emoset(tmp_path, val=three)).listing()
    paths = ("image/awe/awe_00000.jpg", "image/sadness/sadness_1.jpg", "image/awe/awe_00002.jpg")
    assert [(entry.image, entry.source) for entry in listing.entries] == [(tmp_path / path, path) for path in paths]
    assert [entry.label for entry in listing.entries] == ["awe", "sadness", "awe"]
    assert [entry.split for entry in listing.entries] == ["train", "val", "test"]
    assert (listing.name, listing.classes) == ("emoset", MIKELS)


def test_wrong_entries_of_emosets_lists_are_named_one_by_one(tmp_path):
    bad = [["joy", "1", "a.jpg", "a.json"], ["awe", "a.jpg"], ["awe", 1, "a.jpg", "a.json"], "awe", None]
    lines = refusal(EmoSet(emoset(tmp_path, train=bad)))
    assert [line.split(": ")[:2] for line in lines] == [[f"{tmp_path}/train.json", f"entry {n}"] for n in (1, 2)]
    assert '"joy"' in lines[0] and "4 rows" in lines[1]
    for wrong in ({"a": 1}, 5):
        assert "train.json: entry 1: " in refusal(EmoSet(emoset(tmp_path, train=wrong)))[0]
    write(emoset(tmp_path) / "test.json", '[["awe",', "}")
    assert re.search(r"test\.json: .*line 2 column 1", refusal(EmoSet(tmp_path))[0])
    (tmp_path / "test.json").unlink()
    assert "no test.json" in refusal(EmoSet(tmp_path))[0]
    (tmp_path / "image").rmdir()
    assert "no image" in refusal(EmoSet(tmp_path))[0]


EMOTION6 = "[image_filename]\t[valence]\t[arousal]\t[prob. anger]\t[prob. disgust]\t[prob. fear]\t[prob. joy]\t" \
    "[prob. sadness]\t[prob. surprise]\t[prob. neutral]"  # fmt: skip


def emotion6(directory: Path, *rows: str, images: str = "images/") -> Path:
    """Rows are valence, arousal and probabilities of joy/1.jpg, joy/2.jpg, …"""
    named = [f"joy/{number}.jpg {row}" for number, row in enumerate(rows, 1)]
    write(directory / "ground_truth.txt", EMOTION6, *(row.replace(" ", "\t") for row in named))
    write(directory / images / "joy/1.jpg")
    return directory


def test_emotion6_is_labelled_by_the_highest_probability_not_by_its_folder(tmp_path):
    ties = ("5 5 0 0 0 0.5 0 0.5 0", "5 5 0 0 0 0.5 0 0 0.5")
    emotion6(tmp_path, "2 3 0.133333 0.7 0 0.0666667 0.1 0 0", "5 5 0 0 0 0.1 0 0.1 0.8", *ties, "5 5 0 0 0 1 0 0 0")
    listing = Emotion6(tmp_path).listing()
    assert labels(listing) == {"joy/1.jpg": "disgust", "joy/5.jpg": "joy"}
    assert listing.entries[0].votes == dict(zip((*EKMAN, OTHER), (0.133333, 0.7, 0, 0.0666667, 0.1, 0, 0), strict=True))
    assert listing.entries[0].image == tmp_path / "images/joy/1.jpg"
    assert left_out(listing) == [(f"joy/{number}.jpg", "", Problem.VOTES) for number in (2, 3, 4)]
    assert "neutral" in listing.left_out[0].detail
    assert (listing.name, listing.classes) == ("emotion6", EKMAN)


def test_neutral_can_be_a_seventh_class_of_emotion6(tmp_path):
    emotion6(tmp_path, "5 5 0 0 0 0.4 0 0 0.6", "5 5 0 0 0 0.5 0 0 0.5", images="Images/")
    listing = Emotion6(tmp_path, "class").listing()
    assert listing.classes == (*EKMAN, "neutral")
    assert labels(listing) == {"joy/1.jpg": "neutral"} and listing.entries[0].votes["neutral"] == 0.6
    assert left_out(listing) == [("joy/2.jpg", "", Problem.VOTES)]
    assert listing.entries[0].image.is_file()


def test_images_of_emotion6_whose_votes_tie_stay_as_distributions(tmp_path):
    ties = ("5 5 0 0 0 0.5 0 0.5 0", "5 5 0 0 0 0.5 0 0 0.5", "5 5 0 0 0.1 0 0 0 0.9", "5 5 0 0 0 0 0 0 1")
    listing = Emotion6(emotion6(tmp_path, "2 3 0.1 0.7 0 0.1 0.1 0 0", *ties), target="distributions").listing()
    assert list(labels(listing).values()) == ["disgust", "joy", "joy", "fear"]
    assert left_out(listing) == [("joy/5.jpg", "", Problem.VOTES)]
    assert listing.entries[3].votes[OTHER] == 0.9
    assert (listing.name, listing.target, listing.classes) == ("emotion6-distributions", "distributions", EKMAN)
    assert "neutral" in listing.notes[-1]
    neutral = Emotion6(tmp_path, "class", "distributions").listing()
    assert not any("left out" in note for note in neutral.notes)
    assert neutral.classes == (*EKMAN, "neutral") and left_out(neutral) == []
    assert list(labels(neutral).values())[2:] == ["joy", "neutral", "neutral"]


def test_emotion6_has_valence_and_arousal_on_a_scale(tmp_path):
    rest = "0 0 0 1 0 0 0"
    listing = Emotion6(emotion6(tmp_path, f"2.5 3.8 {rest}", f"9 1 {rest}"), target="dimensions").listing()
    assert [entry.ratings for entry in listing.entries] == [
        {"valence": (2.5, None), "arousal": (3.8, None)}, {"valence": (9, None), "arousal": (1, None)}
    ]  # fmt: skip
    assert listing.entries[0].image == tmp_path / "images/joy/1.jpg"
    assert [(one.name, one.low, one.high) for one in listing.dimensions] == [("valence", 1, 9), ("arousal", 1, 9)]
    assert "--neutral class" in refusal(Emotion6(tmp_path, neutral="class", target="dimensions"))[0]
    emotion6(tmp_path, f"0.5 3 {rest}", f"5 9.5 {rest}", f"x 3 {rest}", f"5,5 3 {rest}", f"nan 3 {rest}", "5 5 0")
    lines = refusal(Emotion6(tmp_path, target="dimensions"))
    assert [int(line.split(":")[1]) for line in lines] == [2, 3, 4, 5, 7]
    assert '"0.5"' in lines[0] and '"9.5"' in lines[1] and '"x"' in lines[2] and "comma" in lines[3]
    write(tmp_path / "ground_truth.txt", EMOTION6.replace("valence", "pleasure"), "joy/1.jpg")
    assert "valence" in refusal(Emotion6(tmp_path, target="dimensions"))[0]


def test_bad_lines_of_emotion6_and_lost_folders_are_named(tmp_path):
    emotion6(tmp_path, "5 5 0 0 0 x 0 0 0", "5 5 0 0 0 -0.4 0 0 0", "5 5 0 0 0 nan 0 0 0", "5 5 0 0 0 1 0 0")
    table = tmp_path / "ground_truth.txt"
    lines = refusal(Emotion6(tmp_path))
    assert [line.split(": ")[0] for line in lines] == [f"{table}:{number}" for number in (2, 5)]
    assert '"x"' in lines[0] and "3 rows" in lines[0]
    assert "9 columns" in lines[1] and "10" in lines[1]
    write(table, EMOTION6.replace("joy", "delight"))
    assert re.match(rf"{table}:1: .*\bjoy\b", refusal(Emotion6(tmp_path))[0])
    write(table, EMOTION6, "fear/1.jpg\t5\t5\t0\t0\t0\t1\t0\t0\t0")
    assert refusal(Emotion6(tmp_path))[0].startswith(f"{tmp_path}/images: ")
    table.unlink()
    assert "ground_truth.txt" in refusal(Emotion6(tmp_path))[0]


ABSTRACT = "'','Amusement','Anger','Awe','Content','Disgust','Excitement','Fear','Sad'"


@pytest.mark.parametrize("folder", ["", "testImages_abstract/"])
def test_abstract_paintings_have_their_voters_majority(tmp_path, folder):
    votes = enumerate(("1,0,2,5,0,0,0,3", "0,0,0,1,0,0,0,9", "2,2,0,0,0,0,0,0"), 1)
    rows = [f"'abstract_{number:04d}.jpg',{row}" for number, row in votes]
    write(tmp_path / folder / "ABSTRACT_groundTruth.csv", ABSTRACT, *rows)
    write(tmp_path / folder / "abstract_0001.jpg")
    listing = Abstract(tmp_path).listing()
    assert labels(listing) == {"abstract_0001.jpg": "contentment", "abstract_0002.jpg": "sadness"}
    assert repr(listing.entries[0].votes) == repr(dict(zip(MIKELS, (1, 0, 2, 5, 0, 0, 0, 3), strict=True)))
    assert listing.entries[0].image.is_file()
    assert left_out(listing) == [("abstract_0003.jpg", "", Problem.VOTES)]
    assert (listing.name, listing.classes) == ("abstract", MIKELS)
    tied = Abstract(tmp_path, "distributions").listing()
    assert labels(tied)["abstract_0003.jpg"] == "amusement" and (left_out(tied), tied.target) == ([], "distributions")


def test_rows_that_repeat_a_painting_are_merged(tmp_path):
    rows = ["1,0,2,5,0,0,0,3", "1,0,2,5,0,0,0,3", "0,0,9,0,0,0,0,0"]
    write(tmp_path / "ABSTRACT_groundTruth.csv", ABSTRACT, *(f"'a.jpg',{row}" for row in rows))
    write(tmp_path / "a.jpg")
    listing = Abstract(tmp_path).listing()
    assert [(entry.label, entry.votes["awe"], entry.votes["contentment"]) for entry in listing.entries] == [
        ("awe", 11, 5)
    ]
    assert "2 rows" in listing.notes[0]


@pytest.mark.parametrize("source", [Abstract, ArtPhoto, EmoSet, Emotion6, Twitter1])
def test_an_archive_in_place_of_a_data_set_is_refused_as_one(tmp_path, source):
    (tmp_path / "set.zip").write_bytes(b"PK\x03\x04")
    (line,) = refusal(source(tmp_path / "set.zip"))
    assert "archive (zip)" in line


def test_abstract_paintings_without_table_images_or_columns_are_refused(tmp_path):
    assert "ABSTRACT_groundTruth.csv" in refusal(Abstract(tmp_path))[0]
    table = write(tmp_path / "ABSTRACT_groundTruth.csv", ABSTRACT, "'abstract_0001.jpg',1,0,2,5,0,0,0,3")
    assert refusal(Abstract(tmp_path))[0].startswith(f"{tmp_path}: ")
    write(table, ABSTRACT.replace(",'Sad'", ""), "'abstract_0001.jpg',1,0,2,5,0,0,0")
    assert re.match(rf"{table}:1: .*\bsadness\b", refusal(Abstract(tmp_path))[0])
    table.write_text("")
    assert refusal(Abstract(tmp_path))[0].startswith(f"{table}:1: ")


def test_artphotos_are_labelled_by_their_names(tmp_path):
    names = [f"{'sad' if label == 'sadness' else label}_0001.jpg" for label in MIKELS]
    for name in (*names, "content_0002.JPG", "ReadMe.rtf", ".DS_Store", "._awe_0001.jpg"):
        write(tmp_path / "testImages_artphoto" / name)
    listing = ArtPhoto(tmp_path).listing()
    assert labels(listing) == dict(zip(names, MIKELS, strict=True)) | {"content_0002.JPG": "contentment"}
    assert (listing.name, listing.classes) == ("artphoto", MIKELS)
    for name in ("joy_0001.jpg", "portrait.jpg"):
        write(tmp_path / "testImages_artphoto" / name)
    lines = refusal(ArtPhoto(tmp_path / "testImages_artphoto"))
    assert [line.split("/")[-1].split(": ")[0] for line in lines] == ["joy_0001.jpg"]
    assert '("joy" 1, "portrait" 1)' in lines[0]
    write(tmp_path / "others" / "awe_0001.jpg")
    assert len(refusal(ArtPhoto(tmp_path / "others"))) == 7


def twitter(directory: Path, images: str = "Agg_AMT_Candidates", name: str = "twitter_{}_agrees.txt") -> Path:
    lists = {"three": ["c.jpg 1", "b.jpg 0", "a.jpg 1"], "four": ["a.jpg 1", "b.jpg 0"], "five": ["a.jpg 1"]}
    for word, lines in lists.items():
        write(directory / name.format(word), *lines)
    write(directory / images / "a.jpg")
    return directory


NAMES = ("{}_agree.txt", "ground_truth/twitter_{}_agrees.txt", "twitter_{}_agrees.txt")


@pytest.mark.parametrize(("images", "name"), [*zip(("Agg_AMT_Candidates", "images", ""), NAMES, strict=True)])
def test_twitter_votes_follow_from_the_highest_agreement(tmp_path, images, name):
    listing = Twitter1(twitter(tmp_path, images, name)).listing()
    assert labels(listing) == {"c.jpg": "positive", "b.jpg": "negative", "a.jpg": "positive"}
    votes = [{"positive": 3, "negative": 2}, {"positive": 1, "negative": 4}, {"positive": 5, "negative": 0}]
    assert [entry.votes for entry in listing.entries] == votes
    assert listing.entries[2].image.is_file()
    assert (listing.name, listing.classes) == ("twitter1", POLARITY)


def test_a_higher_agreement_takes_fewer_images_and_needs_fewer_files(tmp_path):
    (twitter(tmp_path) / "twitter_three_agrees.txt").unlink()
    assert set(labels(Twitter1(tmp_path, "4").listing())) == {"a.jpg", "b.jpg"}
    listing = Twitter1(tmp_path, "5").listing()
    assert (labels(listing), listing.name) == ({"a.jpg": "positive"}, "twitter1-5")
    assert "twitter_three_agrees.txt" in refusal(Twitter1(tmp_path))[0]


def test_bad_and_contradictory_lines_of_twitter_are_named(tmp_path):
    write(twitter(tmp_path) / "twitter_five_agrees.txt", "a.jpg 0", "a.jpg positive", "a.jpg", "", "b.jpg 0")
    lines = refusal(Twitter1(tmp_path))
    assert [line.split(": ")[0] for line in lines] == [f"{tmp_path}/twitter_five_agrees.txt:{n}" for n in (1, 2)]
    assert "2 rows" in lines[1]
    assert "a.jpg" in lines[0] and "negative" in lines[0] and "positive" in lines[0]


def test_all_sources_and_their_arguments_have_help():
    assert (
        " ".join(SOURCES) == "folder csv video fi-links fi-archive emoset emotion6 abstract artphoto twitter1 "
        "flickr-ldl twitter-ldl oasis gaped naps findingemo scenes"
    )
    for source in SOURCES.values():
        assert source.help and "\n" not in source.help and source.__doc__
        hints = get_type_hints(source, include_extras=True)
        assert all(isinstance(get_args(hints[field.name])[1], str) for field in fields(source))
