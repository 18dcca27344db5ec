import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import DescrStatsW

from emotune.analysis.paired_tests import DRAWS, holm, sign_flip_test
from emotune.analysis.seeds import Verdict, across_datasets, compare_contrasts, estimate_differences, summarise
from emotune.config.metric import SCALES, Metric, Scale
from emotune.config.study import Contrast
from emotune.runs.directory import State

AB = Contrast("a", "b")
STUDIES = 400
DARWIN = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
"""Eighths of an inch by which 15 crossed maize plants outgrew self-fertilised ones (Fisher 1935, section 17)."""
SLEEP = ([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0], [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])
"""R's data set ``sleep``."""


def rows(dataset: str = "d", **accuracies: list[float | State | None]) -> list[dict]:
    """Finished runs with their accuracy, runs in another state, and no row at all for None."""
    return [
        {"variant": variant, "dataset": dataset, "seed": seed}
        | ({"state": value, "accuracy": math.nan} if isinstance(value, State) else {"state": "done", "accuracy": value})
        for variant, values in accuracies.items()
        for seed, value in enumerate(values)
        if value is not None
    ]


def one(a: list, b: list, min_effect: float = 1.0):
    (found,) = compare_contrasts(rows(a=a, b=b), [AB], ["d"], len(a), Metric(min_effect=min_effect))
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
    assert (found.p, found.p_sign_flip, found.p_equivalence) == (None,) * 3
    assert (found.verdict, found.summary.n, found.summary.mean) == (Verdict.UNRESOLVED, 1, 10.0)


def test_p_and_interval_are_those_of_rs_paired_t_test():
    found = one(*SLEEP)  # t.test(extra ~ group, data = sleep, paired = TRUE): t = -4.0621, df = 9, p-value = 0.002833
    assert found.p == pytest.approx(0.002833, abs=5e-7)
    assert (found.summary.low, found.summary.high) == pytest.approx((-2.4598858, -0.7001142), abs=5e-8)


def test_the_sign_flip_test_gives_fishers_p_for_darwins_maize():
    found = one([50.0 + d for d in DARWIN], [50.0] * 15, 20.0)
    assert found.p_sign_flip == 1726 / 32768  # as Fisher counted
    assert found.p == pytest.approx(0.0497, abs=5e-5)
    assert found.p_equivalence == pytest.approx(DescrStatsW(DARWIN).ttost_mean(-20, 20)[0])


def test_shares_of_images_that_tie_but_for_their_last_bits_count_as_tied():
    counts = [4, -2, 0, 4, 5, 5, -2, -2, 3, -1]
    found = one([100 * (800 + k) / 1595 for k in counts], [100 * 800 / 1595] * 10)
    assert found.p_sign_flip == 220 / 1024  # 0.2148; a comparison of sums as they are gives 0.1719


def test_sign_flips_of_shares_are_those_of_the_counts_of_images():
    rng = np.random.default_rng(0)
    for _ in range(300):
        n, images = int(rng.integers(2, 14)), int(rng.choice([60, 698, 1595, 9999]))
        counts = rng.integers(-6, 8, n)
        base = rng.integers(images // 4, images // 2, n)
        shares = 100 * (base + counts) / images - 100 * base / images
        signs = 1 - 2 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)
        exact = np.mean(np.abs(signs @ counts) >= abs(counts.sum()))
        assert sign_flip_test(shares) == exact, (counts, images)


def test_sign_flips_of_many_seeds_are_counted_and_those_of_more_are_drawn_with_the_same_tolerance():
    rng = np.random.default_rng(1)
    counts = rng.integers(-3, 5, 30)
    drawn = np.abs((2 * rng.integers(0, 2, (50_000, 30)) - 1) @ counts) >= abs(counts.sum())
    assert sign_flip_test(100 * counts / 698) == pytest.approx(drawn.mean(), abs=0.01)
    ones = np.full(40, 100 / 698)  # all of one size: sums tie everywhere
    assert sign_flip_test(ones) == 1 / (1 + DRAWS)
    assert sign_flip_test(np.array([*ones[:20], *-ones[20:]])) == 1.0


