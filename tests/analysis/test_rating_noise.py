"""The bound by rater noise is what a predictor that knows the true means reaches in simulated ratings."""

import numpy as np
import pytest

from emotune.analysis.rating_noise import noise_bound
from emotune.runs.predictions import concordance
from emotune.runs.rating_measures import pearson


@pytest.mark.parametrize(("raters", "spread"), [(5, 1.0), (20, 0.4), (100, 1.2)])
def test_who_knows_the_true_means_reaches_the_bound_that_is_estimated_from_ratings_alone(raters: int, spread: float):
    rng = np.random.default_rng(raters)
    reached, bounds = [], []
    for _ in range(200):
        truth = rng.normal(4, spread, 180)
        ratings = truth[:, None] + rng.normal(0, 1.3 * rng.uniform(0.5, 1.5, (180, 1)), (180, raters))
        means, errors = ratings.mean(axis=1), ratings.var(axis=1, ddof=1) / raters
        bound = noise_bound(means, float(errors.mean()))
        bounds.append((bound.ccc, bound.pearson, bound.rmse, bound.pearson))
        columns = means[:, None], truth[:, None]
        error = np.sqrt(np.square(means - truth).mean())
        stretched = 4 + (truth - 4) / np.sqrt(bound.reliability)
        highest = concordance(means[:, None], stretched[:, None])[0]
        reached.append((concordance(*columns)[0], pearson(*columns)[0], error, highest))
    assert np.mean(bounds, axis=0) == pytest.approx(np.mean(reached, axis=0), abs=0.006)


def test_without_noise_everything_can_be_reached_and_with_nothing_but_noise_nothing():
    means = np.array([1.0, 2.0, 4.0])
    free, drowned = noise_bound(means, 0.0), noise_bound(means, 50.0)
    assert (free.reliability, free.ccc, free.pearson, free.rmse) == (1, 1, 1, 0)
    assert (drowned.reliability, drowned.ccc, drowned.pearson) == (0, 0, 0)
    assert noise_bound(np.full(3, 2.0), 0.1).ccc == 0
