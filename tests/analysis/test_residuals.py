"""The fit of variant + seed, and the spread of seed differences that it leaves."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as formula

from emotune.analysis.residuals import fit_variant_and_seed, is_constant, pooled_spread

MACHINE_B = {"alexnet": [64.2, 60.3, 57.2], "attention": [70.9, 66.8, 64.0], "dual": [69.5, 66.3, 65.9],
             "dual-plain": [68.5, 65.2, 70.6], "mldr": [62.2, 57.0, 59.7]}  # fmt: skip
"""The quickstart on one machine: by seed, accuracy in per cent. RSS 37.3773 with 8 degrees of freedom."""


def runs(values: dict[str, list[float | None]], dataset: str = "d") -> list[dict]:
    return [
        {"variant": variant, "dataset": dataset, "seed": seed, "accuracy": value}
        for variant, numbers in values.items()
        for seed, value in enumerate(numbers)
        if value is not None
    ]


def test_a_complete_table_has_the_interaction_s_residuals():
    values = np.random.default_rng(0).normal(60, 3, (5, 3))
    fit = fit_variant_and_seed(values)
    by_hand = values - values.mean(1, keepdims=True) - values.mean(0) + values.mean()
    assert (fit.df, fit.squares) == (8, pytest.approx((by_hand**2).sum()))
    np.testing.assert_allclose(fit.residuals, by_hand, atol=1e-12)
    np.testing.assert_allclose(fit.leverages, 7 / 15)


def test_missing_cells_give_the_least_squares_fit():
    values = np.random.default_rng(1).normal(60, 3, (4, 5))
    values[0, 1] = values[2, [3, 4]] = np.nan
    values[3, 0] = np.inf  # a loss that does not count
    fit = fit_variant_and_seed(values)
    variant, seed = np.nonzero(np.isfinite(values))
    theirs = formula.ols("y ~ C(v) + C(s)", pd.DataFrame({"y": values[variant, seed], "v": variant, "s": seed})).fit()
    assert (fit.df, fit.squares) == (theirs.df_resid, pytest.approx(theirs.ssr))
    np.testing.assert_allclose(fit.residuals[variant, seed], theirs.resid)
    np.testing.assert_allclose(fit.leverages[variant, seed], theirs.get_influence().hat_matrix_diag)
    assert np.isnan(fit.residuals).sum() == np.isnan(fit.leverages).sum() == 4


def test_tables_with_next_to_nothing_have_no_degrees_of_freedom():
    assert fit_variant_and_seed(np.full((2, 3), np.nan)).df == 0
    assert fit_variant_and_seed(np.array([[1.0, 2.0, 4.0]])).df == 0
    apart = np.array([[1.0, np.nan], [np.nan, 2.0]])  # no seed in common
    assert (fit_variant_and_seed(apart).df, fit_variant_and_seed(apart).squares) == (0, pytest.approx(0))


def test_constant_variants_are_those_that_repeat_a_value():
    values = np.array([[1.0, 1.0, np.nan], [1.0, np.nan, np.nan], [1.0, 1.0 + 1e-12, 1.0], [1.0, 2.0, 1.0],
                       [np.nan] * 3, [np.inf, 1.0, np.inf]])  # fmt: skip
    assert is_constant(values).tolist() == [True, False, True, False, False, False]


def test_the_pooled_spread_is_what_variants_and_seeds_leave():
    result = pooled_spread(runs(MACHINE_B) + runs(MACHINE_B | {"mldr": [1.0, 90.0, 5.0]}, "e"), "d", "accuracy")
    assert (result.sd, result.df) == (pytest.approx((2 * 37.3773 / 8) ** 0.5, abs=1e-4), 8)
    assert result.variants == 5


def test_the_pooled_spread_of_two_variants_is_that_of_their_differences():
    a, b = MACHINE_B["dual"], MACHINE_B["dual-plain"]
    result = pooled_spread(runs({"a": a, "b": b}), "d", "accuracy")
    assert (result.sd, result.df) == (pytest.approx(np.std(np.subtract(a, b), ddof=1)), 2)


def test_the_pooled_spread_of_an_unfinished_study_is_that_of_a_regression_with_dummies():
    values = MACHINE_B | {"attention": [70.9, None, 64.0], "mldr": [None, None, 59.7], "svm": [50.0] * 3}
    cells = [(v, row["seed"], row["accuracy"]) for v in list(values)[:4] for row in runs(values) if row["variant"] == v]
    design = np.array([[v == w for w in list(values)[:4]] + [s == t for t in range(3)] for v, s, _ in cells], float)
    y = np.array([value for *_, value in cells])
    left = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
    df = len(y) - np.linalg.matrix_rank(design)
    result = pooled_spread(runs(values), "d", "accuracy")
    assert (result.sd, result.df) == (pytest.approx((2 * (left**2).sum() / df) ** 0.5), df)


def test_no_pooled_spread_of_one_seed_or_seed_independent_variants():
    assert pooled_spread(runs({"a": [60.0], "b": [61.0]}), "d", "accuracy") is None
    assert (
        pooled_spread(runs({"svm": [60.0] * 3, "constant": [12.0] * 3, "a": [1.0, 2.0, 4.0]}), "d", "accuracy") is None
    )
    assert pooled_spread(runs({"a": [60.0, 61.0, np.inf], "b": [61.0, 62.0, 63.0]}), "d", "accuracy") is None
    assert pooled_spread([], "d", "accuracy") is None
