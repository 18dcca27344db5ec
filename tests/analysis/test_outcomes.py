"""What became of runs: divergence, runs that learned nothing, and runs far from the others."""

import math

import numpy as np
import pytest
from seed_tables import rows

from emotune.analysis.outcomes import outcomes
from emotune.runs.directory import State


def found(most_frequent: float = 12.5, unable=(), **accuracies):
    table = [row | {"test_images": 698} for row in rows(**accuracies)]
    return outcomes(table, "d", len(next(iter(accuracies.values()))), "accuracy", most_frequent, unable)


def test_diverged_runs_are_counted_by_variant():
    result = found(a=[60.0, State.DIVERGED, State.DIVERGED], b=[60.0, 61.0, State.FAILED])
    assert (result.diverged, result.finished) == ({"a": [1, 2]}, {"a": 1, "b": 2})


def test_runs_that_are_not_better_than_the_most_frequent_class_are_named():
    result = found(a=[60.0, 12.5, 14.0], b=[60.0, 61.0, 16.0])
    assert (result.not_learned, result.finished) == ({"a": [1, 2]}, {"a": 3, "b": 3})
    assert found(a=[0.0, 60.0]).not_learned == {"a": [0]}
    assert found(50.0, a=[53.0, 54.0]).not_learned == {"a": [0]}, "370 of 698 right have p 0.058, 377 have p 0.019"
    assert found(math.nan, a=[0.0, 1.0]).not_learned == {}
    assert found(unable=["constant"], constant=[12.5, 12.5], a=[60.0, 61.0]).not_learned == {}


def test_a_run_far_from_its_variant_s_others_is_named_with_its_distance():
    rng = np.random.default_rng(0)
    values = {v: (60 + rng.normal(0, 1, 5)).tolist() for v in "abcef"}
    assert found(**values).far == []
    values["c"][2] -= 20
    (run,) = found(**values).far
    assert (run.variant, run.seed, run.value) == ("c", 2, values["c"][2])
    assert run.distance == pytest.approx(-20, abs=3) and run.in_sd > 10


def test_what_a_seed_shares_is_far_from_nothing():
    rng = np.random.default_rng(4)
    shared = np.array([0, 0, -30, 0, 0])
    assert found(**{v: (60 + shared + rng.normal(0, 1, 5)).tolist() for v in "abcef"}).far == []


def test_runs_without_failures_are_seldom_named():
    rng, named = np.random.default_rng(2), 0
    for _ in range(300):
        named += bool(found(**{v: (60 + rng.normal(0, 1, 3)).tolist() for v in "abcef"}).far)
    assert named <= 300 * 0.01 + 3 * (300 * 0.01 * 0.99) ** 0.5


def test_small_tables_name_nothing():
    assert found(a=[60.0, 61.0], b=[60.0, 30.0]).far == []
    assert found(a=[60.0] * 3, b=[61.0] * 3).far == []
    assert outcomes([], "d", 3, "accuracy", 12.5).finished == {}
