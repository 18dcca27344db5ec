"""Flickr_LDL and Twitter_LDL: generated folders in the layout in which copies circulate, and what is refused."""

import re
from pathlib import Path

import numpy as np
import pytest
from listings import labels, left_out, refusal, write

from emotune.config.labels import MIKELS
from emotune.core.storage import Folder
from emotune.data.annotations import vote_shares
from emotune.data.build.shards import write_shards
from emotune.data.datasets.resolve import resolve_datasets
from emotune.data.image_io import encode_jpeg
from emotune.data.manifest import Problem
from emotune.data.read.batches import open_split
from emotune.data.sources.synthetic import draw_scene
from emotune.data.sources.vote_counts import FlickrLdl, TwitterLdl

HEADER = "images-name Amusement Awe Contentment Excitement Anger Disgust Fear Sadness"
TIE = "5 5 0 0 1 0 0 0"


def votes(directory: Path, *lines: str, header: str = HEADER, images: str = "images/") -> Path:
    """A folder whose lines are the votes on 1.jpg, 2.jpg, …"""
    rows = [f"{number}.jpg {line}" for number, line in enumerate(lines, 1)]
    write(directory / "ground_truth.txt", *([header] if header else []), *rows)
    write(directory / images / "1.jpg")
    return directory


@pytest.mark.parametrize("header", [HEADER, ""])
@pytest.mark.parametrize("images", ["images/", ""])
def test_the_votes_are_the_distribution_and_ties_stay(tmp_path: Path, header: str, images: str):
    listing = FlickrLdl(votes(tmp_path, "0 3 1 0 0 0 0 7", TIE, header=header, images=images)).listing()
    assert labels(listing) == {"1.jpg": "sadness", "2.jpg": "amusement"}
    assert (listing.name, listing.classes, listing.target) == ("flickr_ldl-distributions", MIKELS, "distributions")
    assert listing.entries[0].votes == dict.fromkeys(MIKELS, 0) | {"awe": 3, "contentment": 1, "sadness": 7}
    assert listing.entries[0].image == tmp_path / images / "1.jpg"
    shares = vote_shares(["amusement"], [listing.entries[1].votes], MIKELS)
    assert shares[0, :3].tolist() == pytest.approx([5 / 11, 1 / 11, 5 / 11])


def test_as_classes_ties_are_left_out(tmp_path: Path):
    listing = TwitterLdl(votes(tmp_path, "0 3 1 0 0 0 0 7", TIE), target="classes").listing()
    assert labels(listing) == {"1.jpg": "sadness"} and left_out(listing) == [("2.jpg", "", Problem.VOTES)]
    assert (listing.name, listing.target) == ("twitter_ldl", "classes")


def test_the_header_decides_the_order(tmp_path: Path):
    header = "name Sadness Fear Disgust Anger Excitement Contentment Awe Amusement"
    listing = FlickrLdl(votes(tmp_path, "7 0 0 0 0 1 3 0", header=header)).listing()
    assert labels(listing) == {"1.jpg": "sadness"} and listing.entries[0].votes["awe"] == 3


@pytest.mark.parametrize(
    ("lines", "header", "parts"),
    [
        (["1 2 3 4 1 0 0"], HEADER, ["ground_truth.txt:2", "1.jpg"]),
        (["1 2 3 4 1 0 0 0 0"], HEADER, ["ground_truth.txt:2"]),
        (["0.5 0.5 0 0 0 0 0 0"], HEADER, ["ground_truth.txt:2"]),
        (["-1 12 0 0 0 0 0 0"], HEADER, ["ground_truth.txt:2"]),
        (["0 0 0 0 0 0 0 0"], HEADER, ["ground_truth.txt:2", "no votes"]),
        (["11 0 0 0 0 0 0 0", "8 0 0 0 0 0 0 0"], HEADER, ["11 (1 images)", "8 (1 images)"]),
        (["11 0 0 0 0 0 0"], "name Joy Awe Contentment Excitement Anger Disgust Fear", ["ground_truth.txt:1", "Joy"]),
    ],
)
def test_what_does_not_fit_the_format_is_refused_with_its_line(tmp_path, lines, header, parts):
    (line,) = refusal(FlickrLdl(votes(tmp_path, *lines, header=header)))
    assert all(part in line for part in parts), line


def test_an_empty_table_or_none_is_refused_and_other_numbers_of_voters_are_noted(tmp_path: Path):
    assert "ground_truth.txt" in refusal(FlickrLdl(tmp_path))[0]
    write(tmp_path / "ground_truth.txt")
    assert "empty" in refusal(FlickrLdl(tmp_path))[0]
    eight = votes(tmp_path, "0 0 0 0 0 0 0 8")
    (note,) = FlickrLdl(eight).listing().notes
    assert "8" in note and "11" in note


def test_no_number_of_voters_is_stated_of_twitter(tmp_path: Path):
    assert not TwitterLdl(votes(tmp_path, "0 0 0 0 0 0 0 8")).listing().notes
    assert not re.search(r"\d+ (votes|people)", TwitterLdl.help + (TwitterLdl.__doc__ or ""))


def test_shards_of_such_a_folder_give_distributions(tmp_path: Path):
    generator = np.random.default_rng(0)
    source = tmp_path / "flickr"
    counts = []
    for number in range(64):
        row = generator.multinomial(6, np.full(8, 1 / 8))
        row[number % 8] += 5
        counts.append(row)
        file = source / "images" / f"{number + 1}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(encode_jpeg(draw_scene(number, 5).image))
    lines = [f"{number}.jpg {' '.join(map(str, row))}" for number, row in enumerate(counts, 1)]
    write(source / "ground_truth.txt", HEADER, *lines)
    out = tmp_path / "shards"
    manifest = write_shards(FlickrLdl(source).listing(), Folder(str(out)), shares=(0.5, 0.25, 0.25))
    assert manifest.target == "distributions" and Problem.VOTES not in manifest.health
    (ref,) = resolve_datasets([str(out)])
    split = open_split(ref, "train")
    assert ref.task == "distributions" and {sum(one.values()) for one in split.votes} == {11}
