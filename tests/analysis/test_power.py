"""The power of the joint interval, against that of the paired t-test, a simulation, and published figures."""

import numpy as np
import pytest
from statsmodels.stats.power import TTestPower

from emotune.analysis.joint_interval import joint_intervals
from emotune.analysis.power import findable_effects, power, seeds_for, seeds_of_interactions, smallest_effect
from emotune.config.contrast import Contrast
from emotune.config.design.factors import factor_contrasts

PAIR = np.array([[1.0, -1.0]])
STAR = np.column_stack([-np.ones(4), np.eye(4)])


@pytest.mark.parametrize("seeds", [3, 5, 10, 50])
@pytest.mark.parametrize("effect", [0.2, 1.0, 2.0])
def test_power_of_two_variants_is_that_of_the_paired_t_test(seeds: int, effect: float):
    expected = TTestPower().power(effect_size=effect, nobs=seeds, alpha=0.05)
    assert power(effect, seeds, 2, PAIR) == pytest.approx(expected, abs=0.004)
    assert power(-effect, seeds, 2, PAIR) == power(effect, seeds, 2, PAIR)


@pytest.mark.parametrize(("seeds", "effect"), [(3, 3.3), (5, 1.8), (10, 1.16)])
def test_power_is_80_per_cent_at_the_published_effects(seeds: int, effect: float):
    assert power(effect, seeds, 5, STAR) == pytest.approx(0.8, abs=0.01)


def test_power_is_that_of_simulated_studies_with_unlike_numbers_of_contrasts():
    weights, rng, studies = np.array([[1.0, -1, 0, 0], [0, 0, 1, -1]]), np.random.default_rng(0), 1500
    tables = rng.normal(0, 1, (studies, 4, 4)) + np.array([[2 * 2**0.5], [0], [0], [0]])
    found = np.mean([joint_intervals(values, weights)[0].low > 0 for values in tables])
    assert power(2.0, 4, 4, weights) == pytest.approx(found, abs=0.035)


def test_power_grows_with_effect_seeds_variants_and_alpha():
    assert power(3, 3, 5, STAR) > power(2, 3, 5, STAR) > power(2, 3, 5, STAR, 0.01)
    assert power(1, 10, 5, STAR) > power(1, 5, 5, STAR)
    assert power(2, 3, 6, STAR) >= power(2, 3, 5, STAR) > power(2, 3, 2, STAR)


def test_the_smallest_effect_is_found_four_times_in_five():
    for seeds in (2, 3, 8, 100):
        assert power(smallest_effect(seeds, 5, STAR), seeds, 5, STAR) == pytest.approx(0.8, abs=1e-6)
    assert smallest_effect(1, 5, STAR) is None
    assert smallest_effect(2, 2, PAIR) is None, "two seeds of two variants give no verdict"
    assert smallest_effect(3, 5, np.zeros((0, 5))) is None


def test_seeds_for_an_effect_are_the_fewest_that_suffice():
    for effect in (0.3, 1.0, 2.5):
        n = seeds_for(effect, 5, STAR)
        assert power(effect, n, 5, STAR) >= 0.8 > power(effect, n - 1, 5, STAR)
    assert seeds_for(1e-4, 5, STAR) is None


def test_more_seeds_find_smaller_differences():
    effects = findable_effects(3.1, [10, 3, 5, 3, 1], 5, STAR)
    assert list(effects) == [3, 5, 10]
    assert list(effects.values()) == pytest.approx([10.2, 5.6, 3.6], abs=0.1)


def test_the_seeds_of_an_interaction_follow_from_the_levels_of_its_factors():
    levels = {"rate": {"low": ["a", "d"], "middle": ["b", "e"], "high": ["c", "f"]}}
    three = factor_contrasts({"size": {"small": ["a", "b", "c"], "large": ["d", "e", "f"]}, **levels})
    two = factor_contrasts(
        {"size": {"small": ["a", "b"], "large": ["c", "d"]}, "lens": {"x": ["a", "c"], "y": ["b", "d"]}}
    )

    def sentence(contrasts: list[Contrast], variants: str) -> str:
        return seeds_of_interactions(contrasts, np.array([[c.weights.get(v, 0) for v in variants] for c in contrasts]))

    assert "four times" in sentence(two, "abcd")
    assert "four to six times" in sentence(three, "abcdef"), "of an effect averaged over two or three levels"
    assert sentence([Contrast.difference("a", "b")], "ab") == ""
