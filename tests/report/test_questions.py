"""The questions of a reader: what was tuned, and what other images would say."""

import re
from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest
from seed_tables import AB, compare_contrasts, rows

from emotune.analysis.joint_interval import JointInterval
from emotune.analysis.learning import Learning, RunLearning, VariantLearning
from emotune.analysis.prior import prior_predictor
from emotune.analysis.verdict import Verdict
from emotune.config.contrast import Contrast
from emotune.config.metric import Metric
from emotune.config.model import AlexNetConfig, ConstantConfig
from emotune.config.study import Study
from emotune.config.train import TrainConfig
from emotune.report.learning_table import learning_table
from emotune.report.questions import length_sentence, split_sentences, tuning_sentences

IMAGES = pd.DataFrame({"sample_id": ["1", "2"], "target": ["x", "y"], "logit_x": [0.0, 0.0], "logit_y": [0.0, 0.0]})
NARROW, WIDE = AlexNetConfig(width=0.125), AlexNetConfig(width=0.25)


def study(**variants) -> Study:
    return Study("s", "Why?", "scenes", "narrow", {"narrow": NARROW} | variants | {"constant": ConstantConfig()})


def test_variants_with_training_options_of_their_own_are_named():
    first, *_ = tuning_sentences(study(wide=WIDE))
    assert re.findall(r"\d+(?:\.\d+)?", first)[0] == "2", "a baseline that is fitted does not count"
    texts = tuning_sentences(study(wide=WIDE, other=(WIDE, TrainConfig(lr=0.1))))
    assert "narrow and wide" in texts[0] and "other" not in texts[0]
    assert "other" in texts[1] and "wide" not in texts[1]


def test_too_few_epochs_to_tell_whether_training_had_ended_are_said():
    curves = pd.DataFrame({"run": ["a"] * 3 + ["b"] * 3, "epoch": [1, 2, 3] * 2, "val_accuracy": [1.0, 2, 3, 3, 2, 1]})
    assert re.findall(r"\d+", length_sentence(curves)) == ["2", "6", "1"]
    long = pd.DataFrame({"run": "a", "epoch": range(1, 9), "val_accuracy": 1.0})
    assert length_sentence(long) == ""
    one = replace(TrainConfig(), epochs=1)
    assert "1 epoch," in tuning_sentences(study(narrow=(NARROW, one)))[0]


def test_resolved_contrasts_that_other_images_may_not_show_are_counted():
    contrasts = [AB, Contrast.difference("a", "c"), Contrast.difference("b", "c")]
    compared = compare_contrasts(rows(a=[1.0, 2.0], b=[3.0, 1.0], c=[2.0, 2.0]), contrasts, ["d"], 2, Metric())
    verdicts = (Verdict.BETTER, Verdict.WORSE, Verdict.EQUIVALENT)
    compared = [replace(c, verdict=verdict) for c, verdict in zip(compared, verdicts, strict=True)]
    crossed = [
        SimpleNamespace(contrast=c, dataset="d", crossed_low=low, crossed_high=1.0)
        for c, low in zip(contrasts, (0.5, -0.5, -0.1), strict=True)
    ]
    _, counts, open_ones = split_sentences(compared, crossed)
    assert re.findall(r"\d+", counts) == ["1", "2"] and "a - c" in open_ones and "a - b" not in open_ones
    _, kept, *none = split_sentences(compared[:1], crossed)
    _, lost, open_one = split_sentences(compared[1:2], crossed)
    assert "excludes" in kept and not none and "includes" in lost and "a - c" in open_one
    assert len(split_sentences(compared, [])) == len(split_sentences([], crossed)) == 1


def test_the_table_of_who_learned_has_runs_prior_gain_and_verdict():
    prior = prior_predictor(IMAGES, {"x": 3, "y": 1})
    gains = {"accuracy": JointInterval(2, 10.0, -1.0, 21.0)}
    nothing = {"accuracy": JointInterval(0, 0.0)}
    variants = {"a": VariantLearning("a", 2, gains, False), "b": VariantLearning("b", 0, nothing, False)}
    learning = Learning("d", prior, ("accuracy",), variants, [RunLearning("a", 0, True), RunLearning("a", 1, False)])
    table = learning_table({"d": learning}, several=False)
    first, second = ([column.cell(row) for column in table.columns_in("html")] for row in table.rows)
    assert first[:4] == ["a", "2", "1 of 2", "50.0"] and first[5] == "no"
    assert re.findall(r"\d+\.\d", first[4]) == ["10.0", "1.0", "21.0"]
    assert second == ["b", "0", "0 of 0", "50.0", "–", "no"]


@pytest.mark.parametrize(("shown_at", "text"), [(3, "yes (at 3 seeds)"), (6, "yes"), (None, "yes")])
def test_the_table_says_at_which_earlier_look_a_variant_had_learned(shown_at: int | None, text: str):
    variant = VariantLearning("a", 6, {"accuracy": JointInterval(6, 10.0, -1.0, 21.0)}, True, shown_at)
    learning = Learning("d", prior_predictor(IMAGES, None), ("accuracy",), {"a": variant}, [])
    table = learning_table({"d": learning}, several=False)
    assert table.columns_in("html")[-1].cell(table.rows[0]) == text
