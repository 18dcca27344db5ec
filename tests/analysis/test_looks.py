"""Looks of adaptive seeds: which runs they take, when they are reached, and what they decide."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from seed_tables import rows

from emotune.analysis.learning import Learning, RunLearning, VariantLearning, variant_learning
from emotune.analysis.looks import DatasetLooks, looks_on, reached_looks
from emotune.analysis.prior import PriorPredictor
from emotune.analysis.verdict import Verdict
from emotune.config.contrast import Contrast
from emotune.config.metric import Metric
from emotune.runs.directory import State

PLANNED = (5, 10, 20)
STAR = [Contrast.difference(name, "base") for name in "abcd"]
METRIC = Metric(min_effect=0.5)
NOISE = np.random.default_rng(19).normal(0, 1, (5, 20))


def study(seeds: int = 20, **effects: float) -> dict[str, list[float | State]]:
    """Accuracies by variant for a star of four contrasts; variants without an effect are equal to the baseline."""
    values = NOISE[:, :seeds] + 60
    return {n: (row + effects.get(n, 0.0)).tolist() for n, row in zip(("base", *"abcd"), values, strict=True)}


def looks(table: Mapping[str, Sequence[float | State | None]], contrasts: Sequence[Contrast] = STAR) -> DatasetLooks:
    return looks_on(rows(**{name: list(values) for name, values in table.items()}), contrasts, "d", PLANNED, METRIC)


def verdicts(found: DatasetLooks) -> list[Verdict | None]:
    return [c.verdict for c in found.comparisons]


def test_quantiles_of_a_star_of_four_contrasts():
    reached = looks(study()).reached
    assert [look.seeds for look in reached] == [5, 10, 20]
    assert [look.alpha for look in reached] == pytest.approx([0.0125, 0.0125, 0.025])
    assert [look.comparisons[0].joint.df for look in reached] == [8, 13, 23]
    quantiles = [look.comparisons[0].joint.quantile for look in reached]
    assert quantiles == pytest.approx([4.001, 3.526, 2.939], abs=2e-3)


def test_a_variant_whose_contrasts_are_resolved_gets_no_more_seeds():
    found = looks(study(5, a=8.0, b=9.0))
    assert [look.seeds for look in found.reached] == [5]
    assert [found.resolved_at(c) for c in STAR] == [5, 5, None, None]
    assert found.seeds == {"base": 10, "a": 5, "b": 5, "c": 10, "d": 10}
    assert (found.following, found.is_over, found.ended) == (10, False, 25)
    assert found.most_seeds() == {"base": 20, "a": 5, "b": 5, "c": 20, "d": 20}
    chain = looks(study(5, a=8.0, b=9.0), [Contrast.difference("a", "base"), Contrast.difference("c", "d")])
    assert chain.seeds == {"base": 5, "a": 5, "b": 5, "c": 10, "d": 10}, "nobody needs more of the baseline"


def test_what_is_resolved_stays_as_it_was_whatever_comes_later():
    """Neither runs of others nor an interruption change anything."""
    first, whole = looks(study(5, a=8.0)), study(a=8.0)
    whole["a"] = whole["a"][:5] + [0.0] * 15  # runs of another study, which would turn the verdict round
    shown = rows(**whole)
    found = looks_on(shown, STAR, "d", PLANNED, METRIC)
    assert found.comparisons[0].differences == first.comparisons[0].differences
    assert (found.comparisons[0].verdict, found.resolved_at(STAR[0])) == (Verdict.BETTER, 5)
    for count in range(0, 100, 9):  # seed by seed, as a study is trained
        part = [row for row in sorted(shown, key=lambda row: row["seed"]) if row["seed"] < 5 or row["variant"] != "a"]
        partial = looks_on(part[:count], STAR, "d", PLANNED, METRIC)
        reached = [look.comparisons for look in found.reached][: len(partial.reached)]
        assert [[c.summary for c in look.comparisons] for look in partial.reached] == [
            [c.summary for c in comparisons] for comparisons in reached
        ]


def test_contrasts_are_compared_on_common_seeds():
    """One whose variant has been left out before has no more pairs, though its partner has more seeds."""
    found = looks(study(a=8.0, b=8.0), [*STAR, Contrast.difference("a", "b")])
    assert found.seeds == {"base": 20, "a": 20, "b": 20, "c": 20, "d": 20}
    assert [c.summary.n for c in found.comparisons] == [5, 5, 20, 20, 20]
    assert [[c.summary.n for c in look.comparisons] for look in found.reached] == [[5] * 5, [10] * 3, [20] * 3]


@pytest.mark.parametrize("state", [State.FAILED, State.MISSING, State.RUNNING, State.INTERRUPTED, State.DAMAGED, None])
def test_a_run_that_has_not_ended_holds_its_look_open(state: State | None):
    table = study(a=8.0)
    table["b"][7] = state
    found = looks(table)
    assert ([look.seeds for look in found.reached], found.following) == ([5], 10)
    table["b"][7], table["a"][3] = 60.0, state
    found = looks(table)
    assert (found.reached, found.following, found.ended) == ((), 5, 24)
    assert all(c.verdict is Verdict.UNRESOLVED and c.summary.interval is None for c in found.comparisons)
    assert found.comparisons[1].summary.n == 5, "the estimates are shown"


def test_divergence_is_an_outcome_and_ends_a_run():
    table = study(a=8.0)
    table["a"][2] = State.DIVERGED
    found = looks(table)
    assert found.reached[0].comparisons[0].diverged_alone == {"a": [2]}
    assert found.resolved_at(STAR[0]) is None, "a variant that diverged is never better"
    assert [look.seeds for look in found.reached] == [5, 10, 20] and found.is_over


def test_a_study_ends_when_all_is_resolved_or_at_the_last_look():
    ended = looks(study(5, a=8.0, b=9.0, c=-9.0, d=-8.0))
    assert (ended.is_over, ended.following, ended.open, ended.seeds) == (True, None, (), dict.fromkeys(ended.seeds, 5))
    assert verdicts(ended) == [Verdict.BETTER, Verdict.BETTER, Verdict.WORSE, Verdict.WORSE]
    last = looks(study(20))
    assert (last.is_over, last.following, last.ended) == (True, None, 100)
    assert len(last.open) == 4 and last.most_seeds() == last.seeds


def test_variants_without_a_contrast_and_a_a_runs_have_the_first_look_s_seeds():
    table = study(10) | {"base-aa": [60.0] * 20, "other": [50.0] * 20}
    found = looks(table)
    assert (found.seeds["base-aa"], found.seeds["other"], found.seeds["base"]) == (5, 5, 20)
    assert found.comparisons[0].joint.n == 10


def test_values_of_the_user_s_own_metric_may_still_have_to_be_computed():
    metric = Metric(code="metrics.py:recall", source="def recall(frame): return 1", min_effect=2.0)
    table = [row | {metric.column: row["accuracy"]} for row in rows(**study(5))]
    assert looks_on(table, STAR, "d", PLANNED, metric).reached
    table[3][metric.column] = math.nan
    assert not looks_on(table, STAR, "d", PLANNED, metric).reached


def test_each_data_set_has_its_share_and_its_own_looks():
    table = rows("d", **study(5, a=8.0, b=9.0, c=-9.0, d=-8.0)) + rows("e", **study(5))
    one, other = reached_looks(table, STAR, ["d", "e"], PLANNED, METRIC)
    assert (one.is_over, other.following) == (True, 10)
    assert one.reached[0].alpha == other.reached[0].alpha == pytest.approx(0.00625)
    assert one.comparisons[0].joint.quantile > 4.001


def compared_with_prior(
    table: Mapping[str, Sequence[float | State | None]], better: Mapping[str, Sequence[int]]
) -> Learning:
    """What `emotune.analysis.learning.learning` finds where these seeds' runs are better than a prior of 60."""
    runs = [RunLearning(v, s, s in better.get(v, ())) for v, values in table.items() for s in range(len(values))]
    prior = PriorPredictor(pd.DataFrame(), "joy", {"accuracy": 60.0})
    asked = {v: VariantLearning(v, 0, {}, learned=False) for v in table if not v.endswith("-aa")}
    return Learning("d", prior, ("accuracy",), asked, runs)


