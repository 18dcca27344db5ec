import numpy as np
import pytest
from statsmodels.stats.power import TTestPower

from emotune.analysis.power import paired_differences, power_of_paired_t, seeds_for, smallest_effect
from emotune.study import Contrast


@pytest.mark.parametrize("seeds", [2, 3, 5, 10, 50])
@pytest.mark.parametrize("effect", [0.2, 1.0, 2.0])
def test_power_is_what_statsmodels_says(seeds: int, effect: float):
    expected = TTestPower().power(effect_size=effect, nobs=seeds, alpha=0.05)
    assert power_of_paired_t(effect, seeds) == pytest.approx(expected, abs=1e-6)


def test_power_is_the_share_of_studies_that_find_the_effect():
    rng, n, effect = np.random.default_rng(0), 5, 1.5
    samples = rng.normal(effect, 1, (20_000, n))
    t = samples.mean(1) / (samples.std(1, ddof=1) / np.sqrt(n))
    assert power_of_paired_t(effect, n) == pytest.approx(np.mean(np.abs(t) > 2.776), abs=0.012)


@pytest.mark.parametrize("alpha", [0.05, 0.0125, 0.0005])
def test_power_is_a_number_that_grows_with_the_effect_and_with_the_seeds(alpha: float):
    effects, seeds = np.geomspace(0.01, 1e4, 40), [2, 3, 8, 20, 21, 33, 200, 1000]
    found = np.array([[power_of_paired_t(effect, n, alpha) for n in seeds] for effect in effects])
    assert np.isfinite(found).all() and found.min() >= alpha - 1e-6 and found.max() <= 1
    assert (np.diff(found, axis=0) > -1e-9).all() and (np.diff(found, axis=1) > -1e-9).all()
    assert found[-1] == pytest.approx(1.0)


def test_power_is_known_where_scipys_noncentral_t_is_not():
    assert power_of_paired_t(10, 21, 0.0125) == pytest.approx(1.0)
    assert power_of_paired_t(10, 20, 0.0125) == pytest.approx(1.0)
    assert power_of_paired_t(-1.5, 5) == power_of_paired_t(1.5, 5)


def test_the_smallest_effect_is_found_four_times_in_five():
    assert all(power_of_paired_t(smallest_effect(n), n) == pytest.approx(0.8, abs=1e-6) for n in (2, 3, 8, 100))
    assert smallest_effect(1) is None


def test_seeds_for_an_effect_are_the_fewest_that_suffice():
    for effect in (0.3, 1.0, 2.5):
        n = seeds_for(effect)
        assert power_of_paired_t(effect, n) >= 0.8 > power_of_paired_t(effect, n - 1)
    assert seeds_for(1e-4) is None


def test_differences_are_of_complete_pairs_on_one_data_set():
    rows = [
        {"variant": "a", "dataset": "d", "seed": 0, "accuracy": 50.0},
        {"variant": "b", "dataset": "d", "seed": 0, "accuracy": 47.0},
        {"variant": "a", "dataset": "d", "seed": 1, "accuracy": 60.0},
        {"variant": "b", "dataset": "other", "seed": 1, "accuracy": 10.0},
        {"variant": "b", "dataset": "d", "seed": 2, "accuracy": 10.0},
    ]
    assert paired_differences(rows, Contrast("a", "b"), "d", "accuracy") == {0: 3.0}
