"""The joint interval, against its worked example, its special cases, and what must not change it."""

import math

import numpy as np
import pytest
from scipy import stats

from emotune.analysis.joint_interval import JointInterval, joint_intervals

NAMES = ["alexnet", "attention", "dual", "dual-plain", "mldr"]
MACHINE_B = np.array([
    [64.2, 60.3, 57.2], [70.9, 66.8, 64.0], [69.5, 66.3, 65.9], [68.5, 65.2, 70.6], [62.2, 57.0, 59.7]
])  # fmt: skip
"""Accuracies of the quickstart by variant and seed, as a second machine gave them."""


def pairs(variants: int, *contrasts: tuple[int, int]) -> np.ndarray:
    """The weights of differences of two variants, given by their numbers."""
    weights = np.zeros((len(contrasts), variants))
    for row, (variant, reference) in zip(weights, contrasts, strict=True):
        row[variant], row[reference] = 1, -1
    return weights


CONTRASTS = pairs(5, (1, 0), (2, 0), (2, 3), (4, 0))


def half(interval: JointInterval) -> float:
    return (interval.high - interval.low) / 2


def test_worked_example():
    found = joint_intervals(MACHINE_B, CONTRASTS)
    assert [c.quantile for c in found] == pytest.approx([3.2948] * 4, abs=5e-5)
    assert {(c.n, c.weight, c.df) for c in found} == {(3, 4, 6)}
    rows = [(c.mean, c.own_sd, c.rest_sd, c.sd, c.low, c.high) for c in found]
    np.testing.assert_allclose(
        rows,
        [
            [6.6667, 0.1528, 3.5286, 2.8825, 1.1835, 12.1499],
            [6.6667, 1.7954, 3.3741, 2.9435, 1.0674, 12.2660],
            [-0.8667, 3.3201, 2.9639, 3.0872, -9.1144, 7.3810],
            [-0.9333, 3.0436, 3.0613, 3.0554, -8.4940, 6.6273],
        ],
        atol=1e-4,
    )
    assert [c.p for c in found] == pytest.approx([0.0220, 0.0241, 0.964, 0.953], abs=5e-4)


def test_worked_example_with_a_missing_run():
    values = MACHINE_B.copy()
    values[1, 2] = np.nan
    attention, dual, *_ = joint_intervals(values, CONTRASTS)
    assert (attention.n, attention.df, attention.sd) == (2, 5, pytest.approx(2.7633, abs=5e-5))
    assert half(attention) == pytest.approx(6.8599, abs=3e-4) and attention.low < 0
    assert half(dual) == pytest.approx(5.3295, abs=1e-4) and dual.low > 0


def test_two_variants_alone_are_compared_by_the_paired_t_test():
    old, new = [60, 62, 61], [65, 60, 67]
    (found,) = joint_intervals(np.array([old, new]), pairs(2, (1, 0)))
    assert half(found) == pytest.approx(10.8281, abs=5e-5)
    assert found.p == pytest.approx(stats.ttest_rel(new, old).pvalue)
    assert (found.weight, found.df, found.rest_sd) == (0, 2, None)


def test_interval_is_never_narrower_than_that_of_its_own_seeds():
    values = np.random.default_rng(0).normal(60, 1, (6, 3))
    values[3] = [40, 60, 80]
    contrasts = pairs(6, (1, 0), (3, 0))
    calm, wild = joint_intervals(values, contrasts)
    own = values[3] - values[0]
    assert half(wild) == pytest.approx(stats.t.ppf(0.975, 2) * own.std(ddof=1) / 3**0.5)
    assert half(wild) > wild.quantile * wild.sd / 3**0.5
    assert wild.p >= stats.ttest_1samp(own, 0).pvalue
    assert half(calm) == pytest.approx(calm.quantile * calm.sd / 3**0.5)


@pytest.mark.parametrize("alpha", [0.05, 0.0125])
def test_p_is_below_alpha_where_the_interval_excludes_zero(alpha: float):
    rng = np.random.default_rng(1)
    for _ in range(60):
        values = rng.normal(0, 1, (5, 3)) + rng.normal(0, 3, (5, 1))
        for c in joint_intervals(values, CONTRASTS, alpha):
            assert (c.p < alpha) == (c.low > 0 or c.high < 0), c


def test_nothing_shared_by_a_seed_and_no_order_changes_the_intervals():
    rng = np.random.default_rng(2)
    expected = joint_intervals(MACHINE_B, CONTRASTS)
    ends = np.array([c.ends for c in expected])
    shifted = joint_intervals(MACHINE_B + rng.normal(0, 9, 3), CONTRASTS)
    np.testing.assert_allclose([c.ends for c in shifted], ends, atol=1e-9)
    scaled = joint_intervals(-MACHINE_B / 100, CONTRASTS)
    np.testing.assert_allclose([c.ends for c in scaled], -ends[:, ::-1] / 100, atol=1e-9)
    variants, contrasts, seeds = rng.permutation(5), rng.permutation(4), rng.permutation(3)
    moved = joint_intervals(MACHINE_B[variants][:, seeds], CONTRASTS[contrasts][:, variants])
    np.testing.assert_allclose([c.ends for c in moved], ends[contrasts], atol=2e-3)  # other directions


def test_scaled_weights_scale_the_interval_and_change_no_p():
    whole, doubled = joint_intervals(MACHINE_B, CONTRASTS), joint_intervals(MACHINE_B, 2 * CONTRASTS)
    np.testing.assert_allclose([c.ends for c in doubled], 2 * np.array([c.ends for c in whole]))
    assert [c.p for c in doubled] == pytest.approx([c.p for c in whole])


