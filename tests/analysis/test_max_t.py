"""The distribution of the largest |t|, against Dunnett's tables, product formulas and its bounds."""

import numpy as np
import pytest
from scipy import stats

from emotune.analysis.max_t import MaxT, max_t


def star(contrasts: int) -> np.ndarray:
    """Contrasts of so many variants with one baseline."""
    return np.column_stack([-np.ones(contrasts), np.eye(contrasts)])


@pytest.mark.parametrize(("contrasts", "df", "quantile"), [(4, 10, 2.89), (4, 20, 2.65), (4, 1e6, 2.44), (2, 5, 3.03)])
def test_quantiles_are_those_of_dunnett_s_tables(contrasts: int, df: float, quantile: float):
    assert MaxT(star(contrasts)).quantile(0.05, df) == pytest.approx(quantile, abs=0.005)


@pytest.mark.parametrize(("contrasts", "tolerance"), [(2, 1e-4), (4, 1e-4), (6, 2e-4), (16, 1e-3)])
def test_quantiles_of_a_star_equal_those_of_a_double_integral(contrasts: int, tolerance: float):
    x, at = np.polynomial.hermite_e.hermegauss(60)
    u, of = np.polynomial.legendre.leggauss(200)
    scale = np.sqrt(stats.chi2.ppf((u + 1) / 2, 6) / 6)
    q = MaxT(star(contrasts)).quantile(0.05, 6)
    high, low = (np.sqrt(2) * sign * q * scale[:, None] + x for sign in (1, -1))
    inside = ((stats.norm.cdf(high) - stats.norm.cdf(low)) ** contrasts @ at) / at.sum()
    outside = 1 - of @ inside / 2
    slope = 0.05  # at least: the tail falls by 0.05 to 0.06 for each unit of q
    assert outside == pytest.approx(0.05, abs=tolerance * slope)


def test_one_contrast_is_student_s_t():
    one = MaxT(np.array([[0.0, 1.0, -1.0]]))
    assert one.quantile(0.05, 2) == pytest.approx(stats.t.ppf(0.975, 2))
    assert one.tail(-3.0, 4) == pytest.approx(2 * stats.t.sf(3, 4))


def test_repeated_and_dependent_contrasts_cost_nothing_or_little():
    pair = np.array([[1.0, -1.0, 0.0]])
    same = MaxT(np.vstack([pair, -pair, 3 * pair]))
    assert same.quantile(0.05, 6) == pytest.approx(stats.t.ppf(0.975, 6), abs=1e-4)
    third = np.array([[1.0, -1, 0], [0, 1, -1], [1, 0, -1]])  # the third is the sum of the other two
    tukey = stats.studentized_range.ppf(0.95, 3, 8) / 2**0.5
    assert MaxT(third).quantile(0.05, 8) == pytest.approx(tukey, abs=1e-3)


def test_quantile_and_tail_belong_together_and_stay_within_bounds():
    rng = np.random.default_rng(0)
    for _ in range(5):
        weights = rng.integers(-2, 3, (5, 6)).astype(float)
        weights[:, 0] -= weights.sum(axis=1)
        weights = weights[np.any(weights, axis=1)]
        together, df = MaxT(weights), int(rng.integers(2, 30))
        q = together.quantile(0.02, df)
        assert stats.t.ppf(0.99, df) <= q <= stats.t.ppf(1 - 0.01 / len(weights), df)
        assert together.tail(q, df) == pytest.approx(0.02, rel=1e-6)
        for t in (0.0, 0.3, 2.0, 50.0, np.inf):
            alone = 2 * stats.t.sf(t, df)
            assert alone * (1 - 1e-9) <= together.tail(-t, df) <= min(1, len(weights) * alone * (1 + 1e-9))


def test_independent_contrasts_are_those_of_sidak():
    weights = np.array([[1.0, -1, 0, 0], [0, 0, 1, -1]])
    assert MaxT(weights).tail(2.0, 1e7) == pytest.approx(1 - (1 - 2 * stats.norm.sf(2)) ** 2, abs=2e-5)


def test_the_same_contrasts_are_computed_once():
    rows = np.array([[1.0, -1.0, 0.0], [1.0, 0.0, -1.0]])
    assert max_t(rows) is max_t(rows)
