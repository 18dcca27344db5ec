"""What was learned on a data set that is divided several times."""

import pandas as pd

from emotune.analysis.divided_learning import learned_over_divisions
from emotune.analysis.divisions import Repeats
from emotune.analysis.learning import Learning, RunLearning, VariantLearning
from emotune.analysis.prior import PriorPredictor

NAMES = tuple(f"d-fold{number}of3" for number in (1, 2, 3))
FOLDS = Repeats("d", "fold", NAMES, 3, 0.5)


def learned(by_variant: dict[str, list[float]], one_answer: dict[str, list[int]]) -> frozenset[str]:
    """The variants that have learned: accuracy by fold beside a prior of 10 %; folds in which a run has one answer."""
    rows = [
        {"variant": v, "dataset": name, "seed": 0, "state": "done", "accuracy": value}
        for v, values in by_variant.items() for name, value in zip(NAMES, values, strict=True)
    ]  # fmt: skip
    prior = PriorPredictor(pd.DataFrame(), "joy", {"accuracy": 10.0})
    asked = {v: VariantLearning(v, 1, {}, learned=False) for v in by_variant}
    by_division = {
        name: Learning(name, prior, ("accuracy",), asked, [
            RunLearning(v, 0, fold not in one_answer.get(v, ()), "joy" if fold in one_answer.get(v, ()) else None)
            for v in by_variant
        ])
        for fold, name in enumerate(NAMES)
    }  # fmt: skip
    return learned_over_divisions(rows, FOLDS, by_division, 1)


def test_a_variant_that_gives_one_answer_in_most_folds_has_not_learned_though_its_interval_is_above_the_prior():
    values = {"a": [40.0, 41.0, 42.0], "b": [40.5, 41.0, 41.5]}
    assert learned(values, {}) == {"a", "b"}
    assert learned(values, {"a": [0, 1]}) == {"b"}
    assert learned(values, {"a": [0]}) == {"a", "b"}
