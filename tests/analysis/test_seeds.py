"""Comparisons over seeds: summaries, pairs, verdicts, and several data sets."""

import math

import pytest
from scipy import stats
from seed_tables import AB, analyse, compare, compare_contrasts, compare_nll, rows, with_digests

from emotune.analysis.seeds import estimate_differences, summarise
from emotune.analysis.verdict import Verdict
from emotune.config.contrast import Contrast
from emotune.config.metric import SCALES, Metric
from emotune.config.scale import Scale
from emotune.runs.directory import State

PAIRS = (("attention", "alexnet"), ("dual", "alexnet"), ("dual", "plain"), ("mldr", "alexnet"))
QUICKSTART = [Contrast.difference(*pair) for pair in PAIRS]
MACHINE_B = rows(alexnet=[64.2, 60.3, 57.2], attention=[70.9, 66.8, 64.0], dual=[69.5, 66.3, 65.9],
                 plain=[68.5, 65.2, 70.6], mldr=[62.2, 57.0, 59.7])  # fmt: skip
"""The quickstart as a second machine ran it."""


def test_interval_is_student_s_t_as_computed_by_hand():
    summary = summarise([60.0, 62.0, 67.0])  # mean 63, sd √13, t(2, .975) = 4.302653
    assert (summary.n, summary.mean) == (3, 63.0)
    assert summary.sd == pytest.approx(13**0.5)
    assert summary.high - 63 == pytest.approx(4.302653 * 13**0.5 / 3**0.5, rel=1e-6)
    assert summary.low + summary.high == pytest.approx(126)


def test_one_seed_has_no_interval_and_no_verdict():
    assert summarise([60.0]).low is None
    comparison = compare([60.0], [50.0])
    assert (comparison.p, comparison.summary.interval, comparison.paired.interval) == (None,) * 3
    assert (comparison.verdict, comparison.summary.n, comparison.summary.mean) == (Verdict.UNRESOLVED, 1, 10.0)


@pytest.mark.parametrize(
    ("differences", "verdict"),
    [
        ([5.0, 5.5, 4.5, 5.2], Verdict.BETTER),
        ([-5.0, -5.5, -4.5, -5.2], Verdict.WORSE),
        ([0.1, -0.1, 0.05, -0.05], Verdict.EQUIVALENT),
        ([0.30, 0.32, 0.31, 0.33], Verdict.EQUIVALENT),  # surely not zero, and too small to matter
        ([5.0, -4.0, 6.0, 1.0], Verdict.UNRESOLVED),
    ],
)
def test_verdict_follows_from_interval_test_and_min_effect(differences: list[float], verdict: Verdict):
    assert compare([50 + d for d in differences], [50.0] * 4).verdict is verdict


@pytest.mark.parametrize(("name", "scale"), SCALES.items())
def test_direction_of_better_follows_the_metric(name: str, scale: Scale):
    metric = Metric(name=name, min_effect=0.5)
    table = [
        {"variant": variant, "dataset": "d", "seed": seed, "state": "done", name: value}
        for variant, values in (("a", [3.0, 3.1, 2.9]), ("b", [1.0, 1.2, 0.9]))
        for seed, value in enumerate(values)
    ]
    (comparison,) = compare_contrasts(table, [AB], ["d"], 3, metric)
    assert comparison.summary.mean == pytest.approx(1.9667, abs=1e-3)
    assert comparison.verdict is (Verdict.WORSE if name in ("nll", "brier", "ece") else Verdict.BETTER)
    assert scale.higher_is_better == (comparison.verdict is Verdict.BETTER)


def test_equal_differences_in_all_seeds_have_an_interval_only_from_other_variants():
    table = rows(a=[61.3, 62.3, 63.3], b=[60.2, 61.2, 62.2])
    (comparison,) = compare_contrasts(table, [AB], ["d"], 3, Metric())
    assert (comparison.p, comparison.summary.interval, comparison.verdict) == (None, None, Verdict.UNRESOLVED)
    assert comparison.summary.mean == pytest.approx(1.1)
    table += rows(c=[61.0, 61.3, 62.4], e=[60.1, 61.1, 62.4])
    (comparison,) = compare_contrasts(table, [AB], ["d"], 3, Metric())
    assert (comparison.paired.interval, comparison.verdict) == (None, Verdict.BETTER)
    assert comparison.summary.low > 0 and comparison.p < 0.05


def test_the_worked_example_resolves_both_contrasts_of_like_size():
    (attention, dual, more, mldr) = compare_contrasts(MACHINE_B, QUICKSTART, ["d"], 3, Metric())
    assert [c.verdict for c in (attention, dual)] == [Verdict.BETTER] * 2
    assert [c.verdict for c in (more, mldr)] == [Verdict.UNRESOLVED] * 2
    assert attention.summary.interval == pytest.approx((1.1835, 12.1499), abs=2e-4)
    assert attention.p == pytest.approx(0.0220, abs=1e-4)
    assert attention.paired.interval == pytest.approx((6.287, 7.046), abs=1e-3), "its seeds agree by luck"