def test_weights_give_main_effect_and_interaction():
    rng = np.random.default_rng(3)
    values = rng.normal(60, 2, (4, 6)) + np.array([[0.0], [3.0], [1.0], [4.0]])  # 00, A, B, AB
    main, interaction = joint_intervals(values, np.array([[-0.5, 0.5, -0.5, 0.5], [1, -1, -1, 1]]))
    pool = values - values.mean(1, keepdims=True) - values.mean(0) + values.mean()
    assert main.mean == pytest.approx(((values[1] - values[0] + values[3] - values[2]) / 2).mean())
    for c, weights in ((main, np.array([-0.5, 0.5, -0.5, 0.5])), (interaction, np.array([1, -1, -1, 1]))):
        size, own = weights @ weights, (weights @ values).var(ddof=1)
        rest = size * ((pool**2).sum() - 5 * own / size) / 10
        assert (c.df, c.sd) == (9, pytest.approx(((4 * rest + 5 * own) / 9) ** 0.5))
    assert interaction.rest_sd / main.rest_sd == pytest.approx(2, rel=0.3)  # four times the seeds


def test_constant_variant_stays_out_of_the_pool_and_takes_nothing_from_it():
    values = np.vstack([MACHINE_B, [55.0] * 3])
    *rest, svm = joint_intervals(values, np.column_stack([np.vstack([CONTRASTS, [0] * 5]), [0.0] * 5])
                                   + np.vstack([np.zeros((4, 6)), [[-1, 0, 0, 0, 0, 1]]]))  # fmt: skip
    assert [c.sd for c in rest] == pytest.approx([c.sd for c in joint_intervals(MACHINE_B, CONTRASTS)])
    own = 55 - MACHINE_B[0]
    assert (svm.weight, svm.df, svm.sd) == (0, 2, pytest.approx(own.std(ddof=1)))
    assert svm.p == pytest.approx(min(1, 5 * stats.ttest_1samp(own, 0).pvalue))
    assert half(svm) == pytest.approx(stats.t.ppf(1 - 0.025 / 5, 2) * own.std(ddof=1) / 3**0.5)


def test_tables_that_give_no_interval():
    (one_seed,) = joint_intervals(np.array([[60.0], [65.0]]), pairs(2, (1, 0)))
    assert (one_seed.n, one_seed.mean, one_seed.ends, one_seed.supports_verdict) == (1, 5.0, None, False)
    (constant,) = joint_intervals(np.array([[60.0] * 3, [65.0] * 3]), pairs(2, (1, 0)))
    assert (constant.n, constant.mean, constant.ends, constant.own_sd) == (3, 5.0, None, 0.0)
    for c in joint_intervals(np.full((5, 3), 60.0), CONTRASTS):
        assert (c.mean, c.ends, c.p) == (0.0, None, None)
    for c in joint_intervals(np.full((5, 3), np.nan), CONTRASTS):
        assert c.n == 0 and math.isnan(c.mean) and c.ends is None
    assert joint_intervals(MACHINE_B, np.zeros((0, 5))) == []


def test_infinite_loss_has_a_mean_and_no_interval_and_leaves_the_pool():
    values = MACHINE_B / 60
    values[1, 0] = np.inf
    infinite, dual, *_ = joint_intervals(values, CONTRASTS)
    assert (infinite.n, infinite.mean, infinite.ends) == (3, math.inf, None)
    values[1, 0] = np.nan
    assert dual == joint_intervals(values, CONTRASTS)[1]
    (both,) = joint_intervals(np.array([[np.inf, 1.0, 1.2], [np.inf, 1.1, 1.5]]), pairs(2, (1, 0)))
    assert (both.n, both.mean) == (2, pytest.approx(0.2))


def test_equal_differences_have_the_spread_of_the_others():
    values = MACHINE_B.copy()
    values[1] = values[0] + 20
    equal, *_ = joint_intervals(values, CONTRASTS)
    assert (equal.own_sd, equal.weight, equal.df) == (0.0, 4, 6)
    assert equal.low > 0 and 0 < equal.p < 0.05


def test_two_seeds_support_a_verdict_only_with_other_variants():
    values = MACHINE_B[:, :2]
    (alone,) = joint_intervals(values[:2], pairs(2, (1, 0)))
    assert alone.ends is not None and not alone.supports_verdict
    assert all(c.supports_verdict for c in joint_intervals(values, CONTRASTS))


def test_aa_runs_add_degrees_of_freedom_to_the_pool():
    with_aa = np.vstack([MACHINE_B[:2], [[63.0, 61.0, 58.0]]])
    (found,) = joint_intervals(with_aa, pairs(3, (1, 0)))
    assert (found.weight, found.df) == (2, 4)


def test_redundant_contrasts_and_many_variants():
    values = np.random.default_rng(4).normal(60, 1, (12, 5))
    every = pairs(12, *[(i, j) for i in range(12) for j in range(i)])
    found = joint_intervals(values, every)
    tukey = stats.studentized_range.ppf(0.95, 12, found[0].df) / 2**0.5
    assert found[0].quantile == pytest.approx(tukey, abs=0.01)


def test_weights_that_are_no_contrast_are_refused():
    with pytest.raises(ValueError, match="sum to zero"):
        joint_intervals(MACHINE_B, np.array([[1.0, 0, 0, 0, 0]]))
    with pytest.raises(ValueError, match="sum to zero"):
        joint_intervals(MACHINE_B, np.zeros((1, 5)))
