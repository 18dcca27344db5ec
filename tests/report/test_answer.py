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

TABLE = {v: [60.0, 61.0, 62.0] for v in ("a", "b", "c", "d", "e")}
INTERACTION = Contrast("interaction", {"a": 1, "b": -1, "c": -1, "d": 1})


def judged(*verdicts: Verdict, contrasts: list[Contrast] | None = None) -> list[Comparison]:
    contrasts = contrasts or [Contrast.difference(v, "e") for v in "abcd"[: len(verdicts)]]
    compared = compare_contrasts(rows(**TABLE), contrasts, ["d"], 3, Metric())
    return [replace(c, verdict=verdict) for c, verdict in zip(compared, verdicts, strict=True)]


def clauses(text: str) -> list[str]:
    return re.split(r"[;.]\s?", text)


def test_it_begins_with_images_and_seeds_and_groups_variants_by_verdict():
    (text,) = answer(judged(Verdict.BETTER, Verdict.BETTER, Verdict.WORSE, Verdict.UNRESOLVED), Metric(), {"d": 1698})
    assert re.findall(r"[\d,]+\d|\d", text) == ["1,698", "3"]
    first, second, third, *_ = clauses(text)
    assert re.search(r"a and b .*better.* e$", first) and re.search(r"^c .*worse.* e$", second)
    assert re.search(r"d .*from e", third) and len(clauses(text)) == 4


@pytest.mark.parametrize("verdict", sorted(set(Verdict) - {Verdict.POSITIVE, Verdict.NEGATIVE}))
def test_every_verdict_of_two_variants_names_both(verdict: Verdict):
    (text,) = answer(judged(verdict), Metric(), {"d": 10})
    assert re.search(r"\ba\b.*\be\b", text.partition(" over ")[2])


@pytest.mark.parametrize("verdict", sorted(set(Verdict) - {Verdict.BETTER, Verdict.WORSE}))
def test_every_verdict_of_an_interaction_names_it_or_its_variants(verdict: Verdict):
    (text,) = answer(judged(verdict, contrasts=[INTERACTION]), Metric(), {"d": 10})
    by_variants = verdict in (Verdict.NOT_ASSESSED, Verdict.DETERMINISTIC)
    assert ("a, d, b and c" if by_variants else "interaction") in text


def test_a_study_without_contrasts_or_runs_has_no_answer():
    assert answer([], Metric(), {"d": 10}) == []
    assert answer(judged(Verdict.UNRESOLVED), Metric(), {}) == []
    (text,) = answer(judged(Verdict.BETTER), Metric(), {"d": 10}, complete=False)
    assert text.startswith("So far")


def test_effects_of_factors_are_told_by_factors_and_levels():
    layout = {"size": {"small": ["a", "b"], "large": ["c", "d"]}, "lens": {"flat": ["a", "c"], "round": ["b", "d"]}}
    contrasts = factor_contrasts(layout)
    (text,) = answer(judged(*[Verdict.UNRESOLVED] * 3, contrasts=contrasts), Metric(), {"d": 10})
    assert "size large differs from small on average over lens" in text
    assert "the effect of size depends on lens" in text and "mean of" not in text
    (text,) = answer(judged(Verdict.BETTER, Verdict.WORSE, Verdict.POSITIVE, contrasts=contrasts), Metric(), {"d": 10})
    assert "size, averaged over lens: large is better than small" in text and "mean of" not in text
