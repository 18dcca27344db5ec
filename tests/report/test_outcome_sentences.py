"""The sentences on what became of runs: whom they name and count."""

import math
import re

from emotune.analysis.outcomes import FarRun, Outcomes
from emotune.config.metric import Metric
from emotune.report.outcome_sentences import outcome_sentences

NOTHING = Outcomes("d", {}, {"a": 3, "b": 3}, {}, 12.5, [])


def numbers(text: str) -> list[str]:
    return re.findall(r"[+-]?\d+(?:\.\d+)?", text)


def test_divergence_is_counted_and_its_seeds_are_named():
    diverged = Outcomes("d", {"a": [1, 2]}, {"b": 3}, {}, math.nan, [])
    (text,) = outcome_sentences(diverged, Metric(), 3)
    assert text.startswith("a diverged") and numbers(text) == ["2", "3", "1", "2"]


def test_the_share_that_learned_is_stated_with_the_accuracy_of_the_most_frequent_class():
    (text,) = outcome_sentences(NOTHING, Metric(), 3)
    assert numbers(text) == ["6", "12.5"]
    (text,) = outcome_sentences(Outcomes("d", {}, {"a": 3, "b": 3}, {"b": [0, 2]}, 12.5, []), Metric(), 3)
    assert numbers(text) == ["2", "6", "12.5", "2", "3", "0", "2"] and "b in" in text and "a in" not in text
    assert outcome_sentences(Outcomes("d", {}, {}, {}, 12.5, []), Metric(), 3) == []


def test_a_run_far_from_the_others_is_named_with_value_and_distance():
    far = Outcomes("d", {}, {}, {}, math.nan, [FarRun("a", 2, 41.04, -19.6, 12.3)])
    (text,) = outcome_sentences(far, Metric(), 3)
    assert numbers(text) == ["2", "41.0", "-19.6", "12"] and "points" in text
