"""Which differences seeds find: their numbers, those of looks, and the contrasts that are out of reach."""

import re

from emotune.analysis.residuals import PooledSpread
from emotune.config.metric import Metric
from emotune.report.findable_effects import findable_effects_sentence


def numbers(text: str) -> list[str]:
    return re.findall(r"\d+(?:\.\d+)?", text)


def test_findable_effects_are_stated_at_the_pooled_spread():
    spread, effects = PooledSpread(3.1, 8, 5), {3: 10.23, 5: 5.6, 10: 3.6}
    told = ["3.1", "8", "10.2", "3", "5.6", "5", "3.6", "10"]
    assert numbers(findable_effects_sentence(spread, effects, Metric(min_effect=4.0), {})) == told
    assert numbers(findable_effects_sentence(spread, effects, Metric(min_effect=2.0), {})) == [*told, "2"], (
        "out of reach"
    )
    alone = findable_effects_sentence(PooledSpread(0.02, 2, 3), {}, Metric(name="brier", min_effect=0.05), {})
    assert numbers(alone) == ["0.020", "2"]


def test_findable_effects_of_factors_are_those_of_main_effects_and_interactions():
    spread, effects = PooledSpread(3.1, 8, 5), {3: 10.0, 5: 5.0}
    groups = {0.5: ["a", "b"], 2.0: ["a × b"]}
    text = findable_effects_sentence(spread, effects, Metric(min_effect=3.0), groups)
    assert numbers(text) == ["3.1", "8", "5.0", "3", "2.5", "5", "20.0", "3", "10.0", "5", "3"]
    assert "for a or b of 5.0 points" in text and "for a × b of 20.0 points" in text
    assert text.endswith("for a × b."), "the others are within reach"
