"""Tests of `emotune.report.caveats`, on the accuracies of a quickstart with five seeds and A/A."""

from seed_tables import analyse, compare_contrasts, rows

from emotune.config.contrast import Contrast
from emotune.config.metric import Metric
from emotune.report.caveats import aa_sentence, dropped_sentences, paired_sentence, rounding_sentences

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


def test_verdicts_that_hang_on_the_runs_of_aa_are_named():
    without = {variant: values for variant, values in RUNS.items() if variant != "aa"}
    judged, alone = (compare_contrasts(rows(**runs), CONTRASTS, ["d"], 5, METRIC) for runs in (RUNS, without))
    text = aa_sentence(judged, alone, METRIC)
    assert "attention - alexnet would be better (+0.3 to +7.5)" in text
    assert "dual" not in text
    same = aa_sentence(judged, judged, METRIC)
    assert same and "would be better" not in same
    assert aa_sentence(judged, [], METRIC) == ""


def test_few_repeats_are_named_by_what_repeats_and_only_where_they_are_few():
    many, few, resolved = (
        rounding_sentences(number, "folds", any_resolved=resolved)
        for number, resolved in ((5, True), (4, False), (3, True))
    )
    assert few.startswith(many) and resolved.startswith(many)
    assert "folds" not in many and "folds" in few and "folds" in resolved
    assert "overstated" in resolved and "overstated" not in few


def test_contrasts_that_were_left_out_are_named():
    assert dropped_sentences([]) == ""
    assert "a - b; c - d" in dropped_sentences(["a - b", "c - d"])
