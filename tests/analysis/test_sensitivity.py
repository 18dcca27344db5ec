"""Other analyses of the declared contrasts; the paired tests themselves are in test_paired_tests.py."""

import numpy as np
import pytest
from seed_tables import AB, analyse, rows, with_digests

from emotune.analysis.max_t import MaxT
from emotune.analysis.sensitivity import pooled_intervals
from emotune.analysis.verdict import Verdict
from emotune.config.contrast import Contrast
from emotune.config.metric import Metric

VALUES = {"a": [70.9, 66.8, 64.0], "b": [64.2, 60.3, 57.2], "c": [69.5, 66.3, 65.9], "e": [62.2, 57.0, 59.7]}
CONTRASTS = [AB, Contrast.difference("c", "b"), Contrast.difference("e", "b")]


def test_fully_pooled_intervals_have_the_residual_spread_and_the_quantile_of_max_t():
    others = analyse(rows(**VALUES), CONTRASTS, ["d"], 3, Metric())
    table = np.array([*VALUES.values()])
    left = table - table.mean(1, keepdims=True) - table.mean(0) + table.mean()
    weights = np.array([[1, -1, 0, 0], [0, -1, 1, 0], [0, -1, 0, 1.0]])
    half = MaxT(weights).quantile(0.05, 6) * (2 * (left**2).sum() / 6 / 3) ** 0.5
    for other in others:
        mean = other.comparison.summary.mean
        assert other.pooled == pytest.approx((mean - half, mean + half), rel=1e-6)
        resolved = abs(mean) > half
        assert (other.pooled_verdict is not Verdict.UNRESOLVED) == resolved


def test_paired_tests_may_resolve_by_luck_what_the_joint_interval_does_not():
    lucky = rows(a=[70.90, 66.95, 63.90], b=[68.2, 64.3, 61.2], c=[69.5, 66.3, 65.9], e=[62.2, 57.0, 64.7])
    other, *_ = analyse(lucky, CONTRASTS, ["d"], 3, Metric())
    assert (other.paired_verdict, other.comparison.verdict) == (Verdict.BETTER, Verdict.UNRESOLVED)


def test_constant_and_identical_sides_and_tables_without_spread_have_no_pooled_interval():
    svm, *_ = analyse(rows(a=[55.0] * 3, b=VALUES["b"], c=VALUES["c"], e=VALUES["e"]), CONTRASTS, ["d"], 3, Metric())
    assert (svm.pooled, svm.pooled_verdict) == (None, Verdict.UNRESOLVED)
    same = with_digests({"a": "xyz", "b": "xyz", "c": "uvw", "e": "rst"}, rows(**VALUES | {"a": VALUES["b"]}))
    identical, *_ = analyse(same, CONTRASTS, ["d"], 3, Metric())
    assert identical.pooled is None
    assert identical.paired_verdict is identical.pooled_verdict is Verdict.IDENTICAL
    assert pooled_intervals(np.full((2, 3), 60.0), np.array([[1.0, -1]]), 0.05) == [None]
    assert pooled_intervals(np.zeros((2, 0)), np.array([[1.0, -1]]), 0.05) == [None]


def test_other_analyses_of_a_contrast_without_two_sides_have_its_sign_as_well():
    contrast = Contrast("a × b", {"none": 1, "a": -1, "b": -1, "ab": 1})
    table = rows(none=[50, 52, 51, 53], a=[55, 57, 56.2, 58], b=[54, 56, 55, 57.3], ab=[70, 72.1, 71, 73])
    (other,) = analyse(table, [contrast], ["d"], 4, Metric())
    assert (other.comparison.verdict, other.paired_verdict, other.pooled_verdict) == (Verdict.POSITIVE,) * 3
    for_loss = [row | {"nll": row["accuracy"]} for row in table]
    (other,) = analyse(for_loss, [contrast], ["d"], 4, Metric(name="nll", min_effect=0.1))
    assert (other.comparison.verdict, other.paired_verdict, other.pooled_verdict) == (Verdict.POSITIVE,) * 3