def test_each_data_set_has_its_share_of_the_errors():
    one = compare_contrasts(MACHINE_B, QUICKSTART, ["d"], 3, Metric())[0]
    table = MACHINE_B + [row | {"dataset": "e"} for row in MACHINE_B]
    first, *_, last = compare_contrasts(table, QUICKSTART, ["d", "e"], 3, Metric())
    assert first.p == pytest.approx(2 * one.p) and first.verdict is Verdict.BETTER
    assert (first.dataset, last.dataset) == ("d", "e")
    assert first.summary.low < one.summary.low and first.summary.high > one.summary.high


def test_aa_runs_are_a_part_of_the_spread():
    without = compare_contrasts(rows(a=[60, 63, 62], b=[57, 58, 61]), [AB], ["d"], 3, Metric())[0]
    table = rows(a=[60, 63, 62], b=[57, 58, 61], aa=[57.5, 59, 60])
    assert (without.joint.weight, compare_contrasts(table, [AB], ["d"], 3, Metric())[0].joint.weight) == (0, 2)


def test_a_variant_that_diverged_where_the_other_did_not_is_never_better():
    others = rows(c=[59.8, 61.1, 61.9, 61.2], e=[58.9, 60.2, 61.2, 60.1])
    diverging = rows(a=[70.0, 71.0, 72.2, State.DIVERGED], b=[60.0, 61.0, 62.0, 61.0])
    (comparison,) = compare_contrasts(diverging + others, [AB], ["d"], 4, Metric())
    assert comparison.summary.low > 0 and comparison.verdict is Verdict.UNRESOLVED
    assert comparison.diverged_alone == {"a": [3]}
    (reverse,) = compare_contrasts(diverging + others, [Contrast.difference("b", "a")], ["d"], 4, Metric())
    assert reverse.verdict is Verdict.UNRESOLVED, "it would call the variant that diverged better"
    worse = rows(a=[50.0, 51.0, 52.2, State.DIVERGED], b=[60.0, 61.0, 62.0, 61.0])
    assert compare_contrasts(worse + others, [AB], ["d"], 4, Metric())[0].verdict is Verdict.WORSE
    both = rows(a=[70.0, 71.0, 72.2, State.DIVERGED], b=[60.0, 61.0, 62.0, State.DIVERGED])
    (comparison,) = compare_contrasts(both + others, [AB], ["d"], 4, Metric())
    assert (comparison.diverged_alone, comparison.verdict) == ({}, Verdict.BETTER)


def test_two_seeds_of_two_variants_give_no_verdict():
    assert compare([60.0, 60.1], [50.0, 50.0]).verdict is Verdict.UNRESOLVED
    table = rows(a=[60.0, 60.1], b=[50.0, 50.0], c=[49.5, 49.6], e=[51.0, 50.8])
    assert compare_contrasts(table, [AB], ["d"], 2, Metric())[0].verdict is Verdict.UNRESOLVED, "b is constant"
    table = rows(a=[60.0, 60.1], b=[50.0, 50.2], c=[49.5, 49.6], e=[51.0, 50.8])
    assert compare_contrasts(table, [AB], ["d"], 2, Metric())[0].verdict is Verdict.BETTER


def test_an_equivalent_contrast_may_be_not_zero():
    comparison = compare([50.30, 50.32, 50.31, 50.33], [50.0, 50.01, 50.0, 50.02])
    assert (comparison.verdict, comparison.is_not_zero) == (Verdict.EQUIVALENT, True)
    comparison = compare([0.1, -0.1, 0.05, -0.05], [0.0, 0.01, 0.0, 0.01])
    assert (comparison.verdict, comparison.is_not_zero) == (Verdict.EQUIVALENT, False)


def test_run_without_result_excludes_its_pair_with_a_reason():
    a = [60.0, None, 62.0, State.DIVERGED, 61.0, 63.0]
    b = [50.0, 51.0, State.FAILED, None, math.nan, 52.0]
    comparison = compare(a, b)
    assert comparison.differences == {0: 10.0, 5: 11.0}
    assert list(comparison.missing) == [1, 2, 3, 4]
    named = ("a missing",), ("b failed",), ("a diverged", "b missing"), ("b ", "accuracy")
    for reason, parts in zip(comparison.missing.values(), named, strict=True):
        assert all(part in reason for part in parts)


def test_runs_of_other_seeds_do_not_count():
    (comparison,) = compare_contrasts(rows(a=[60, 61, 99], b=[50, 50, 0]), [AB], ["d"], 2, Metric())
    assert comparison.differences == {0: 10, 1: 11}


