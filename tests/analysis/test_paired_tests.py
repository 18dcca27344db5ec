"""Paired tests and Holm's correction, against R, scipy, statsmodels and published examples."""

import numpy as np
import pytest
from scipy import stats
from seed_tables import AB, analyse, analyse_pair, rows
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import DescrStatsW

from emotune.analysis.paired_tests import DRAWS, holm, sign_flip_test
from emotune.analysis.verdict import Verdict
from emotune.config.contrast import Contrast
from emotune.config.metric import Metric

DARWIN = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
"""Eighths of an inch by which 15 crossed maize plants outgrew self-fertilised ones (Fisher 1935, section 17)."""
SLEEP = ([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0], [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])
"""R's data set ``sleep``."""


def test_sign_flip_test_gives_fisher_s_p_for_darwin_s_maize():
    comparison = analyse_pair([50.0 + d for d in DARWIN], [50.0] * 15, 20.0)
    assert comparison.p_sign_flip == 1726 / 32768  # as Fisher counted
    assert comparison.p == pytest.approx(0.0497, abs=5e-5)
    assert comparison.p_equivalence == pytest.approx(DescrStatsW(DARWIN).ttost_mean(-20, 20)[0])


def test_sign_flips_treat_rounding_differences_as_ties():
    counts = [4, -2, 0, 4, 5, 5, -2, -2, 3, -1]
    comparison = analyse_pair([100 * (800 + k) / 1595 for k in counts], [100 * 800 / 1595] * 10)
    assert comparison.p_sign_flip == 220 / 1024  # 0.2148; a comparison of sums as they are gives 0.1719


def test_sign_flips_of_percentages_equal_those_of_counts():
    rng = np.random.default_rng(0)
    for _ in range(300):
        n, images = int(rng.integers(2, 14)), int(rng.choice([60, 698, 1595, 9999]))
        counts = rng.integers(-6, 8, n)
        base = rng.integers(images // 4, images // 2, n)
        shares = 100 * (base + counts) / images - 100 * base / images
        signs = 1 - 2 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)
        exact = np.mean(np.abs(signs @ counts) >= abs(counts.sum()))
        assert sign_flip_test(shares) == exact, (counts, images)


def test_sign_flips_of_many_seeds_are_counted_and_of_more_are_drawn():
    rng = np.random.default_rng(1)
    counts = rng.integers(-3, 5, 30)
    drawn = np.abs((2 * rng.integers(0, 2, (50_000, 30)) - 1) @ counts) >= abs(counts.sum())
    assert sign_flip_test(100 * counts / 698) == pytest.approx(drawn.mean(), abs=0.01)
    ones = np.full(40, 100 / 698)  # all of one size: sums tie everywhere
    assert sign_flip_test(ones) == 1 / (1 + DRAWS)
    assert sign_flip_test(np.array([*ones[:20], *-ones[20:]])) == 1.0


def test_sign_flip_test_of_five_seeds_is_never_significant():
    comparison = analyse_pair([90.0, 91.0, 93.0, 92.5, 90.5], [50.0] * 5)
    assert (comparison.p_sign_flip, comparison.paired_verdict) == (2 / 2**5, Verdict.BETTER)


def test_drawn_sign_flips_are_reproducible():
    differences = np.random.default_rng(0).normal(0.5, 1, 40)
    first, second = (analyse_pair((50 + differences).tolist(), [50.0] * 40).p_sign_flip for _ in range(2))
    assert first == second
    assert first == pytest.approx(stats.ttest_1samp(differences, 0).pvalue, rel=0.5)


