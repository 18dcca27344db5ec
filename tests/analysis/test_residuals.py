"""The fit of variant + seed."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as formula

from emotune.analysis.residuals import fit_variant_and_seed, is_constant


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