def test_contrast_without_pairs_is_unresolved_and_counts_in_the_correction():
    table = rows(a=[60, 61, 63], b=[50, 52, 53], c=[])
    ab, cb = compare_contrasts(table, [AB, Contrast.difference("c", "b")], ["d"], 3, Metric())
    assert (cb.summary.n, cb.verdict, cb.p) == (0, Verdict.UNRESOLVED, None)
    (alone,) = compare_contrasts(table, [AB], ["d"], 3, Metric())
    assert ab.p == pytest.approx(2 * alone.p)
    assert analyse(table, [AB, Contrast.difference("c", "b")], ["d"], 3, Metric())[0].p_holm == pytest.approx(
        2 * alone.p
    )
    assert compare_contrasts([], [AB], ["d"], 3, Metric())[0].missing == dict.fromkeys(range(3), "a missing, b missing")


def test_holm_adjusted_p_does_not_grow_when_the_study_is_finished():
    done = rows(a=[60, 61, 63, 62], b=[55, 57, 58, 58])
    rest = rows(c=[55.1, 57.3, 57.9, 58.2])
    contrasts = [AB, Contrast.difference("c", "b")]
    early, _ = analyse(done, contrasts, ["d"], 4, Metric())
    late, _ = analyse(done + rest, contrasts, ["d"], 4, Metric())
    assert early.p_holm >= late.p_holm


def test_undeclared_contrast_has_no_verdict():
    (comparison,) = estimate_differences(rows(a=[60, 61, 63], b=[50, 52, 53]), [AB], "d", 3, Metric())
    assert (comparison.verdict, comparison.p) == (
        None,
        pytest.approx(stats.ttest_rel([60, 61, 63], [50, 52, 53]).pvalue),
    )


def test_runs_with_equal_predictions_are_identical():
    table = rows(a=[60.0, 61.0, 63.0], b=[60.0, 61.0, 63.0])
    (same,) = compare_contrasts(with_digests({"a": "xyz", "b": "xyz"}, table), [AB], ["d"], 3, Metric())
    assert (same.verdict, same.summary.mean, same.summary.low, same.p) == (Verdict.IDENTICAL, 0.0, None, None)
    (other,) = compare_contrasts(with_digests({"a": "xyz", "b": "xyw"}, table), [AB], ["d"], 3, Metric())
    assert (other.verdict, other.p) == (Verdict.UNRESOLVED, None)  # as many right, but others
    (unknown,) = compare_contrasts(table, [AB], ["d"], 3, Metric())
    assert unknown.verdict is Verdict.UNRESOLVED
    softer = [row | {"nll": 1.0 + (row["variant"] == "a") * 0.1 * row["seed"]} for row in table]
    (comparison,) = compare_contrasts(
        with_digests({"a": "xyz", "b": "xyz"}, softer), [AB], ["d"], 3, Metric(name="nll", min_effect=0.1)
    )
    assert comparison.verdict is Verdict.UNRESOLVED  # the same answers, but more or less sure of them


def test_two_seed_independent_variants_are_deterministic():
    table = rows(a=[60.0] * 4, b=[50.0] * 4)
    (comparison,) = compare_contrasts(with_digests({"a": "xxxx", "b": "yyyy"}, table), [AB], ["d"], 4, Metric())
    assert (comparison.verdict, comparison.summary.mean, comparison.summary.sd) == (Verdict.DETERMINISTIC, 10.0, 0.0)
    assert (comparison.summary.low, comparison.p, comparison.joint.ends) == (None,) * 3
    chance = with_digests({"a": "xxzx", "b": "yyyy"}, table)  # a network that gets as many right in all seeds
    assert compare_contrasts(chance, [AB], ["d"], 4, Metric())[0].verdict is Verdict.UNRESOLVED
    one_side = rows(a=[60.0, 61.0, 60.5, 62.0], b=[50.0] * 4)
    assert compare_contrasts(one_side, [AB], ["d"], 4, Metric())[0].verdict is Verdict.BETTER


def test_infinite_loss_is_the_worst_value_and_not_missing():
    comparison = compare_nll([math.inf, 1.0, 1.1], [1.0, 1.1, 1.2])
    assert comparison.differences == {0: math.inf, 1: pytest.approx(-0.1), 2: pytest.approx(-0.1)}
    assert (comparison.missing, comparison.summary.n, comparison.summary.mean) == ({}, 3, math.inf)
    assert (comparison.summary.sd, comparison.summary.low, comparison.p) == (None,) * 3
    assert comparison.verdict is Verdict.UNRESOLVED
    assert compare_nll([1.0, 1.1], [math.inf] * 2).summary.mean == -math.inf
    assert math.isnan(compare_nll([math.inf, 1.0], [1.0, math.inf]).summary.mean)
    both = compare_nll([math.inf, 1.0, 1.1], [math.inf, 1.1, 1.3])
    assert (list(both.missing), both.summary.n) == ([0], 2)
    assert "nll" in both.missing[0]


def test_interval_of_percentages_is_truncated():
    assert summarise([99.0, 97.0, 98.5], (0, 100)).high == 100
    assert summarise([0.0, 1.0, 3.0], (0, 100)).low == 0
    comparison = compare([100.0, 0.0], [0.0, 100.0])
    assert (comparison.summary.low, comparison.summary.high) == (-100, 100)
