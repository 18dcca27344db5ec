"""The sentences of the verdicts: their numbers, units and signs. Their wording is pinned in golden/report.md alone."""

import math
import re

import numpy as np
import pytest
from seed_tables import AB, analyse, compare_contrasts, rows

from emotune.analysis.seeds import Summary, summarise
from emotune.config.contrast import Contrast
from emotune.config.metric import SCALES, Metric
from emotune.config.metric_scales import ALL_SCALES
from emotune.report import phrasing, provenance
from emotune.report.phrasing import (
    agreement_sentence,
    mean_and_interval,
    p_value,
    verdict_in_words,
    verdict_sentences,
)
from emotune.report.verdict_headlines import VERDICT_TEMPLATES
from emotune.runs.directory import State


def sentences(
    a: list[float | State | None], b: list[float], min_effect: float = 1.0, name: str = "accuracy",
    digests: str | None = None, suffix: str = "",
) -> str:  # fmt: skip
    table = [
        {"variant": variant, "dataset": "d", "seed": seed}
        | ({"state": value, name: math.nan} if isinstance(value, State) else {"state": "done", name: value})
        | ({"predicted_classes_digest": digests[seed]} if digests else {})
        for variant, values in (("new", a), ("old", b))
        for seed, value in enumerate(values)
        if value is not None
    ]
    metric = Metric(name=name, min_effect=min_effect)
    (comparison,) = compare_contrasts(table, [Contrast.difference("new", "old")], ["d"], len(a), metric)
    text = verdict_sentences(comparison, metric, ["d"])
    headline = VERDICT_TEMPLATES[comparison.verdict].format(
        variant="new", reference="old", margin=metric.scale.format_amount(min_effect), unit="seed"
    )
    assert text.startswith(f"{headline}{suffix}. ")
    assert verdict_in_words(comparison) == f"{comparison.verdict}{suffix}"
    return f"{comparison.verdict}: {text.removeprefix(headline)}"


def numbers(text: str) -> list[str]:
    return re.findall(r"[+−-]?\d+(?:\.\d+)?", text)


def test_a_better_variant_is_stated_with_its_numbers():
    text = sentences([65, 66, 67, 66.5], [60, 61.5, 62, 61])
    assert text.startswith("better: ")
    assert numbers(text) == ["+5.0", "95", "+4.4", "+5.6", "4", "0.001"]
    assert "points" in text and "p < 0.001" in text and "joint" in text


def test_an_equivalent_contrast_may_be_not_zero():
    text = sentences([60.1, 61.0, 62.1, 60.0], [60.0, 61.1, 62.0, 60.05])
    assert text.startswith("equivalent: ") and numbers(text)[:2] == ["+0.01", "95"]
    text = sentences([60.50, 61.51, 62.50, 60.52], [60.0, 61.0, 62.0, 60.0], suffix=", and not zero")
    assert text.startswith("equivalent: ")


def test_an_unresolved_contrast_is_stated_with_its_numbers():
    text = sentences([65, 60, 67], [60, 62, 61], 2.0)
    assert text.startswith("unresolved: ")
    assert numbers(text)[:5] == ["+3.0", "95", "−7.8", "+13.8", "3"]


def test_agreement_counts_the_verdicts_that_other_analyses_share():
    table = rows(a=[70.90, 66.95, 63.90], b=[68.2, 64.3, 61.2], c=[69.5, 66.3, 65.9], e=[62.2, 57.0, 64.7])
    contrasts = [AB, Contrast.difference("c", "b"), Contrast.difference("e", "b")]
    assert numbers(agreement_sentence(analyse(table, contrasts, ["d"], 3, Metric())))[:2] == ["2", "3"]
    assert agreement_sentence([]) == ""


def test_a_missing_seed_is_named_with_the_reason():
    assert "1 (new missing)" in sentences([65, None, 67], [60, 62, 61])


def test_divergence_is_the_reason_why_a_variant_is_not_called_better():
    text = sentences([65.0, 66.0, 67.0, State.DIVERGED], [50.0, 51.1, 52.0, 51.0])
    assert text.startswith("unresolved: ")
    assert len(re.findall(r"new diverged", text)) == 2, "as the reason and among the excluded seeds"


