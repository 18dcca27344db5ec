"""A study names what it compares."""

import re
from typing import get_args

import pytest
from study_files import GOOD, is_about, mistakes

from emotune.config.labels import EKMAN, MIKELS, POLARITY
from emotune.config.load import load_study
from emotune.config.metric import SCALES, SELECTIONS, MetricName, Select
from emotune.config.run import DatasetRef
from emotune.config.study import Metric
from emotune.core.errors import InputError


def test_the_smallest_effect_is_in_the_unit_of_the_metric(write):
    assert load_study(write(GOOD)).metric == Metric(name="accuracy", min_effect=1.0)
    assert load_study(write(GOOD + "metric: {name: macro_f1}\n")).metric == Metric(name="macro_f1", min_effect=1.0)
    assert load_study(write(GOOD + "metric: {name: nll, min_effect: 0.1}\n")).metric.min_effect == 0.1
    for name in ("nll", "brier"):
        (line,) = mistakes(write(f"{GOOD}metric: {{name: {name}}}\n"))
        assert line.startswith(f"metric.min_effect: {name} ")


def test_a_study_selects_the_tested_epoch(write):
    data = DatasetRef(name="photos", location="/photos", content_hash="0123")
    study = load_study(write(GOOD + "metric: {select: best_val, test_curve: true}\n"))
    assert {(run.select, run.test_curve) for run in study.runs([data])} == {("best_val", True)}
    assert {(run.select, run.test_curve) for run in load_study(write(GOOD)).runs([data])} == {("last", False)}
    (line,) = mistakes(write(GOOD + "metric: {select: best}\n"))
    assert is_about(line, "metric.select", "'last'", "'best_val'", "'best'")
    assert SELECTIONS.keys() == set(get_args(Select))
    assert tuple(SCALES) == get_args(MetricName)


def test_an_unknown_metric_is_refused_with_the_valid_ones(write):
    (line,) = mistakes(write(GOOD + "metric: {name: acuracy}\n"))
    assert line.startswith("metric.name: ")
    assert re.findall(r"'(\w+)'", line) == [*SCALES, "acuracy"]
    (line,) = mistakes(write(GOOD + "metric: {name: nll, min_effect: 0}\n"))
    assert line.startswith("metric.min_effect: ")


@pytest.mark.parametrize("name", ["accuracy", "macro_f1", "ece"])
def test_a_share_of_one_is_refused_where_points_are_meant(write, name: str):
    (line,) = mistakes(write(f"{GOOD}metric: {{name: {name}, min_effect: 0.01}}\n"))
    assert is_about(line, "metric.min_effect", "0.01", " 1?")
    assert load_study(write(f"{GOOD}metric: {{name: {name}, min_effect: 0.05}}\n")).metric.min_effect == 0.05
    assert load_study(write(GOOD + "metric: {name: nll, min_effect: 0.01}\n")).metric.min_effect == 0.01


@pytest.mark.parametrize(("name", "least"), [("accuracy", 100), ("balanced_accuracy", 250), ("ece", 100), ("brier", 2)])
def test_an_impossible_difference_is_refused(write, name: str, least: float):
    (line,) = mistakes(write(f"{GOOD}metric: {{name: {name}, min_effect: {least}}}\n"))
    assert line.startswith("metric.min_effect: ") and ("2" if name == "brier" else "100 points") in line
    assert load_study(write(f"{GOOD}metric: {{name: {name}, min_effect: {0.9 * min(least, 100)}}}\n"))


def test_a_metric_that_makes_no_sense_for_the_classes_is_refused():
    polarity, top2 = Metric(name="polarity_accuracy"), Metric(name="top2_accuracy")
    for metric in (polarity, top2, Metric()):
        metric.check_classes("photos", MIKELS)
    polarity.check_classes("tweets", POLARITY)
    with pytest.raises(InputError, match=r"^metric\.name: .*polarity_accuracy.*faces.*surprise"):
        polarity.check_classes("faces", EKMAN)
    with pytest.raises(InputError, match=r"^metric\.name: .*polarity_accuracy.*few"):
        polarity.check_classes("few", ("awe", "contentment"))
    with pytest.raises(InputError, match=r"^metric\.name: .*top2_accuracy.*tweets"):
        top2.check_classes("tweets", POLARITY)
