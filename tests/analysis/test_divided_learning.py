"""What was learned on a data set that is divided several times."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from emotune.analysis.divided_learning import learning_over_divisions
from emotune.analysis.divisions import Repeats
from emotune.analysis.learning import Learning, RunLearning, VariantLearning
from emotune.analysis.prior import PriorPredictor

NAMES = tuple(f"d-fold{number}of3" for number in (1, 2, 3))
FOLDS = Repeats("d", "fold", NAMES, 3, 0.5)


def over_folds(by_variant: dict[str, list[float]], one_answer: dict[str, list[int]]) -> Learning:
    """Accuracy by fold beside priors of 10, 11 and 12 %; folds in which a run has one answer."""
    rows = [
        {"variant": v, "dataset": name, "seed": 0, "state": "done", "accuracy": value}
        for v, values in by_variant.items() for name, value in zip(NAMES, values, strict=True)
    ]  # fmt: skip
    priors = [PriorPredictor(pd.DataFrame(), "joy", {"accuracy": 10.0 + fold}) for fold in range(3)]
    asked = {v: VariantLearning(v, 1, {}, learned=False) for v in by_variant}
    by_division = {
        name: Learning(name, priors[fold], ("accuracy",), asked, [
            RunLearning(v, 0, fold not in one_answer.get(v, ()), "joy" if fold in one_answer.get(v, ()) else None)
            for v in by_variant
        ])
        for fold, name in enumerate(NAMES)
    }  # fmt: skip
    found = learning_over_divisions(rows, FOLDS, by_division, 1, 1)
    assert found is not None
    return found


def learned(by_variant: dict[str, list[float]], one_answer: dict[str, list[int]]) -> frozenset[str]:
    return over_folds(by_variant, one_answer).learned


def test_a_variant_that_gives_one_answer_in_most_folds_has_not_learned_though_its_interval_is_above_the_prior():
    values = {"a": [40.0, 41.5, 42.0], "b": [40.5, 41.0, 41.5]}
    assert learned(values, {}) == {"a", "b"}
    assert learned(values, {"a": [0, 1]}) == {"b"}
    assert learned(values, {"a": [0]}) == {"a", "b"}


def test_the_gain_is_that_over_the_prior_of_each_fold_with_the_interval_of_folds_that_share_images():
    found = over_folds({"a": [40.0, 41.0, 45.0]}, {})
    gain, gains = found.variants["a"].gains["accuracy"], np.array([30.0, 30.0, 33.0])
    half = stats.t.ppf(0.975, 2) * gains.std(ddof=1) * (1 / 3 + 0.5) ** 0.5
    assert (gain.n, gain.mean, found.variants["a"].n) == (3, pytest.approx(31.0), 3)
    assert gain.ends == pytest.approx((31.0 - half, 31.0 + half))
    assert found.prior.metrics["accuracy"] == pytest.approx(11.0)
    assert [run.seed for run in found.runs] == [0, 1, 2], "a run of each fold"
    assert learning_over_divisions([], FOLDS, {}, 1, 1) is None
