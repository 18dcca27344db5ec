"""What became of runs: divergence, runs that learned nothing, and runs far from the others."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from seed_tables import rows

from emotune.analysis.learning import Learning, RunLearning
from emotune.analysis.outcomes import outcomes
from emotune.analysis.prior import prior_predictor
from emotune.runs.directory import State


def found(learned: Sequence[RunLearning] = (), improving=(), unable=(), **accuracies):
    table = [row | {"run": f"{row['variant']}-{row['seed']}"} for row in rows(**accuracies)]
    prior = prior_predictor(pd.DataFrame({"target": ["x"], "logit_x": [0.0]}), None)
    learning = Learning("d", prior, ("accuracy",), {}, learned)
    seeds = len(next(iter(accuracies.values())))
    return outcomes(table, "d", seeds, "accuracy", learning, improving, unable)


def test_diverged_runs_are_counted_by_variant():
    result = found(a=[60.0, State.DIVERGED, State.DIVERGED], b=[60.0, 61.0, State.FAILED])
    assert (result.diverged, result.finished) == ({"a": [1, 2]}, {"a": 1, "b": 2})
    assert found(unable=["constant"], constant=[12.5, 12.5], a=[60.0, 61.0]).finished == {"a": 2}


def test_runs_that_learned_nothing_collapsed_or_still_improved_are_listed_by_variant():
    runs = [RunLearning("a", 1, False, "joy"), RunLearning("a", 0, False, "joy"), RunLearning("b", 0, True)]
    result = found(runs, {"b-0", "b-1"}, a=[12.5, 12.5], b=[60.0, State.FAILED])
    assert (result.not_learned, result.collapsed) == ({"a": [0, 1]}, {("a", "joy"): [0, 1]})
    assert result.improving == {"b": [0]}


def test_variants_come_in_the_study_s_order_whichever_seed_fails_first():
    runs = [RunLearning("b", 0, False), RunLearning("a", 1, False)]
    result = found(runs, a=[State.FAILED, 12.5], b=[12.5, 60.0])
    assert list(result.not_learned) == list(result.finished) == ["a", "b"]


def test_variants_have_the_study_s_order_whichever_seed_fails_first():
    table = [
        row | {"run": f"{row['variant']}-{row['seed']}"}
        for row in sorted(rows(z=[12.5, State.DIVERGED, 12.5], a=[State.DIVERGED, 12.5, 12.5], k=[12.5] * 3),
                          key=lambda row: row["seed"])
    ]  # fmt: skip
    runs = [RunLearning(v, s, False, "joy") for v, s in (("a", 1), ("k", 0), ("a", 2), ("z", 2), ("z", 0))]
    prior = prior_predictor(pd.DataFrame({"target": ["x"], "logit_x": [0.0]}), None)
    learning = Learning("d", prior, ("accuracy",), {}, runs)
    result = outcomes(table, "d", 3, "accuracy", learning, {"k-0", "a-1", "z-2"})
    assert list(result.finished) == list(result.not_learned) == list(result.improving) == ["z", "a", "k"]
    assert [variant for variant, _ in result.collapsed] == ["z", "a", "k"]
    assert list(result.diverged.items()) == [("z", [1]), ("a", [0])] and result.not_learned["z"] == [0, 2]


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
    assert outcomes([], "d", 3, "accuracy").finished == {}