def test_five_seeds_cannot_convince_a_sign_flip_test_however_large_the_effect():
    found = one([90.0, 91.0, 93.0, 92.5, 90.5], [50.0] * 5)
    assert (found.p_sign_flip, found.verdict) == (2 / 2**5, Verdict.BETTER)


def test_the_sign_flip_test_of_more_seeds_than_can_be_enumerated_says_the_same_every_time():
    differences = np.random.default_rng(0).normal(0.5, 1, 40)
    first, second = (one((50 + differences).tolist(), [50.0] * 40).p_sign_flip for _ in range(2))
    assert first == second
    assert first == pytest.approx(stats.ttest_1samp(differences, 0).pvalue, rel=0.5)


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
        {"variant": variant, "dataset": "d", "seed": seed, "state": "done", name: value}
        for variant, values in (("a", [3.0, 3.1, 2.9]), ("b", [1.0, 1.2, 0.9]))
        for seed, value in enumerate(values)
    ]
    (found,) = compare_contrasts(table, [AB], ["d"], 3, metric)
    assert found.summary.mean == pytest.approx(1.9667, abs=1e-3)
    assert found.verdict is (Verdict.WORSE if name in ("nll", "brier", "ece") else Verdict.BETTER)
    assert scale.higher_is_better == (found.verdict is Verdict.BETTER)


def test_equal_differences_in_all_seeds_are_no_proof():
    found = one([61.3, 62.3, 63.3], [60.2, 61.2, 62.2])
    assert (found.p, found.p_sign_flip, found.p_equivalence) == (None,) * 3
    assert (found.summary.low, found.verdict) == (None, Verdict.UNRESOLVED)
    assert found.summary.mean == pytest.approx(1.1)


def test_holm_multiplies_the_smallest_p_by_the_number_of_contrasts_over_all_data_sets():
    table = rows(a=[60, 61, 63, 62], b=[57, 59, 60, 60], c=[60, 60, 65, 61])
    table += rows("e", a=[50, 52, 54, 51], b=[49, 52, 50, 50], c=[50, 51, 50, 52])
    found = compare_contrasts(table, [AB, Contrast("c", "b")], ["d", "e"], 4, Metric())
    raw = sorted(c.p for c in found)
    by_hand = np.maximum.accumulate([min(1, p * k) for p, k in zip(raw, (4, 3, 2, 1), strict=True)])
    assert sorted(c.p_holm for c in found) == pytest.approx(by_hand)


def test_holm_is_that_of_statsmodels_whatever_the_order_and_with_equal_and_missing_ones():
    p = [0.03, None, 0.004, 0.004, 0.2, None, 0.9]
    theirs = multipletests([1.0 if value is None else value for value in p], method="holm")[1]
    assert holm(p) == [None if value is None else pytest.approx(q) for value, q in zip(p, theirs, strict=True)]


def test_holm_is_rs_p_adjust():
    # p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "holm") gives 0.05 0.08 0.09 0.09 0.09; here p follows from the mean.
    spread = np.array([-1.0, 0.0, 1.0])
    wanted = (0.01, 0.02, 0.03, 0.04, 0.05)
    means = [stats.t.isf(p / 2, 2) / 3**0.5 for p in wanted]
    variants = {f"v{k}": (50 + mean + spread).tolist() for k, mean in enumerate(means)}
    found = compare_contrasts(rows(b=[50.0] * 3, **variants), [Contrast(v, "b") for v in variants], ["d"], 3, Metric())
    assert [c.p for c in found] == pytest.approx(wanted)
    assert [c.p_holm for c in found] == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])


