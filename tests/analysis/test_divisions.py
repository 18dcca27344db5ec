"""Over divisions of a data set seeds are averaged, and intervals are those of Nadeau and Bengio."""

import math

import numpy as np
import pytest
from scipy import stats
from seed_tables import AB

from emotune.analysis.divisions import Repeats, division_rows, estimate_on_all, judge_on_all, repeats_of
from emotune.analysis.seeds import Comparison
from emotune.analysis.sensitivity import other_analyses
from emotune.analysis.verdict import Verdict
from emotune.config.contrast import Contrast
from emotune.config.division import Division
from emotune.config.metric import Metric
from emotune.config.run import DatasetRef
from emotune.runs.directory import State

NAMES = tuple(f"d-fold{number}of5" for number in range(1, 6))
FOLDS = Repeats("d", "fold", NAMES, 5, 0.25)
A = [[60.0, 62.0], [61.0, 63.0], [58.0, 61.0], [65.0, 64.0], [59.0, 60.0]]
B = [[55.0, 56.0], [57.0, 59.0], [56.0, 55.0], [58.0, 60.0], [56.0, 57.0]]


def rows(a: list, b: list) -> list[dict]:
    """Runs by fold and seed: a number has finished, a state has not."""
    return [
        {"variant": variant, "dataset": NAMES[fold], "seed": seed, "predicted_classes_digest": f"{variant}{seed}"}
        | ({"state": value} if isinstance(value, State) else {"state": "done", "accuracy": value})
        for variant, folds in (("a", a), ("b", b))
        for fold, values in enumerate(folds)
        for seed, value in enumerate(values)
    ]


def compare(a: list, b: list) -> Comparison:
    (comparison,) = judge_on_all(rows(a, b), [AB], [FOLDS], Metric(min_effect=1.0))
    return comparison


def test_two_variants_have_the_corrected_resampled_t_interval_of_their_folds():
    c = compare(A, B)
    differences = np.mean(A, axis=1) - np.mean(B, axis=1)
    half = stats.t.ppf(0.975, 4) * differences.std(ddof=1) * math.sqrt(1 / 5 + 0.25)
    assert list(c.differences.values()) == pytest.approx(differences.tolist())
    assert c.summary.interval == pytest.approx((differences.mean() - half, differences.mean() + half))
    assert c.paired.interval == pytest.approx(c.summary.interval)
    assert (c.unit, c.summary.n, c.verdict) == ("fold", 5, Verdict.BETTER)
    t = differences.mean() / differences.std(ddof=1) / math.sqrt(1 / 5 + 0.25)
    assert c.p == pytest.approx(2 * stats.t.sf(t, 4))
    (other,) = other_analyses([c], division_rows(rows(A, B), FOLDS, "accuracy"), Metric(min_effect=1.0))
    assert (other.p, other.p_sign_flip) == (pytest.approx(c.p), None)
    assert other.paired_verdict is Verdict.BETTER


def test_in_a_fold_only_seeds_count_that_both_variants_have_finished():
    c = compare([[60.0, State.RUNNING], *A[1:]], B)
    assert c.differences[0] == pytest.approx(60.0 - 55.0)
    assert (c.missing, c.counted) == ({}, {0: [0]})
    (other,) = other_analyses([c], division_rows(rows(A, B), FOLDS, "accuracy"), Metric(min_effect=1.0))
    assert other.pooled is not None and sum(other.pooled) / 2 == pytest.approx(c.summary.mean)
    none = compare([[State.MISSING, State.MISSING], *A[1:]], B)
    assert (list(none.missing), none.summary.n) == ([0], 4)


def test_runs_that_another_variant_lacks_are_missing_in_its_own_contrasts_only():
    unfinished = [[*A[0]], [61.0, State.MISSING], *A[2:]]
    others = [row | {"variant": name} for row in rows(unfinished, []) for name in ("a-aa", "undeclared", "d")]
    contrasts, metric = [AB, Contrast.difference("d", "b")], Metric(min_effect=1.0)
    c, incomplete = judge_on_all([*rows(A, B), *others], contrasts, [FOLDS], metric)
    alone = compare(A, B)
    assert (c.differences, c.counted) == (alone.differences, {})
    assert incomplete.counted == {1: [0]} and incomplete.differences[1] == pytest.approx(61.0 - 57.0)
    aa, _ = estimate_on_all([*rows(A, B), *others], [Contrast.difference("a-aa", "a"), AB], [FOLDS], metric)
    assert aa.differences == {0: 0.0, 1: 0.0, 2: 0.0, 3: 0.0, 4: 0.0} and aa.counted == {1: [0]}


def test_a_variant_that_diverged_in_a_seed_has_diverged_in_the_fold_and_is_not_better():
    c = compare([[60.0, State.DIVERGED], *A[1:]], B)
    assert (c.diverged_alone, c.summary.n) == ({"a": [0]}, 4)
    assert c.verdict is Verdict.UNRESOLVED


def test_equal_predictions_in_every_fold_are_identical():
    table = [row | {"predicted_classes_digest": "same"} for row in rows(A, A)]
    (c,) = judge_on_all(table, [AB], [FOLDS], Metric())
    assert c.verdict is Verdict.IDENTICAL


def test_a_model_without_seeds_is_judged_over_folds():
    """Both say the same in every seed: other training images are what varies."""
    c = compare([[v[0], v[0]] for v in A], [[v[0], v[0]] for v in B])
    assert (c.verdict, c.seed_independent) == (Verdict.BETTER, False)


def test_what_repeats_follows_from_the_data_sets_and_the_overlap_from_their_images():
    plain = DatasetRef(name="p", location="p", content_hash="1")
    folds = [
        DatasetRef(name=name, location="d", content_hash="2", division=Division(folds=5, fold=number))
        for number, name in enumerate(NAMES, 1)
    ]
    random = [DatasetRef(name=f"e-split{s}", location="e", content_hash="3", division=Division(seed=s)) for s in (0, 1)]
    images = {NAMES[0]: (70, 20), NAMES[1]: (72, 20)}
    seeds, over_folds, over_splits = repeats_of([plain, *folds, *random], 3, images)
    assert seeds == Repeats("p", "seed", ("p",), 3)
    assert over_folds == Repeats("d", "fold", NAMES, 5, 40 / 142)
    assert (over_splits.unit, over_splits.number, over_splits.overlap) == ("split", 2, 0.0)  # no run has finished


def test_each_data_set_has_a_share_of_the_5_per_cent_however_many_divisions_it_has():
    table = [*rows(A, B), *(row | {"dataset": "p"} for row in rows(A[:1], B[:1]))]
    both = judge_on_all(table, [AB], [FOLDS, Repeats("p", "seed", ("p",), 2)], Metric())
    assert both[0].p == pytest.approx(2 * compare(A, B).p)
    (alone, _) = estimate_on_all(table, [AB], [FOLDS, Repeats("p", "seed", ("p",), 2)], Metric())
    assert (alone.p, alone.verdict, alone.unit) == (pytest.approx(compare(A, B).p), None, "fold")
