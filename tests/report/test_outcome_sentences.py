"""The sentences on what became of runs: whom they name and count."""

import re
from collections.abc import Sequence

import pandas as pd

from emotune.analysis.learning import Learning, RunLearning
from emotune.analysis.outcomes import FarRun, Outcomes
from emotune.analysis.prior import prior_predictor
from emotune.config.metric import Metric
from emotune.report.outcome_sentences import outcome_sentences

TEST = pd.DataFrame({"target": ["x"] * 1 + ["y"] * 7, "logit_x": [0.0] * 8, "logit_y": [0.0] * 8})


def numbers(text: str) -> list[str]:
    return re.findall(r"[+−-]?\d+(?:\.\d+)?", text)


def of(runs: Sequence[RunLearning], finished: dict[str, int], counts: dict[str, int] | None, **others) -> list[str]:
    learning = Learning("d", prior_predictor(TEST, counts), ("accuracy",), {}, runs)
    given = {"diverged": {}, "improving": {}, "far": []} | others
    return outcome_sentences(Outcomes("d", finished=finished, learning=learning, **given), Metric(), 3)


def test_divergence_is_counted_and_its_seeds_are_named():
    diverged = Outcomes("d", {"a": [1, 2]}, {"b": 3}, None, {}, [])
    (text,) = outcome_sentences(diverged, Metric(), 3)
    assert text.startswith("a diverged") and numbers(text) == ["2", "3", "1", "2"]


def test_the_share_that_learned_is_stated_with_what_the_most_frequent_class_of_training_gives():
    right = [RunLearning(v, seed, True) for v in "ab" for seed in range(3)]
    (text,) = of(right, {"a": 3, "b": 3}, {"x": 9, "y": 1})
    assert numbers(text) == ["6", "12.5", "87.5"] and " x," in text and "answering y would" in text
    wrong = [RunLearning("b", 0, False, "x"), RunLearning("b", 2, False)]
    text, one_answer = of([*right[:3], *wrong], {"a": 3, "b": 3}, {"x": 9, "y": 1})
    assert numbers(text) == ["2", "6", "12.5", "87.5", "2", "3", "0", "2"] and "b in" in text and "a in" not in text
    assert numbers(one_answer) == ["1", "6", "0"] and "x (b" in one_answer
    assert of([], {}, {"x": 9, "y": 1}) == []


def test_runs_that_all_give_one_answer_are_told_in_one_sentence():
    runs = [RunLearning(v, seed, False, "x" if seed else "y") for v in "ab" for seed in range(3)]
    (text,) = of(runs, {"a": 3, "b": 3}, {"x": 9, "y": 1})
    assert [n for n in numbers(text) if "." not in n] == ["6", "6", "0", "1", "2"] and text.count("all variants") == 2


def test_frequencies_of_the_test_images_are_no_secret():
    text, lack = of([RunLearning("a", 0, True)], {"a": 1}, None)
    assert numbers(text) == ["87.5"] and " y," in text and "records" in lack


def test_runs_that_still_improved_are_named():
    _, text = of([RunLearning("a", 0, True)], {"a": 2}, {"x": 9, "y": 1}, improving={"a": [1]})
    assert numbers(text) == ["1", "2", "1"]


def test_a_run_far_from_the_others_is_named_with_value_and_distance():
    far = Outcomes("d", {}, {}, None, {}, [FarRun("a", 2, 41.04, -19.6, 12.3)])
    (text,) = outcome_sentences(far, Metric(), 3)
    assert numbers(text) == ["2", "41.0", "−19.6", "12"] and "points" in text