def test_sign_flips_that_cannot_be_significant_are_omitted():
    def told(seeds: int, contrasts: int) -> bool:
        rng = np.random.default_rng(0)
        names = [f"v{k}" for k in range(contrasts)]
        values = {v: rng.normal(90, 1, seeds).tolist() for v in names} | {"b": rng.normal(50, 1, seeds).tolist()}
        comparisons = analyse(rows(**values), [Contrast.difference(v, "b") for v in names], ["d"], seeds, Metric())
        assert all(c.p_sign_flip is not None for c in comparisons)
        return all(c.p_sign_flip_holm is not None and c.p_sign_flip_holm < 0.05 for c in comparisons)

    assert [told(5, 1), told(6, 1), told(7, 4), told(8, 4)] == [False, True, False, True]


def test_p_equals_that_of_scipy():
    a, b = [60.1, 62.0, 59.0, 63.3], [58.0, 61.5, 58.7, 60.0]
    assert analyse_pair(a, b).p == pytest.approx(stats.ttest_rel(a, b).pvalue)


def test_p_and_interval_equal_those_of_r():
    comparison = analyse_pair(
        *SLEEP
    )  # t.test(extra ~ group, data = sleep, paired = TRUE): t = -4.0621, df = 9, p-value = 0.002833
    assert comparison.p == pytest.approx(0.002833, abs=5e-7)
    assert (comparison.comparison.paired.low, comparison.comparison.paired.high) == pytest.approx(
        (-2.4598858, -0.7001142), abs=5e-8
    )


def test_holm_counts_contrasts_over_all_data_sets():
    table = rows(a=[60, 61, 63, 62], b=[57, 59, 60, 60], c=[60, 60, 65, 61])
    table += rows("e", a=[50, 52, 54, 51], b=[49, 52, 50, 50], c=[50, 51, 50, 52])
    comparisons = analyse(table, [AB, Contrast.difference("c", "b")], ["d", "e"], 4, Metric())
    raw = sorted(c.p for c in comparisons)
    by_hand = np.maximum.accumulate([min(1, p * k) for p, k in zip(raw, (4, 3, 2, 1), strict=True)])
    assert sorted(c.p_holm for c in comparisons) == pytest.approx(by_hand)


def test_holm_equals_that_of_statsmodels():
    p = [0.03, None, 0.004, 0.004, 0.2, None, 0.9]
    theirs = multipletests([1.0 if value is None else value for value in p], method="holm")[1]
    assert holm(p) == [None if value is None else pytest.approx(q) for value, q in zip(p, theirs, strict=True)]


def test_holm_equals_that_of_r():
    # p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "holm") gives 0.05 0.08 0.09 0.09 0.09; here p follows from the mean.
    spread = np.array([-1.0, 0.0, 1.0])
    wanted = (0.01, 0.02, 0.03, 0.04, 0.05)
    means = [stats.t.isf(p / 2, 2) / 3**0.5 for p in wanted]
    variants = {f"v{k}": (50 + mean + spread).tolist() for k, mean in enumerate(means)}
    comparisons = analyse(
        rows(b=[50.0] * 3, **variants), [Contrast.difference(v, "b") for v in variants], ["d"], 3, Metric()
    )
    assert [c.p for c in comparisons] == pytest.approx(wanted)
    assert [c.p_holm for c in comparisons] == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])


def test_equivalence_is_corrected_for_all_contrasts():
    close = [50.8, 49.2, 50.3, 49.7]  # mean 0, sd .7; alone it is equivalent
    assert analyse_pair(close, [50.0] * 4, 1.35).paired_verdict is Verdict.EQUIVALENT
    others = {v: [52.0, 48.0, 53.0, 47.0] for v in "cde"}
    contrasts = [AB, *(Contrast.difference(v, "b") for v in others)]
    comparison, *_ = analyse(rows(a=close, b=[50.0] * 4, **others), contrasts, ["d"], 4, Metric(min_effect=1.35))
    assert comparison.comparison.paired.high < 1.35 and comparison.p_equivalence_holm == pytest.approx(
        4 * comparison.p_equivalence
    )
    assert comparison.p_equivalence_holm > 0.05 and comparison.paired_verdict is Verdict.UNRESOLVED
