"""A study names other data sets to test its runs on; that is read, written and checked like the rest of it."""

from dataclasses import replace

import pytest
from study_files import DATA, GOOD, Write, is_about, mistakes

from emotune.config.label_map import map_labels
from emotune.config.labels import MIKELS, POLARITY
from emotune.config.load import load_study
from emotune.config.model import AlexNetConfig
from emotune.config.other_data import OtherData, TransferTest
from emotune.config.study import Study

TEST_ON = "test_on: [a/b, {data: c, split: all, part: well, map: {awe: positive, fear: null}}]\n"
OTHERS = (OtherData(data="a/b"), OtherData(data="c", split="all", part="well", map={"awe": "positive", "fear": None}))


def test_a_study_has_the_same_other_data_sets_from_its_file_and_from_python(write: Write):
    study = load_study(write(GOOD + TEST_ON))
    made = Study("s", "q?", "scenes", "a", {"a": AlexNetConfig()}, test_on=["a/b", OTHERS[1]])
    assert study.test_on == made.test_on == OTHERS
    assert load_study(write(made.source)).test_on == OTHERS
    assert Study("s", "q?", "scenes", "a", {"a": AlexNetConfig()}, test_on="a/b").test_on == OTHERS[:1]


def test_they_change_no_run(write: Write):
    with_, without = load_study(write(GOOD + TEST_ON)), load_study(write(GOOD))
    assert [run.id for run in with_.runs([DATA])] == [run.id for run in without.runs([DATA])]


@pytest.mark.parametrize(
    ("entry", "key", "parts"),
    [
        ("{data: a, splitt: all}", "test_on.0.splitt", ['"split"']),
        ("{data: a, split: train}", "test_on.0.split", ["train"]),
        ("{data: a, map: positive}", "test_on.0.map", ["positive"]),
        ("{split: all}", "test_on.0.data", ["missing"]),
        ("3", "test_on.0", []),
    ],
)
def test_mistakes_are_named_with_their_key(write: Write, entry: str, key: str, parts: list[str]):
    (line,) = mistakes(write(GOOD + f"test_on: [{entry}]\n"))
    assert is_about(line, key, *parts)


def test_a_test_is_identified_by_content_split_and_mapping_and_by_nothing_else():
    labels = map_labels(MIKELS, POLARITY)
    one = TransferTest("fi", "twitter", replace(DATA, name="twitter"), "test", labels, 10)
    same = replace(one, trained_on="other", name="renamed", dataset=replace(DATA, location="elsewhere"), images=None)
    assert one.file == same.file == "tested-6398dd6e710e5d83.parquet"
    others = [
        replace(one, split="all"), replace(one, dataset=replace(DATA, content_hash="cd" * 32)),
        replace(one, dataset=replace(DATA, part="well")), replace(one, labels=map_labels(MIKELS, MIKELS)),
    ]  # fmt: skip
    assert len({one.file, *(other.file for other in others)}) == 5
