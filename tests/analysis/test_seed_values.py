"""Contrasts of any weights, seed by seed, and their verdicts."""

import math

import pytest
from seed_tables import compare_contrasts, rows, with_digests

from emotune.analysis.seeds import Comparison
from emotune.analysis.verdict import Verdict
from emotune.config.contrast import Contrast
from emotune.config.metric import Metric
from emotune.runs.directory import State

MEANS = Contrast("means", {"a": 0.5, "b": 0.5, "c": -0.5, "d": -0.5})
INTERACTION = Contrast("interaction", {"a": 1, "b": -1, "c": -1, "d": 1})


def compare(
    contrast: Contrast, metric: Metric | None = None, digests: dict | None = None, **values: list
) -> Comparison:
    table = with_digests(digests, rows(**values)) if digests else rows(**values)
    return compare_contrasts(table, [contrast], ["d"], len(values["a"]), Metric())[0]


NLL = Metric(name="nll", min_effect=0.01)
VALUES = {"a": [70.0, 74.0, 72.0], "b": [60.0, 63.0, 61.5], "c": [50.0, 52.0, 50.4], "d": [50.2, 51.0, 51.0]}


def test_a_weighted_contrast_is_the_weighted_sum_of_each_seed():
    assert compare(MEANS, **VALUES).differences == pytest.approx({0: 14.9, 1: 17.0, 2: 16.05})
    assert compare(INTERACTION, **VALUES).differences == pytest.approx({0: 10.2, 1: 10.0, 2: 11.1})


def test_a_mean_can_be_better_and_an_interaction_has_a_sign():
    assert compare(MEANS, **VALUES).verdict is Verdict.BETTER
    assert compare(INTERACTION, **VALUES).verdict is Verdict.POSITIVE
    reverse = Contrast("reverse", {v: -weight for v, weight in INTERACTION.weights.items()})
    assert compare(reverse, **VALUES).verdict is Verdict.NEGATIVE
    losses = {name: [value / 100 for value in values] for name, values in VALUES.items()}
    table = [row | {"nll": row["accuracy"]} for row in rows(**losses)]
    verdicts = [c.verdict for c in compare_contrasts(table, [MEANS, INTERACTION], ["d"], 3, NLL)]
    assert verdicts == [Verdict.WORSE, Verdict.POSITIVE]


def test_a_seed_counts_only_if_all_variants_have_it():
    c = compare(MEANS, **VALUES | {"b": [60.0, State.FAILED, 61.5], "d": [50.2, None, 51.0]})
    assert (sorted(c.differences), c.missing) == ([0, 2], {1: "b failed, d missing"})


def test_a_side_that_diverged_alone_is_not_better():
    c = compare(MEANS, **VALUES | {"a": [70.0, 74.0, 72.0, State.DIVERGED], "b": [60.0, 63.0, 61.5, State.DIVERGED],
                                   "c": [50.0, 52.0, 50.4, 51.0], "d": [50.2, 51.0, 51.0, 51.0]})  # fmt: skip
    assert c.diverged_alone == {"a": [3], "b": [3]}
    assert c.verdict is Verdict.UNRESOLVED
    both = compare(MEANS, **VALUES | {"a": [70.0, 74.0, State.DIVERGED], "c": [50.0, 52.0, State.DIVERGED]})
    assert both.diverged_alone == {}


def test_a_run_without_a_value_counts_like_one_that_diverged():
    pearson = Metric(name="pearson", min_effect=0.01)
    values = {"a": [0.70, 0.71, 0.722, math.nan], "b": [0.60, 0.61, 0.62, 0.61], "c": [0.598, 0.611, 0.619, 0.612]}

    def judged(contrast: Contrast, **changed: list) -> Comparison:
        table = [row | {"pearson": row["accuracy"]} for row in rows(**values | changed)]
        return compare_contrasts(table, [contrast], ["d"], 4, pearson)[0]

    c = judged(Contrast.difference("a", "b"))
    assert c.summary.low is not None and c.summary.low > 0 and c.verdict is Verdict.UNRESOLVED
    assert (c.valueless_alone, c.diverged_alone, c.missing) == ({"a": [3]}, {}, {3: "a has no pearson"})
    assert judged(Contrast.difference("b", "a")).verdict is Verdict.UNRESOLVED, "it would call a better"
    assert judged(Contrast.difference("a", "b"), a=[0.5, 0.51, 0.522, math.nan]).verdict is Verdict.WORSE
    for other in ({"b": [0.6, 0.61, 0.62, math.nan]}, {"b": [0.6, 0.61, 0.62, State.FAILED]}):
        both = judged(Contrast.difference("a", "b"), **other)
        assert (both.valueless_alone, both.verdict) == ({}, Verdict.BETTER)
    mixed = judged(Contrast("ab", {"a": 0.5, "b": 0.5, "c": -1}), b=[0.6, 0.61, 0.62, State.DIVERGED])
    assert (mixed.valueless_alone, mixed.diverged_alone) == ({"a": [3]}, {"b": [3]})
    assert mixed.verdict is Verdict.UNRESOLVED


def test_variants_whose_predictions_cancel_are_identical():
    equal = {"a": [60.0, 61.0], "b": [60.0, 61.0], "c": [50.0, 51.0], "d": [50.0, 51.0]}
    cancel = {"a": "pq", "b": "pq", "c": "rs", "d": "rs"}
    assert compare(INTERACTION, digests=cancel, **equal).verdict is Verdict.IDENTICAL
    assert compare(INTERACTION, digests=cancel | {"d": "rt"}, **equal).verdict is not Verdict.IDENTICAL


def test_infinite_losses_of_both_sides_have_no_difference():
    table = rows(a=[math.inf, 1.0], b=[1.0, 1.0], c=[math.inf, 1.0], d=[1.0, 2.0])
    (c,) = compare_contrasts(
        [row | {"nll": row["accuracy"]} for row in table], [MEANS], ["d"], 2, Metric(name="nll", min_effect=0.01)
    )
    assert list(c.missing) == [0] and c.differences == {1: -0.5}
