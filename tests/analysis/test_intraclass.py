"""Tests of `emotune.analysis.intraclass`."""

import math

import numpy as np
import pytest

from emotune.analysis.intraclass import shared_by_seeds

RATINGS = np.array([[9, 6, 8, 7, 10, 6], [2, 1, 4, 1, 5, 2], [5, 3, 6, 2, 6, 4], [8, 2, 8, 6, 9, 7]], float)
"""The example of Shrout and Fleiss (1979), table 2: four raters of six targets."""


def test_the_published_example_has_the_published_correlation():
    assert shared_by_seeds(RATINGS) == pytest.approx(0.71, abs=0.005)


def test_seeds_that_lack_a_run_and_variants_that_do_not_vary_do_not_count():
    more = np.column_stack([RATINGS, [math.nan, 3, 3, 3]])
    assert shared_by_seeds(np.vstack([more, np.full(7, 4.0)])) == shared_by_seeds(RATINGS)


def test_seeds_of_simulated_runs_share_what_was_drawn_and_too_few_say_nothing():
    lot = np.random.default_rng(0)
    runs = lot.normal(size=(5, 400)) + lot.normal(size=400) * math.sqrt(0.5)
    assert shared_by_seeds(runs) == pytest.approx(1 / 3, abs=0.07)
    assert shared_by_seeds(lot.normal(size=(5, 400))) < 0.05
    assert shared_by_seeds(runs[:, :4]) is None and shared_by_seeds(runs[:1]) is None