def test_a_run_without_a_value_is_such_a_reason_too():
    text = sentences([0.65, 0.66, 0.67, math.nan], [0.50, 0.511, 0.52, 0.51], 0.01, "pearson")
    assert text.startswith("unresolved: ") and len(re.findall(r"new has no", text)) == 2


def test_two_seeds_of_two_variants_are_the_reason_for_no_verdict():
    text = sentences([60.0, 60.01], [50.0, 50.0])
    assert text.startswith("unresolved: ") and "Two seeds" in text


def test_one_seed_has_no_interval():
    assert numbers(sentences([65], [60])) == ["+5.0"]
    assert mean_and_interval(summarise([61.23]), Metric().scale) == "61.2 (n = 1)"
    assert mean_and_interval(summarise([]), Metric().scale) == "–"


def test_p_values_have_sensible_digits():
    assert [p_value(p) for p in (0.0001, 0.0213, 0.3456)] == ["< 0.001", "= 0.021", "= 0.35"]
    assert [p_value(p) for p in (0.0499, 0.0501, 0.05, 0.0499996)] == ["= 0.0499", "= 0.0501", "= 0.050", "= 0.0499996"]


def test_a_number_gets_more_digits_where_it_would_read_as_zero_or_as_the_smallest_effect():
    metric = Metric(min_effect=1.0)
    written = [metric.format_signed(x) for x in (-0.04, 0.0004, 0.0, 1e-12, 0.96, -1.02, 1.0, 5.04)]
    assert written == ["−0.04", "+0.0004", "0.0", "0.0", "+0.96", "−1.02", "+1.0", "+5.0"]
    rng = np.random.default_rng(0)
    for x in rng.normal(0, 1, 500) * 10.0 ** rng.integers(-6, 2, 500):
        text = metric.format_signed(x).replace("−", "-")
        assert (float(text) > 0, float(text) < 0, abs(float(text)) < 1) == (x > 0, x < 0, abs(x) < 1), (x, text)
    assert f"{SCALES['accuracy'].format_signed(-0.0)}" == "0.0"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([99.0, 97.0, 98.5], ["98.2", "95.6", "100.0", "100.0"]),
        ([0.0, 100.0], ["50.0", "0.0", "100.0", "0.0", "100.0"]),
        ([50.0, 52.0], ["51.0", "38.3", "63.7"]),
        ([32.7] * 5, ["32.7", "5"]),
    ],
    ids=["at the upper bound", "at both bounds", "inside", "all equal"],
)
def test_an_interval_names_the_bounds_at_which_it_is_truncated(values: list[float], expected: list[str]):
    scale = Metric().scale
    assert numbers(mean_and_interval(summarise(values, scale.bounds), scale)) == expected


def test_an_infinite_loss_is_named_with_its_seed():
    text = sentences([math.inf, 1.0, 1.1], [1.0, 1.1, 1.2], 0.1, "nll")
    assert text.startswith("unresolved: ")
    assert "+∞ nats" in text and "lower" in text
    assert re.search(r"\bnew\b[a-z ]*\b0\.", text)
    assert "nan" not in text.lower()
    both = sentences([math.inf, 1.0], [1.0, math.inf], 0.1, "nll")
    assert re.search(r"\bnew\b[a-z ]*\b0\. old\b[a-z ]*\b1\.", both)
    assert mean_and_interval(summarise([math.inf, 1.0]), SCALES["nll"]) == "∞ (no interval)"


def test_variants_that_do_not_depend_on_the_seed_or_change_nothing():
    fixed = sentences([60.0] * 3, [50.0] * 3)
    assert fixed.startswith("deterministic: ")
    assert numbers(fixed) == ["+10.0", "3"]
    identical = sentences([60.0, 61.0, 63.0], [60.0, 61.0, 63.0], digests="xyz")
    assert identical.startswith("identical: ")
    assert "+0.0" not in identical


def test_a_lower_loss_is_better_and_the_difference_keeps_its_sign_and_unit():
    better = sentences([1.50, 1.52, 1.49], [1.71, 1.72, 1.70], 0.05, "nll")
    assert better.startswith("better: ")
    assert numbers(better)[:2] == ["−0.207", "95"] and numbers(better)[2].startswith("−0.2")
    assert "−0.207 nats" in better and "lower" in better
    worse = sentences([1.71, 1.72, 1.70], [1.50, 1.52, 1.49], 0.05, "nll")
    assert worse.startswith("worse: ")
    assert numbers(worse)[0] == "+0.207"