def test_equivalence_is_corrected_for_all_contrasts_too():
    close = [50.8, 49.2, 50.3, 49.7]  # mean 0, sd .7; alone it is equivalent
    assert one(close, [50.0] * 4, 1.35).verdict is Verdict.EQUIVALENT
    others = {v: [52.0, 48.0, 53.0, 47.0] for v in "cde"}
    contrasts = [AB, *(Contrast(v, "b") for v in others)]
    found, *_ = compare_contrasts(rows(a=close, b=[50.0] * 4, **others), contrasts, ["d"], 4, Metric(min_effect=1.35))
    assert found.summary.high < 1.35 and found.p_equivalence_holm == pytest.approx(4 * found.p_equivalence)
    assert found.p_equivalence_holm > 0.05 and found.verdict is Verdict.UNRESOLVED


def test_a_run_without_result_takes_its_pair_out_and_is_named_with_the_reason():
    a = [60.0, None, 62.0, State.DIVERGED, 61.0, 63.0]
    b = [50.0, 51.0, State.FAILED, None, math.nan, 52.0]
    found = one(a, b)
    assert found.differences == {0: 10.0, 5: 11.0}
    assert found.missing == {1: "a missing", 2: "b failed", 3: "a diverged, b missing", 4: "b has no accuracy"}


def test_runs_of_other_seeds_than_the_studys_do_not_count():
    (found,) = compare_contrasts(rows(a=[60, 61, 99], b=[50, 50, 0]), [AB], ["d"], 2, Metric())
    assert found.differences == {0: 10, 1: 11}


def test_a_contrast_without_any_pair_is_unresolved_and_keeps_its_place_in_the_family():
    table = rows(a=[60, 61, 63], b=[50, 52, 53], c=[])
    ab, cb = compare_contrasts(table, [AB, Contrast("c", "b")], ["d"], 3, Metric())
    assert (cb.summary.n, cb.verdict, cb.p_holm) == (0, Verdict.UNRESOLVED, None)
    assert ab.p_holm == pytest.approx(2 * ab.p)
    assert compare_contrasts([], [AB], ["d"], 3, Metric())[0].missing == dict.fromkeys(range(3), "a missing, b missing")


def test_a_verdict_of_an_unfinished_study_is_not_withdrawn_when_the_rest_is_done():
    done = rows(a=[60, 61, 63, 62], b=[55, 57, 58, 58])
    rest = rows(c=[55.1, 57.3, 57.9, 58.2])
    contrasts = [AB, Contrast("c", "b")]
    early, _ = compare_contrasts(done, contrasts, ["d"], 4, Metric())
    late, _ = compare_contrasts(done + rest, contrasts, ["d"], 4, Metric())
    assert early.p_holm >= late.p_holm


def test_what_was_not_declared_gets_no_verdict():
    (found,) = estimate_differences(rows(a=[60, 61, 63], b=[50, 52, 53]), [AB], ["d"], 3, Metric())
    assert (found.verdict, found.p_holm) == (None, None)
    assert found.p_equivalence is not None


def test_over_data_sets_means_are_described_and_not_tested():
    table = rows("d", a=[60, 61], b=[50, 52]) + rows("e", a=[50, 51], b=[51, 52]) + rows("f", a=[54, 52], b=[50, 51])
    contrasts = [AB, Contrast("b", "a"), Contrast("c", "a")]
    ab, ba = across_datasets(compare_contrasts(table, contrasts, ["d", "e", "f"], 2, Metric()))  # c has no runs
    assert (ab.mean, ab.lowest, ab.highest) == (pytest.approx(11 / 3), -1.0, 9.5)
    assert (ab.favourable, ab.datasets, ab.one_seed, ba.favourable) == (2, 3, (), 1)
    assert across_datasets(compare_contrasts(table, [AB], ["d"], 2, Metric())) == []


def test_over_data_sets_one_with_a_single_seed_is_named():
    table = rows("d", a=[60, 61], b=[50, 52]) + rows("e", a=[50, None], b=[51, 52])
    (found,) = across_datasets(compare_contrasts(table, [AB], ["d", "e"], 2, Metric()))
    assert (found.mean, found.one_seed) == (pytest.approx(4.25), ("e",))


