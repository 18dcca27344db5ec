from emotune.analysis.statistics import compare
from emotune.report.words import answer, p_value, spread
from emotune.study import Contrast


def said(a: list[float | None], b: list[float], min_effect: float = 1.0) -> str:
    rows = [
        {"variant": variant, "dataset": "d", "seed": seed, "accuracy": accuracy}
        for variant, values in (("new", a), ("old", b))
        for seed, accuracy in enumerate(values)
        if accuracy is not None
    ]
    (comparison,) = compare(rows, [Contrast("new", "old")], ["d"], len(a), min_effect)
    return answer(comparison, min_effect, ["d"])


def test_a_difference_that_holds_is_said_with_its_numbers():
    text = said([65, 66, 67, 66.5], [60, 61.5, 62, 61])
    assert text.startswith("new is better than old. Difference +5.0 points (95 % t interval +4.4 to +5.6, 4 paired")
    assert "Holm-adjusted p < 0.001." in text


def test_a_difference_too_small_to_matter_is_said_to_be_equivalent():
    assert said([60.1, 61.0, 62.1], [60.0, 61.1, 62.0]).startswith("new and old are equivalent")


def test_what_is_not_resolved_says_how_many_seeds_it_would_take():
    text = said([65, 60, 67], [60, 62, 61], 2.0)
    assert text.startswith("new against old: unresolved.")
    assert "seeds find 2 points with 80 % power" in text
    assert "seeds" in text


def test_a_missing_seed_is_named():
    assert "not finished (see Runs): seed 1." in said([65, None, 67], [60, 62, 61])


def test_one_seed_supports_no_interval():
    assert "one seed supports no interval" in said([65], [60])
    from emotune.analysis.statistics import summarise

    assert spread(summarise([61.23])) == "61.2 (n = 1)"
    assert spread(summarise([])) == "–"


def test_p_values_have_sensible_digits():
    assert [p_value(p) for p in (0.0001, 0.0213, 0.3456)] == ["< 0.001", "= 0.021", "= 0.35"]