def assessed_looks(
    table: Mapping[str, Sequence[float | State | None]], better: Mapping[str, Sequence[int]],
    contrasts: Sequence[Contrast] = STAR, metric: Metric = METRIC,
) -> DatasetLooks:  # fmt: skip
    learning = compared_with_prior(table, better)
    return looks_on(rows(**{v: list(values) for v, values in table.items()}), contrasts, "d", PLANNED, metric, 1.0,
                    learning)  # fmt: skip


ALL = range(20)
WIDE = Metric(min_effect=20.0)
"""So wide that every contrast is equivalent."""


def test_two_variants_that_have_not_learned_are_not_resolved_and_get_no_more_seeds():
    table = study(20)
    assert looks_on(rows(**table), STAR, "d", PLANNED, WIDE).open == (), "equivalent, if it is not asked"
    found = assessed_looks(table, {}, metric=WIDE)
    assert verdicts(found) == [Verdict.NOT_ASSESSED] * 4
    assert ([look.seeds for look in found.reached], found.is_over, found.set_aside) == ([5], True, tuple(STAR))
    assert (found.open, [found.resolved_at(c) for c in STAR]) == ((), [None] * 4)


def test_one_run_that_is_better_than_the_prior_keeps_its_contrast_open():
    found = assessed_looks(study(20), {"a": [4]}, metric=WIDE)
    assert [look.seeds for look in found.reached] == [5, 10, 20] and found.is_over
    assert found.seeds == {"base": 20, "a": 20, "b": 5, "c": 5, "d": 5}
    assert (found.open, found.set_aside) == ((STAR[0],), tuple(STAR[1:]))
    late = assessed_looks(study(20), {"a": [5]}, metric=WIDE)
    assert len(late.reached) == 1, "a run after the look does not count at it"