def test_a_score_without_a_unit_is_stated_without_one():
    text = sentences([0.61, 0.70, 0.55], [0.62, 0.60, 0.61], 0.02, "brier")
    assert numbers(text)[:2] == ["+0.010", "95"] and "lower" in text
    assert "point" not in text


def test_shares_other_than_accuracy_are_stated_in_points():
    f1 = sentences([65, 66, 67], [60, 61.5, 61.5], name="macro_f1")
    error = sentences([15, 16, 17], [10, 11.5, 11.5], name="ece")
    assert "+5.0 points" in f1 and "+5.0 points" in error
    assert ("lower" in f1, "lower" in error) == (False, True)


def test_a_commit_with_unknown_changes_states_the_reason():
    git = {"commit": "c" * 40, "dirty": None, "unknown": "git is not installed"}
    assert provenance._commit(git).startswith("cccccccccc, ")
    assert provenance._commit(git).endswith("(git is not installed)")
    assert provenance._commit(git | {"commit": None}).startswith("unknown, ")
    assert provenance._commit({"commit": "c" * 40, "dirty": True}).startswith("cccccccccc with ")
    assert provenance._commit({"commit": "c" * 40, "dirty": False}) == "cccccccccc"
    assert provenance._commit(None) == ""


def test_initial_weights_and_computation_are_in_words():
    names = [f"layer{number}.weight" for number in range(245)]
    normalisation = {"mean": [0.5, 0.25, 0.5], "std": [0.1, 0.2, 0.3]}
    given = {"location": "w.pt", "digest": "0a1b", "layout": "state_dict", "loaded": names, "new": ["head.weight"]}
    assert provenance._initialisation_text(given | {"normalisation": normalisation}) == (
        "weights from w.pt (sha256 0a1b, format state_dict), loaded: 245 parameters (layer0.weight to "
        "layer244.weight), drawn at random: head.weight; normalisation of red, green and blue: minus 0.5, 0.25, 0.5, "
        "divided by 0.1, 0.2, 0.3"
    )
    assert provenance._initialisation_text({"normalisation": normalisation}).startswith("weights drawn at random; ")
    assert provenance._initialisation_text({}) == provenance._numerics_text({}) == ""
    plain = {"precision": "float32", "tf32": False, "autocast": None, "deterministic": False, "compiled": False}
    more = plain | {"precision": "bf16", "autocast": "bfloat16", "compiled": True, "accumulate": 4}
    assert provenance._numerics_text([plain, more]) == (
        "precision float32 and then precision bf16, mixed with bfloat16, compiled steps, each worker's share of a "
        "batch in 4 pieces"
    )


def test_a_star_stands_for_the_bound_that_cuts_an_interval():
    cut, whole = Summary(3, 15.8, 7.5, 0.0, 34.4), Summary(3, 16.2, 3.0, 8.7, 23.7)
    assert phrasing.mean_and_interval(cut, SCALES["accuracy"], briefly=True) == "15.8 (0.0 to 34.4*)"
    assert phrasing.mean_and_interval(cut, SCALES["accuracy"]) == "15.8 (0.0 to 34.4, truncated at 0.0)"
    assert phrasing.mean_and_interval(whole, SCALES["accuracy"], briefly=True) == "16.2 (8.7 to 23.7)"


@pytest.mark.parametrize(("name", "words"), [
    ("accuracy", "highest validation accuracy"), ("macro_f1", "highest validation accuracy"),
    ("ccc", "highest validation CCC"), ("kl", f"lowest validation {ALL_SCALES['kl'].title}"),
    ("cosine", f"highest validation {ALL_SCALES['cosine'].title}"),
    ("rmse", f"lowest validation {ALL_SCALES['rmse'].title}"),
])  # fmt: skip
def test_the_rule_of_the_best_epoch_names_what_it_is_best_by_and_the_direction(name: str, words: str):
    assert words in phrasing.selection_rule(Metric(name=name, min_effect=0.5, select="best_val"))
    assert "last epoch" in phrasing.selection_rule(Metric(name=name, min_effect=0.5))
