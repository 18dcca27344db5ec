import math
from dataclasses import replace

import numpy as np

from emotune.analysis.power import PooledSpread
from emotune.analysis.seeds import AcrossDatasets, compare_contrasts, summarise
from emotune.config.metric import SCALES
from emotune.config.study import Contrast, Metric
from emotune.report import provenance
from emotune.report.phrasing import (
    across_datasets_sentence,
    detectable_effects_sentence,
    mean_and_interval,
    p_value,
    verdict_sentences,
)


def said(
    a: list[float | None], b: list[float], min_effect: float = 1.0, name: str = "accuracy", answers: str | None = None
) -> str:
    rows = [
        {"variant": variant, "dataset": "d", "seed": seed, "state": "done", name: value}
        | ({"predicted_classes_digest": answers[seed]} if answers else {})
        for variant, values in (("new", a), ("old", b))
        for seed, value in enumerate(values)
        if value is not None
    ]
    metric = Metric(name=name, min_effect=min_effect)
    (comparison,) = compare_contrasts(rows, [Contrast("new", "old")], ["d"], len(a), metric)
    return verdict_sentences(comparison, metric, ["d"])


def test_a_difference_that_holds_is_said_with_its_numbers():
    text = said([65, 66, 67, 66.5], [60, 61.5, 62, 61])
    assert text.startswith("new is better than old. Difference +5.0 points (95 % t interval +4.4 to +5.6, 4 paired")
    assert "Holm-adjusted p < 0.001." in text


def test_a_difference_too_small_to_matter_is_said_to_be_equivalent():
    assert said([60.1, 61.0, 62.1], [60.0, 61.1, 62.0]).startswith("new and old are equivalent")


def test_what_is_not_resolved_promises_no_number_of_seeds():
    text = said([65, 60, 67], [60, 62, 61], 2.0)
    assert text.startswith("new against old: unresolved. Difference +3.0 points (95 % t interval -7.8 to +13.8, 3 pai")
    assert "would find" not in text


def test_what_seeds_find_is_said_at_the_pooled_spread():
    text = detectable_effects_sentence(PooledSpread(3.1, 8), Metric(), 4, 4)
    assert text.startswith("At the pooled spread of 3.1 points (standard deviation of a seed difference, 8 degrees of")
    assert "3 seeds find 20.3 points, 4 find 10.7, 5 find 7.7, 10 find 4.0, 20 find 2.5, with 80 % power and" in text
    alone = detectable_effects_sentence(PooledSpread(0.02, 2), Metric(name="brier", min_effect=0.05), 2, 1)
    assert "of 0.020 (standard" in alone and "2 seeds find" in alone and "correction" not in alone


def test_a_missing_seed_is_named():
    assert "Not in it: seed 1 (new missing)." in said([65, None, 67], [60, 62, 61])


def test_one_seed_supports_no_interval():
    assert "one seed supports no interval" in said([65], [60])
    assert mean_and_interval(summarise([61.23]), Metric().scale) == "61.2 (n = 1)"
    assert mean_and_interval(summarise([]), Metric().scale) == "–"


def test_p_values_have_sensible_digits():
    assert [p_value(p) for p in (0.0001, 0.0213, 0.3456)] == ["< 0.001", "= 0.021", "= 0.35"]
    assert [p_value(p) for p in (0.0499, 0.0501, 0.05, 0.0499996)] == ["= 0.0499", "= 0.0501", "= 0.050", "= 0.0499996"]


def test_an_end_that_would_be_read_as_zero_or_as_what_matters_has_more_digits():
    metric = Metric(min_effect=1.0)
    written = [metric.format_signed(x) for x in (-0.04, 0.0004, 0.0, 1e-12, 0.96, -1.02, 1.0, 5.04)]
    assert written == ["-0.04", "+0.0004", "0.0", "0.0", "+0.96", "-1.02", "+1.0", "+5.0"]
    rng = np.random.default_rng(0)
    for x in rng.normal(0, 1, 500) * 10.0 ** rng.integers(-6, 2, 500):
        text = metric.format_signed(x)
        assert (float(text) > 0, float(text) < 0, abs(float(text)) < 1) == (x > 0, x < 0, abs(x) < 1), (x, text)
    assert f"{SCALES['accuracy'].format_signed(-0.0)}" == "0.0"


