"""Tests of `emotune.report.caveats`, on the accuracies of a quickstart with five seeds and A/A."""

from seed_tables import analyse, compare_contrasts, rows

from emotune.config.contrast import Contrast
from emotune.config.metric import Metric
from emotune.config.model import AlexNetConfig, BackboneConfig, ModelConfig
from emotune.config.study import Study
from emotune.report.caveats import (
    aa_changes,
    aa_paragraphs,
    aa_sentence,
    dropped_sentences,
    paired_sentence,
    rounding_sentences,
)

RUNS = {
    "alexnet": [63.47, 60.46, 71.35, 60.74, 58.88],
    "aa": [64.9, 56.45, 60.89, 62.61, 55.87],
    "attention": [66.33, 64.76, 72.06, 67.19, 64.04],
    "dual": [69.2, 70.92, 73.07, 67.19, 63.47],
    "plain": [64.33, 68.77, 71.35, 67.62, 64.04],
    "mldr": [60.46, 57.02, 62.61, 61.03, 58.31],
}
CONTRASTS = [
    Contrast.parse(text) for text in ("attention - alexnet", "dual - alexnet", "dual - plain", "mldr - alexnet")
]
METRIC = Metric(min_effect=1.0)


def test_a_verdict_that_paired_tests_do_not_give_says_so():
    others = analyse(rows(**RUNS), CONTRASTS, ["d"], 5, METRIC)
    assert [str(other.comparison.verdict) for other in others] == ["unresolved", "better", "unresolved", "unresolved"]
    told = [paired_sentence(other) for other in others]
    assert [bool(text) for text in told] == [False, True, False, False]
    assert "0.060" in told[1]


def test_an_unresolved_verdict_says_where_its_own_values_alone_show_a_difference():
    agreeing = {"a": [60.0, 50.0, 70.0], "b": [64.0, 54.1, 74.0], "c": [50.0, 70.0, 61.0]}
    contrasts = [Contrast.parse("b - a"), Contrast.parse("c - a")]
    told = {str(o.comparison.contrast): o for o in analyse(rows(**agreeing), contrasts, ["d"], 3, METRIC)}
    assert [str(o.comparison.verdict) for o in told.values()] == ["unresolved", "unresolved"]
    assert str(told["b - a"].paired_verdict) == "better" and "would show" in paired_sentence(told["b - a"])
    assert paired_sentence(told["c - a"]) == ""


def test_verdicts_that_hang_on_the_runs_of_aa_are_named():
    without = {variant: values for variant, values in RUNS.items() if variant != "aa"}
    judged, alone = (compare_contrasts(rows(**runs), CONTRASTS, ["d"], 5, METRIC) for runs in (RUNS, without))
    (paragraph,) = aa_paragraphs(judged, alone, METRIC)
    assert "attention - alexnet would be better (+0.3 to +7.5)" in paragraph
    assert "dual" not in paragraph
    cards = [aa_sentence(c, alone, METRIC) for c in judged]
    assert [bool(text) for text in cards] == [True, False, False, False]
    assert "better (+0.3 to +7.5)" in cards[0]
    for others in (judged, []):
        assert not aa_paragraphs(judged, others, METRIC) and not any(aa_sentence(c, others, METRIC) for c in judged)


def test_an_aa_run_has_dropout_masks_of_its_own_only_if_its_network_drops_anything():
    def changes(model: ModelConfig) -> str:
        return aa_changes(Study("s", "Why?", "scenes", "a", {"a": model}))

    assert "dropout" in changes(AlexNetConfig(dropout=0.5))
    assert "dropout" not in changes(AlexNetConfig(dropout=0.0))
    assert "if any" in changes(BackboneConfig(backbone="torchvision:resnet18")), "its options do not say"


def test_few_repeats_are_named_by_what_repeats_and_only_where_they_are_few():
    many, few, resolved = (
        rounding_sentences(number, "folds", any_resolved=resolved)
        for number, resolved in ((5, True), (4, False), (3, True))
    )
    assert few.startswith(many) and resolved.startswith(many)
    assert rounding_sentences(3, "seeds", any_resolved=False, any_assessed=False) == many, "there is no verdict"
    assert "folds" not in many and "folds" in few and "folds" in resolved
    assert "overstated" in resolved and "overstated" not in few


def test_contrasts_that_were_left_out_are_named():
    assert dropped_sentences([]) == ""
    assert "a - b; c - d" in dropped_sentences(["a - b", "c - d"])
