"""The answer of a study: which variants it names with which verdict, the seeds and the images."""

import re
from dataclasses import replace

import pytest
from seed_tables import compare_contrasts, rows

from emotune.analysis.seeds import Comparison
from emotune.analysis.verdict import Verdict
from emotune.config.contrast import Contrast
from emotune.config.design.factors import factor_contrasts
from emotune.config.metric import Metric
from emotune.report.answer import answer
from emotune.runs.declarations import LateDeclaration

TABLE = {v: [60.0, 61.0, 62.0] for v in ("a", "b", "c", "d", "e")}
LAYOUT = {"size": {"small": ["a", "b"], "large": ["c", "d"]}, "lens": {"flat": ["a", "c"], "round": ["b", "d"]}}
INTERACTION = Contrast("interaction", {"a": 1, "b": -1, "c": -1, "d": 1})


def judged(*verdicts: Verdict, contrasts: list[Contrast] | None = None) -> list[Comparison]:
    contrasts = contrasts or [Contrast.difference(v, "e") for v in "abcd"[: len(verdicts)]]
    compared = compare_contrasts(rows(**TABLE), contrasts, ["d"], 3, Metric())
    return [replace(c, verdict=verdict) for c, verdict in zip(compared, verdicts, strict=True)]


def clauses(text: str) -> list[str]:
    return re.split(r"[;.]\s?", text)


def test_it_begins_with_images_and_seeds_and_groups_variants_by_verdict():
    (text,) = answer(judged(Verdict.BETTER, Verdict.BETTER, Verdict.WORSE, Verdict.UNRESOLVED), Metric(), {"d": [1698]})
    assert re.findall(r"[\d,]+\d|\d", text) == ["1,698", "3"], "without intervals there are no sizes"
    first, second, third, *_ = clauses(text)
    assert re.search(r"a and b .*better.* e$", first) and re.search(r"^c .*worse.* e$", second)
    assert re.search(r"d .*from e", third) and len(clauses(text)) == 4


@pytest.mark.parametrize("verdict", sorted(set(Verdict) - {Verdict.POSITIVE, Verdict.NEGATIVE}))
def test_every_verdict_of_two_variants_names_both(verdict: Verdict):
    (text,) = answer(judged(verdict), Metric(), {"d": [10]})
    assert re.search(r"\ba\b.*\be\b", text.partition(" over ")[2])


@pytest.mark.parametrize("verdict", sorted(set(Verdict) - {Verdict.BETTER, Verdict.WORSE}))
def test_every_verdict_of_an_interaction_names_it_or_its_variants(verdict: Verdict):
    (text,) = answer(judged(verdict, contrasts=[INTERACTION]), Metric(), {"d": [10]})
    assert ("a, d, b and c" if verdict is Verdict.DETERMINISTIC else "interaction") in text


def test_a_study_without_contrasts_or_runs_has_no_answer():
    assert answer([], Metric(), {"d": [10]}) == []
    assert answer(judged(Verdict.UNRESOLVED), Metric(), {}) == []
    (text,) = answer(judged(Verdict.BETTER), Metric(), {"d": [10]}, complete=False)
    assert text.startswith("So far")


def test_divided_data_say_how_many_images_each_division_tests():
    divided = [replace(c, unit="split") for c in judged(Verdict.BETTER)]
    for tested, numbers in (([78] * 3, ["231", "78", "3"]), ([77, 78, 79], ["231", "77", "79", "3"])):
        (text,) = answer(divided, Metric(), {"d": [231, *tested]})
        assert re.findall(r"\d+", text) == numbers


def test_effects_of_factors_are_told_by_factors_and_levels():
    contrasts = factor_contrasts(LAYOUT)
    (text,) = answer(judged(*[Verdict.UNRESOLVED] * 3, contrasts=contrasts), Metric(), {"d": [10]})
    assert "size (large - small) has an effect on average over lens" in text
    assert "the effect of size depends on lens" in text and "mean of" not in text
    (text,) = answer(
        judged(Verdict.BETTER, Verdict.WORSE, Verdict.POSITIVE, contrasts=contrasts), Metric(), {"d": [10]}
    )
    assert "size, averaged over lens: large is better than small" in text and "mean of" not in text


def test_a_finding_has_its_mean_and_interval():
    table = rows(a=[70.0, 71.5, 72.0], b=[60.0, 62.0, 61.0], e=[60.0, 61.0, 62.0])
    (one, other) = compare_contrasts(
        table, [Contrast.difference("a", "e"), Contrast.difference("b", "e")], ["d"], 3, Metric()
    )
    assert (one.verdict, other.verdict) == (Verdict.BETTER, Verdict.UNRESOLVED)
    (text,) = answer([one, other], Metric(), {"d": [10]})
    found, open_question = text.split(". ")
    low, high = one.summary.interval or (0, 0)
    assert re.findall(r"\+\d+\.\d", found) == [f"+{number:.1f}" for number in (one.summary.mean, low, high)]
    assert not re.search(r"\d", open_question) and "better" not in open_question


@pytest.mark.parametrize(
    ("interaction", "clause"),
    [(Verdict.UNRESOLVED, "cannot be told"), (Verdict.POSITIVE, "but"), (Verdict.EQUIVALENT, "not depend")],
)
def test_a_main_effect_is_told_with_what_is_known_of_its_interaction(interaction: Verdict, clause: str):
    verdicts = [Verdict.BETTER, Verdict.UNRESOLVED, interaction]
    (text,) = answer(judged(*verdicts, contrasts=factor_contrasts(LAYOUT)), Metric(), {"d": [10]})
    first = re.split(r"[;.]", text)[0]
    assert "large is better than small" in first and clause in first.partition("better")[2]
    assert text.count("depends on lens") + text.count("depend on lens") == 1, "not again as an open question"


def test_of_a_factor_with_three_levels_a_dependence_is_said_once():
    layout = {
        "size": {"small": ["a", "b", "e"], "large": ["c", "d", "f"]},
        "rate": {"low": ["a", "c"], "high": ["b", "d"], "top": ["e", "f"]},
    }
    contrasts = factor_contrasts(layout)
    table = TABLE | {"f": [60.0, 61.0, 62.0]}
    compared = compare_contrasts(rows(**table), contrasts, ["d"], 3, Metric())
    verdicts = [Verdict.BETTER, Verdict.UNRESOLVED, Verdict.UNRESOLVED, Verdict.UNRESOLVED, Verdict.NEGATIVE]
    compared = [replace(c, verdict=verdict) for c, verdict in zip(compared, verdicts, strict=True)]
    (text,) = answer(compared, Metric(), {"d": [10]})
    first = re.split(r"[;.]", text)[0]
    assert first.count("depends on rate") == 1 and "but" in first


@pytest.mark.parametrize("verdict", [Verdict.UNRESOLVED, Verdict.NOT_ASSESSED, Verdict.BETTER])
def test_every_late_contrast_is_named_whatever_its_verdict(verdict: Verdict):
    late = (LateDeclaration("contrast", "", "", 6, 9),)
    one, other = judged(verdict, verdict)
    (text,) = answer([replace(one, late=late), other], Metric(), {"d": [10]})
    assert "a - e" in clauses(text)[-2] and "b - e" not in clauses(text)[-2] and "6 of 9" in clauses(text)[-2]
    (text,) = answer([replace(one, late=late), replace(other, late=late)], Metric(), {"d": [10]})
    assert text.count("6 of 9") == 1 and "all" in clauses(text)[-2]
