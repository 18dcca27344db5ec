from emotune.analysis.statistics import compare
from emotune.report import reproduce
from emotune.report.words import answer, p_value, spread
from emotune.study import Contrast, Metric


def said(a: list[float | None], b: list[float], min_effect: float = 1.0, name: str = "accuracy") -> str:
    rows = [
        {"variant": variant, "dataset": "d", "seed": seed, "state": "done", name: value}
        for variant, values in (("new", a), ("old", b))
        for seed, value in enumerate(values)
        if value is not None
    ]
    metric = Metric(name=name, min_effect=min_effect)
    (comparison,) = compare(rows, [Contrast("new", "old")], ["d"], len(a), metric)
    return answer(comparison, metric, ["d"])


def test_a_difference_that_holds_is_said_with_its_numbers():
    text = said([65, 66, 67, 66.5], [60, 61.5, 62, 61])
    assert text.startswith("new is better than old. Difference +5.0 points (95 % t interval +4.4 to +5.6, 4 paired")
    assert "Holm-adjusted p < 0.001, Hedges' g +8.86." in text


def test_a_difference_too_small_to_matter_is_said_to_be_equivalent():
    assert said([60.1, 61.0, 62.1], [60.0, 61.1, 62.0]).startswith("new and old are equivalent")


def test_what_is_not_resolved_says_how_many_seeds_it_would_take():
    text = said([65, 60, 67], [60, 62, 61], 2.0)
    assert text.startswith("new against old: unresolved.")
    assert "about 37 more seeds (40 in all) would find 2 points with 80 % power" in text


def test_a_missing_seed_is_named():
    assert "Not in it: seed 1 (new missing)." in said([65, None, 67], [60, 62, 61])


def test_one_seed_supports_no_interval():
    assert "one seed supports no interval" in said([65], [60])
    from emotune.analysis.statistics import summarise

    assert spread(summarise([61.23]), Metric().scale) == "61.2 (n = 1)"
    assert spread(summarise([]), Metric().scale) == "–"


def test_p_values_have_sensible_digits():
    assert [p_value(p) for p in (0.0001, 0.0213, 0.3456)] == ["< 0.001", "= 0.021", "= 0.35"]


def test_a_lower_loss_is_better_and_the_difference_keeps_its_sign_and_unit():
    better = said([1.50, 1.52, 1.49], [1.71, 1.72, 1.70], 0.05, "nll")
    assert better.startswith("new is better than old. Difference -0.207 nats (lower is better; 95 % t interval -0.2")
    assert said([1.71, 1.72, 1.70], [1.50, 1.52, 1.49], 0.05, "nll").startswith(
        "new is worse than old. Difference +0.2"
    )


def test_a_score_without_unit_is_told_without_one():
    text = said([0.61, 0.70, 0.55], [0.62, 0.60, 0.61], 0.02, "brier")
    assert "Difference +0.010 (lower is better; 95 % t interval" in text
    assert "would find 0.02 with 80 % power" in text
    assert "point" not in text


def test_shares_other_than_accuracy_are_told_in_points():
    assert "Difference +5.0 points (95 % t" in said([65, 66, 67], [60, 61.5, 61.5], name="macro_f1")
    assert "Difference +5.0 points (lower is better; 95 %" in said([15, 16, 17], [10, 11.5, 11.5], name="ece")


def test_a_commit_of_which_git_did_not_tell_says_why():
    known = {"commit": "c" * 40, "dirty": None, "unknown": "git is not installed"}
    assert reproduce._commit(known) == "cccccccccc, whether with changes is unknown (git is not installed)"
    assert reproduce._commit(known | {"commit": None}).startswith("unknown, ")
    assert reproduce._commit({"commit": "c" * 40, "dirty": True}) == "cccccccccc with changes"
    assert reproduce._commit(None) == ""