def test_an_interval_of_shares_says_where_it_was_cut():
    scale = Metric().scale
    assert (
        mean_and_interval(summarise([99.0, 97.0, 98.5], scale.bounds), scale)
        == "98.2 (95.6 to 100.0, cut at the ceiling)"
    )
    assert (
        mean_and_interval(summarise([0.0, 100.0], scale.bounds), scale)
        == "50.0 (0.0 to 100.0, cut at the floor and the ceiling)"
    )
    assert mean_and_interval(summarise([50.0, 52.0], scale.bounds), scale).endswith("63.7)")
    assert mean_and_interval(summarise([32.7] * 5), scale) == "32.7 (the same in all 5 seeds)"


def test_an_infinite_loss_is_said_to_be_infinitely_worse():
    text = said([math.inf, 1.0, 1.1], [1.0, 1.1, 1.2], 0.1, "nll")
    assert text.startswith(
        "new against old: unresolved. Difference +∞ nats (lower is better; an infinite value in some"
    )
    assert "new is infinitely worse in seed 0." in text
    assert "nan" not in text.lower()
    both = said([math.inf, 1.0], [1.0, math.inf], 0.1, "nll")
    assert "new is infinitely worse in seed 0. old is infinitely worse in seed 1." in both
    assert mean_and_interval(summarise([math.inf, 1.0]), SCALES["nll"]) == "∞ (no interval)"


def test_variants_that_know_no_seed_or_change_nothing_are_said_to():
    fixed = said([60.0] * 3, [50.0] * 3)
    assert fixed.startswith("new against old: neither depends on the seed. Difference +10.0 points (the same in all 3")
    assert "Only other images" in fixed and "p " not in fixed.replace("images", "").replace("points", "")
    same = said([60.0, 61.0, 63.0], [60.0, 61.0, 63.0], answers="xyz")
    assert same.startswith("new gives the same answers as old in every seed: the variant changes nothing.")
    assert "unresolved" not in same and "+0.0" not in same


def test_a_mean_over_data_sets_says_where_one_seed_stands_for_all():
    found = AcrossDatasets(Contrast("new", "old"), 2.0, 1.0, 3.0, 2, 2, ("photos",))
    assert "only one seed on photos" in across_datasets_sentence(found, Metric())
    assert "only one seed" not in across_datasets_sentence(replace(found, one_seed=()), Metric())


def test_a_lower_loss_is_better_and_the_difference_keeps_its_sign_and_unit():
    better = said([1.50, 1.52, 1.49], [1.71, 1.72, 1.70], 0.05, "nll")
    assert better.startswith("new is better than old. Difference -0.207 nats (lower is better; 95 % t interval -0.2")
    assert said([1.71, 1.72, 1.70], [1.50, 1.52, 1.49], 0.05, "nll").startswith(
        "new is worse than old. Difference +0.2"
    )


def test_a_score_without_unit_is_told_without_one():
    text = said([0.61, 0.70, 0.55], [0.62, 0.60, 0.61], 0.02, "brier")
    assert "Difference +0.010 (lower is better; 95 % t interval" in text
    assert "point" not in text


def test_shares_other_than_accuracy_are_told_in_points():
    assert "Difference +5.0 points (95 % t" in said([65, 66, 67], [60, 61.5, 61.5], name="macro_f1")
    assert "Difference +5.0 points (lower is better; 95 %" in said([15, 16, 17], [10, 11.5, 11.5], name="ece")


def test_a_commit_of_which_git_did_not_tell_says_why():
    known = {"commit": "c" * 40, "dirty": None, "unknown": "git is not installed"}
    assert provenance._commit(known) == "cccccccccc, whether with changes is unknown (git is not installed)"
    assert provenance._commit(known | {"commit": None}).startswith("unknown, ")
    assert provenance._commit({"commit": "c" * 40, "dirty": True}) == "cccccccccc with changes"
    assert provenance._commit(None) == ""