def test_sign_flips_that_cannot_be_under_five_per_cent_are_not_told():
    def told(seeds: int, contrasts: int) -> bool:
        rng = np.random.default_rng(0)
        names = [f"v{k}" for k in range(contrasts)]
        values = {v: rng.normal(90, 1, seeds).tolist() for v in names} | {"b": rng.normal(50, 1, seeds).tolist()}
        found = compare_contrasts(rows(**values), [Contrast(v, "b") for v in names], ["d"], seeds, Metric())
        assert all(c.p_sign_flip is not None for c in found)
        return all(c.p_sign_flip_holm is not None and c.p_sign_flip_holm < 0.05 for c in found)

    assert [told(5, 1), told(6, 1), told(7, 4), told(8, 4)] == [False, True, False, True]


def answering(answers: dict[str, str], table: list[dict]) -> list[dict]:
    """With what the runs said of the images: of one letter per variant and seed, equal ones said the same."""
    return [row | {"predicted_classes_digest": answers[row["variant"]][row["seed"]]} for row in table]


def test_runs_that_say_the_same_of_every_image_in_every_seed_are_identical():
    table = rows(a=[60.0, 61.0, 63.0], b=[60.0, 61.0, 63.0])
    (same,) = compare_contrasts(answering({"a": "xyz", "b": "xyz"}, table), [AB], ["d"], 3, Metric())
    assert (same.verdict, same.summary.mean, same.summary.low, same.p) == (Verdict.IDENTICAL, 0.0, None, None)
    (other,) = compare_contrasts(answering({"a": "xyz", "b": "xyw"}, table), [AB], ["d"], 3, Metric())
    assert (other.verdict, other.p) == (Verdict.UNRESOLVED, None)  # as many right, but others
    (unknown,) = compare_contrasts(table, [AB], ["d"], 3, Metric())
    assert unknown.verdict is Verdict.UNRESOLVED
    softer = [row | {"nll": 1.0 + (row["variant"] == "a") * 0.1 * row["seed"]} for row in table]
    (found,) = compare_contrasts(
        answering({"a": "xyz", "b": "xyz"}, softer), [AB], ["d"], 3, Metric(name="nll", min_effect=0.1)
    )
    assert found.verdict is Verdict.UNRESOLVED  # the same answers, but more or less sure of them


def test_of_two_variants_that_know_no_seed_seeds_say_nothing():
    table = rows(a=[60.0] * 4, b=[50.0] * 4)
    (found,) = compare_contrasts(answering({"a": "xxxx", "b": "yyyy"}, table), [AB], ["d"], 4, Metric())
    assert (found.verdict, found.summary.mean, found.summary.sd) == (Verdict.DETERMINISTIC, 10.0, 0.0)
    assert (found.summary.low, found.p, found.p_sign_flip, found.p_equivalence) == (None,) * 4
    chance = answering({"a": "xxzx", "b": "yyyy"}, table)  # a network that gets as many right in all seeds
    assert compare_contrasts(chance, [AB], ["d"], 4, Metric())[0].verdict is Verdict.UNRESOLVED
    one_side = rows(a=[60.0, 61.0, 60.5, 62.0], b=[50.0] * 4)
    assert compare_contrasts(one_side, [AB], ["d"], 4, Metric())[0].verdict is Verdict.BETTER


def of_nll(a: list[float], b: list[float]):
    table = [row | {"nll": row["accuracy"]} for row in rows(a=a, b=b)]
    return compare_contrasts(table, [AB], ["d"], len(a), Metric(name="nll", min_effect=0.1))[0]


def test_an_infinite_loss_is_the_worst_value_and_not_a_missing_one():
    found = of_nll([math.inf, 1.0, 1.1], [1.0, 1.1, 1.2])
    assert found.differences == {0: math.inf, 1: pytest.approx(-0.1), 2: pytest.approx(-0.1)}
    assert (found.missing, found.summary.n, found.summary.mean) == ({}, 3, math.inf)
    assert (found.summary.sd, found.summary.low, found.p, found.p_sign_flip) == (None,) * 4
    assert found.verdict is Verdict.UNRESOLVED
    assert of_nll([1.0, 1.1], [math.inf] * 2).summary.mean == -math.inf
    assert math.isnan(of_nll([math.inf, 1.0], [1.0, math.inf]).summary.mean)
    both = of_nll([math.inf, 1.0, 1.1], [math.inf, 1.1, 1.3])
    assert (both.missing, both.summary.n) == ({0: "nll infinite in both"}, 2)