def test_what_is_set_aside_goes_on_once_its_partner_has_learned():
    table = study(20)
    table["base"] = [value + 2 * (seed >= 5) for seed, value in enumerate(table["base"])]
    found = assessed_looks(table, {"a": ALL, "base": [7]})
    first, second, last = found.reached
    assert [c.verdict for c in first.comparisons[1:]] == [Verdict.NOT_ASSESSED] * 3
    assert [c.summary.n for c in second.comparisons] == [10, 5, 5, 5], "they are judged with the seeds that they have"
    assert [c.missing for c in second.comparisons] == [{}] * 4, "which are all that were asked for"
    assert [c.summary.n for c in last.comparisons] == [20] * 4
    assert found.learning["base"].n == 20


def test_where_variants_have_learned_all_is_as_if_nobody_had_asked():
    table = study(a=8.0) | {"base-aa": [60.0] * 20}
    table = {name: [value + 10 for value in values] for name, values in table.items()}
    asked, plain = assessed_looks(table, dict.fromkeys(table, ALL)), looks(table)
    assert (asked.reached, asked.seeds, asked.set_aside) == (plain.reached, plain.seeds, ())
    assert all(one.learned for one in asked.learning.values()) and asked.learning.keys() == {"base", *"abcd"}


def test_learning_has_the_share_of_its_look_and_stays_once_it_is_shown():
    table = {name: [60 + 2.0 * (-1) ** seed + 2.4 for seed in range(20)] for name in ("base", *"abcd")}
    table["a"] = [64.0, 65.0, 66.0, 64.5, 65.5] + [30.0] * 15
    found = assessed_looks(table, dict.fromkeys(table, ALL), [*STAR, Contrast.difference("b", "a")])
    assert found.learning["a"].learned and (found.learning["a"].n, found.learning["a"].shown_at) == (20, 5)
    first, last = found.reached[0], found.reached[-1]
    assert (first.alpha, last.alpha) == pytest.approx((0.0125, 0.025))
    intervals = [
        variant_learning(
            rows(**{v: list(values[:n]) for v, values in table.items()}), "d", n, {"accuracy": 60.0}, ["accuracy"],
            table, compared_with_prior(table, {}).runs, alpha,
        )
        for n, alpha in ((5, first.alpha), (20, last.alpha))
    ]  # fmt: skip
    assert found.learning["a"].gains == intervals[1]["a"].gains, "means and intervals are those of all seeds"
    assert intervals[0]["a"].learned and not intervals[1]["a"].learned
    assert not found.learning["b"].learned and found.learning["b"].shown_at is None


def test_a_variant_whose_runs_give_one_answer_is_not_resolved_though_it_is_above_the_prior():
    table = {name: [value + 10 for value in values] for name, values in study(a=8.0).items()}
    learning = compared_with_prior(table, dict.fromkeys(table, ALL))
    alike = replace(learning, runs=[RunLearning(r.variant, r.seed, False, "joy") for r in learning.runs])
    found = looks_on(rows(**table), STAR, "d", PLANNED, METRIC, 1.0, alike)
    assert verdicts(found) == [Verdict.NOT_ASSESSED] * 4 and found.set_aside == tuple(STAR)


def test_before_the_first_look_nothing_is_said_of_contrasts():
    found = assessed_looks(study(3), {})
    assert verdicts(found) == [Verdict.UNRESOLVED] * 4 and found.set_aside == ()
