import itertools

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from emotune.analysis.statistics import Verdict, compare, explore, holm, summarise
from emotune.metric_config import SCALES, Metric, Scale
from emotune.study import Contrast

AB = Contrast("a", "b")
STUDIES = 4000


def rows(dataset: str = "d", **accuracies: list[float | None]) -> list[dict]:
    return [
        {"variant": variant, "dataset": dataset, "seed": seed, "accuracy": accuracy}
        for variant, values in accuracies.items()
        for seed, accuracy in enumerate(values)
        if accuracy is not None
    ]


def one(a: list, b: list, min_effect: float = 1.0):
    (found,) = compare(rows(a=a, b=b), [AB], ["d"], len(a), Metric(min_effect=min_effect))
    return found


def test_the_interval_is_students_as_computed_by_hand():
    summary = summarise([60.0, 62.0, 67.0])  # mean 63, sd √13, t(2, .975) = 4.302653
    assert (summary.n, summary.mean) == (3, 63.0)
    assert summary.sd == pytest.approx(13**0.5)
    assert summary.high - 63 == pytest.approx(4.302653 * 13**0.5 / 3**0.5, rel=1e-6)
    assert summary.low + summary.high == pytest.approx(126)


def test_one_seed_has_no_interval_and_no_verdict():
    assert summarise([60.0]).low is None
    found = one([60.0], [50.0])
    assert (found.p, found.verdict) == (None, Verdict.UNRESOLVED)


def test_p_is_scipys_paired_t_test():
    a, b = [60.1, 62.0, 59.0, 63.3], [58.0, 61.5, 58.7, 60.0]
    assert one(a, b).p == pytest.approx(stats.ttest_rel(a, b).pvalue)


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
def test_the_verdict_follows_from_interval_test_and_min_effect(differences: list[float], verdict: Verdict):
    assert one([50 + d for d in differences], [50.0] * 4).verdict is verdict


@pytest.mark.parametrize(("name", "scale"), SCALES.items())
def test_better_is_up_or_down_as_the_metric_has_it(name: str, scale: Scale):
    metric = Metric(name=name, min_effect=0.5)
    table = [
        {"variant": variant, "dataset": "d", "seed": seed, name: value}
        for variant, values in (("a", [3.0, 3.1, 2.9]), ("b", [1.0, 1.2, 0.9]))
        for seed, value in enumerate(values)
    ]
    (found,) = compare(table, [AB], ["d"], 3, metric)
    assert found.summary.mean == pytest.approx(1.9667, abs=1e-3)
    assert found.verdict is (Verdict.WORSE if name in ("nll", "brier", "ece") else Verdict.BETTER)
    assert scale.higher_is_better == (found.verdict is Verdict.BETTER)


def test_equal_differences_in_all_seeds_are_no_proof():
    found = one([61.3, 62.3, 63.3], [60.2, 61.2, 62.2])
    assert (found.p, found.verdict) == (None, Verdict.UNRESOLVED)
    assert found.summary.mean == pytest.approx(1.1)


def test_holm_multiplies_the_smallest_p_by_the_number_of_contrasts_over_all_data_sets():
    table = rows(a=[60, 61, 63, 62], b=[57, 59, 60, 60], c=[60, 60, 65, 61])
    table += rows("e", a=[50, 52, 54, 51], b=[49, 52, 50, 50], c=[50, 51, 50, 52])
    found = compare(table, [AB, Contrast("c", "b")], ["d", "e"], 4, Metric())
    raw = sorted(c.p for c in found)
    by_hand = np.maximum.accumulate([min(1, p * k) for p, k in zip(raw, (4, 3, 2, 1), strict=True)])
    assert sorted(c.p_holm for c in found) == pytest.approx(by_hand)


def test_a_missing_run_takes_its_pair_out_and_is_named():
    found = one([60.0, None, 62.0, 63.0], [50.0, 51.0, None, 52.0])
    assert found.missing == (1, 2)
    assert found.differences == {0: 10.0, 3: 11.0}


def test_a_contrast_without_any_pair_is_unresolved_and_leaves_the_others_alone():
    table = rows(a=[60, 61, 63], b=[50, 52, 53], c=[])
    ab, cb = compare(table, [AB, Contrast("c", "b")], ["d"], 3, Metric())
    assert (cb.summary.n, cb.verdict) == (0, Verdict.UNRESOLVED)
    assert ab.p_holm == pytest.approx(2 * ab.p)  # what is not finished yet has its place in the family


def test_a_verdict_of_an_unfinished_study_is_not_withdrawn_when_the_rest_is_done():
    done = rows(a=[60, 61, 63, 62], b=[55, 57, 58, 58])
    rest = rows(c=[55.1, 57.3, 57.9, 58.2])
    contrasts = [AB, Contrast("c", "b")]
    early, _ = compare(done, contrasts, ["d"], 4, Metric())
    late, _ = compare(done + rest, contrasts, ["d"], 4, Metric())
    assert early.p_holm >= late.p_holm


def test_what_was_not_declared_gets_no_verdict():
    (found,) = explore(rows(a=[60, 61, 63], b=[50, 52, 53]), [AB], ["d"], 3, Metric())
    assert (found.verdict, found.p_holm) == (None, None)


def test_holm_is_statsmodels():
    rng = np.random.default_rng(1)
    for n in (1, 2, 3, 8):
        p = rng.random(n) ** 3
        np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1])


@pytest.mark.slow
def test_intervals_cover_and_verdicts_raise_false_alarms_as_often_as_they_say():
    rng = np.random.default_rng(0)
    for n, sd in itertools.product((3, 5), (1.0, 4.0)):
        seeds = rng.normal(0, 3, (STUDIES, n))  # what variants of a seed share
        a, b, c = (60 + seeds + rng.normal(0, sd, (STUDIES, n)) for _ in range(3))
        covered = alarms = 0
        for study in range(STUDIES):
            table = rows(a=a[study].tolist(), b=b[study].tolist(), c=c[study].tolist())
            found = compare(table, [AB, Contrast("c", "b")], ["d"], n, Metric(min_effect=0.01))
            covered += found[0].summary.low <= 0 <= found[0].summary.high
            alarms += any(f.verdict in (Verdict.BETTER, Verdict.WORSE) for f in found)
        assert covered / STUDIES == pytest.approx(0.95, abs=0.012)
        assert alarms / STUDIES <= 0.05 + 0.012