def test_an_interval_of_shares_is_cut_where_they_end():
    assert summarise([99.0, 97.0, 98.5], (0, 100)).high == 100
    assert summarise([0.0, 1.0, 3.0], (0, 100)).low == 0
    found = one([100.0, 0.0], [0.0, 100.0])
    assert (found.summary.low, found.summary.high) == (-100, 100)


def test_a_lower_loss_is_in_favour_of_the_variant_on_every_data_set():
    table = [row | {"nll": row["accuracy"]} for name in "de" for row in rows(name, a=[1.0, 1.1], b=[1.2, 1.4])]
    metric = Metric(name="nll", min_effect=0.05)
    (ab,) = across_datasets(compare_contrasts(table, [AB], ["d", "e"], 2, metric))
    assert (ab.favourable, ab.datasets) == (2, 2)


def verdicts(effects: list[float], seeds: int, sd: float, min_effect: float) -> list[list[Verdict]]:
    """By study, of contrasts that share their baseline and whose true effects these are."""
    rng, contrasts = np.random.default_rng(seeds), [Contrast(f"v{k}", "b") for k in range(len(effects))]
    found = []
    for _ in range(STUDIES):
        shared = 60 + rng.normal(0, 3, seeds)  # what variants of a seed share
        values = {"b": shared + rng.normal(0, sd, seeds)}
        values |= {f"v{k}": shared + effect + rng.normal(0, sd, seeds) for k, effect in enumerate(effects)}
        table = rows(**{variant: numbers.tolist() for variant, numbers in values.items()})
        found.append(
            [c.verdict for c in compare_contrasts(table, contrasts, ["d"], seeds, Metric(min_effect=min_effect))]
        )
    return found


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
def test_the_t_interval_covers_what_it_says(seeds: int):
    samples = np.random.default_rng(seeds).normal(0, 1, (2_000, seeds))
    covered = np.mean([s.low <= 0 <= s.high for s in map(summarise, samples)])
    print(f"S = {seeds}: {100 * covered:.1f} %")
    assert covered == pytest.approx(0.95, abs=3 * (0.95 * 0.05 / 2_000) ** 0.5)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("effects", [[0.0] * 3, [0.0, 0.0, 12.0], [0.0, 12.0, -12.0]], ids=["none", "one", "two"])
def test_no_effect_is_found_better_or_worse_in_at_most_one_study_of_twenty(seeds: int, effects: list[float]):
    wrong = ({Verdict.BETTER, Verdict.WORSE}, {Verdict.WORSE}, {Verdict.BETTER})  # of no, a positive, a negative effect
    false = np.mean([
        any(verdict in wrong[int(np.sign(effect))] for verdict, effect in zip(study, effects, strict=True))
        for study in verdicts(effects, seeds, 1.0, 0.05)
    ])  # fmt: skip
    print(f"S = {seeds}, effects {effects}: {100 * false:.1f} %")
    assert false <= 0.05 + 3 * (0.05 * 0.95 / STUDIES) ** 0.5


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("effects", [[1.0, -1.0, 1.0], [0.0, 0.0, 1.0]], ids=["all", "one"])
def test_a_difference_that_just_matters_is_found_equivalent_in_at_most_one_study_of_twenty(
    seeds: int, effects: list[float]
):
    found = verdicts(effects, seeds, 0.1, 1.0)
    false = np.mean([any(v is Verdict.EQUIVALENT and e for v, e in zip(s, effects, strict=True)) for s in found])
    true = np.mean([s[0] is Verdict.EQUIVALENT for s in found])
    print(f"S = {seeds}, effects {effects}: {100 * false:.1f} % falsely, the first {100 * true:.1f} %")
    assert false <= 0.05 + 3 * (0.05 * 0.95 / STUDIES) ** 0.5
