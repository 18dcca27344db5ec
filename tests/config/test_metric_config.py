"""A study names what it compares."""

import math
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from pydantic import ValidationError
from study_files import GOOD, is_about, mistakes

from emotune.config.epoch_selection import SELECTIONS, Select
from emotune.config.labels import EKMAN, MIKELS, POLARITY
from emotune.config.load import load_study
from emotune.config.metric import SCALES, Metric, MetricName
from emotune.config.metric_scales import ALL_SCALES
from emotune.config.python_source import source_digest
from emotune.config.run import DatasetRef
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
    assert is_about(line, "metric.select", '"best"', "last, best_val")
    assert SELECTIONS.keys() == set(get_args(Select))
    assert tuple(ALL_SCALES) == get_args(MetricName)


def test_an_unknown_metric_is_refused_with_the_valid_ones(write):
    (line,) = mistakes(write(GOOD + "metric: {name: acuracy}\n"))
    assert line.startswith("metric.name: ")
    assert is_about(line, "metric.name", '"acuracy"', '"accuracy"', ", ".join(ALL_SCALES))
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


def test_an_earth_mover_s_distance_that_no_run_could_have_is_refused():
    neutral = (*EKMAN, "neutral")
    wheel, polarity = (Metric(name=name, min_effect=0.01) for name in ("emd_wheel", "emd_polarity"))
    wheel.check_classes("photos", MIKELS)
    wheel.check_classes("faces", EKMAN)
    for classes in (MIKELS, POLARITY):
        polarity.check_classes("photos", classes)
    with pytest.raises(InputError, match=r"^metric\.name: emd_wheel on six: .*neutral.*kl"):
        wheel.check_classes("six", neutral)
    with pytest.raises(InputError, match=r"^metric\.name: emd_wheel on tweets: .*positive"):
        wheel.check_classes("tweets", POLARITY)
    for classes in (EKMAN, neutral):
        with pytest.raises(InputError, match=r"^metric\.name: emd_polarity on six: .*surprise.*kl"):
            polarity.check_classes("six", classes)


OWN = """
raise RuntimeError("reading a study runs no code")

def worst_recall(predictions, k=1, *, floor=0.0):
    return 0.0
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "metrics.py").write_text(OWN)
    return tmp_path / "metrics.py"


def test_a_metric_of_ones_own_has_a_scale_and_a_column_of_its_own(own: Path, write):
    metric = load_study(
        write(GOOD + 'metric: {code: metrics.py:worst_recall, options: {k: 2}, unit: "%", min_effect: 2}')
    ).metric
    assert metric.user_code is not None
    assert (metric.user_code.source, metric.user_code.options, metric.name) == (OWN, {"k": 2}, None)
    assert (metric.column, metric.scale.title, metric.scale.label) == (
        "own_worst_recall", "worst recall", "worst recall, %"
    )  # fmt: skip
    assert (metric.scale.bounds, metric.scale.decimals, metric.scale.format_amount(2)) == ((0, 100), 1, "2 points")
    assert list(metric.scales) == ["own_worst_recall", *SCALES] and list(Metric().scales) == list(SCALES)
    fields = "code: metrics.py:worst_recall, title: cost, unit: px, higher_is_better: false, bounds: [0, null]"
    scale = load_study(write(f"{GOOD}metric: {{{fields}, min_effect: 0.05}}")).metric.scale
    assert (scale.title, scale.higher_is_better, scale.bounds) == ("cost", False, (0, math.inf))
    assert (scale.format(1.25), scale.format_amount(1), scale.format_amount(2)) == ("1.250", "1 px", "2 px")


@pytest.mark.parametrize(
    ("metric", "key", "parts"),
    [
        ("code: metrics.py:worst_recall", "metric.min_effect", ["worst_recall"]),
        ("code: metric.py:worst_recall, min_effect: 1", "metric", ["metric.py", "metrics.py"]),
        ("code: metrics.py:worst_recal, min_effect: 1", "metric", ["worst_recal", "worst_recall"]),
        ("code: metrics.py:worst_recall, min_effect: 1, options: {flor: 1}", "metric", ["options.flor", "floor"]),
        ("code: metrics.py:worst_recall, min_effect: 1, options: {predictions: 1}", "metric", ["options.predictions"]),
        ("code: metrics.py:worst_recall, min_effect: 1, name: nll", "metric", ["nll", "code"]),
        ("code: metrics.py:worst_recall, min_effect: 1, titel: x", "metric.titel", ["title"]),
        ("code: metrics.py:worst_recall, min_effect: 1, bounds: [1, 0]", "metric.bounds", ["1", "0"]),
        ('code: metrics.py:worst_recall, min_effect: 0.01, unit: "%"', "metric.min_effect", ["0.01", " 1?"]),
        ("code: metrics.py:worst_recall, min_effect: 1, bounds: [0, 1]", "metric.min_effect", ["worst_recall"]),
        ("code: metrics.py:worst_recall, min_effect: 0.0000001", "metric.min_effect", ["1e-07"]),
        ("code: 1, min_effect: 1", "metric.code", []),
        ('name: accuracy, unit: "%"', "metric", ["unit", "code"]),
        ("options: {k: 1}", "metric", ["options", "code"]),
        ("name: null", "metric", ["name", "code"]),
    ],
)
def test_a_mistake_in_a_metric_of_ones_own_is_found_when_the_study_is_read(
    own: Path, write, metric: str, key: str, parts: list[str]
):
    (line,) = mistakes(write(f"{GOOD}metric: {{{metric}}}\n"))
    assert is_about(line, key, *parts)


def test_a_metric_of_ones_own_is_no_part_of_a_run(own: Path, write):
    data = DatasetRef(name="photos", location="/photos", content_hash="0123")
    ids = [run.id for run in load_study(write(GOOD)).runs([data])]
    path = write(GOOD + "metric: {code: metrics.py:worst_recall, min_effect: 1}\n")
    assert [run.id for run in load_study(path).runs([data])] == ids
    before = load_study(path).metric
    own.write_text(OWN.replace("k=1", "k=3"))
    assert load_study(path).metric != before and source_digest(before.source) == source_digest(OWN)
    assert [run.id for run in load_study(path).runs([data])] == ids


def test_a_study_in_python_has_the_code_of_its_metric_in_the_text_of_its_file(
    own: Path, write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    metric = Metric(code="metrics.py:worst_recall", options={"k": 2}, bounds=(0, 1), min_effect=0.1)
    study = replace(load_study(write(GOOD)), metric=metric, source="")
    own.unlink()
    again = load_study(write(study.source, "again.yaml")).metric
    assert again == metric and replace(metric, min_effect=0.2).source == OWN
    assert "  source:" not in load_study(write(replace(study, metric=Metric(), source="").source)).source
    with pytest.raises(ValidationError, match=r"metrics\.py"):
        Metric(code="metrics.py:worst_recall", min_effect=1)
