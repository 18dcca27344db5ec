"""Adaptive seeds in a report: which seeds are shown, what the sections have, and what an incomplete look has not."""

from pathlib import Path

import pytest
from written_runs import write_run

from emotune import Study
from emotune.analysis.metric_table import contrast_weights
from emotune.analysis.power import smallest_effect
from emotune.config.model import AlexNetConfig, AttentionConfig
from emotune.config.train import TrainConfig
from emotune.execution.plan.resolved_study import ResolvedStudy, resolve_study
from emotune.report.findable_effects import findable_effects_sentences
from emotune.report.looks import look_sentences, look_table, resolution_sentence
from emotune.report.results import StudyResults, compute_results

TRAIN = TrainConfig(epochs=1, batch_size=24)
ACCURACIES = {"plain": [50, 51.5, 50.5, 52, 51], "good": [80.5, 81, 82, 80, 80], "other": [52, 50, 51, 50.5, 51]}


@pytest.fixture(scope="module")
def adaptive(small_shards: Path, tmp_path_factory: pytest.TempPathFactory) -> ResolvedStudy:
    study = Study(
        "adaptive", "Which?", str(small_shards), "plain",
        {"plain": (AlexNetConfig(width=0.0625), TRAIN), "good": (AlexNetConfig(width=0.125), TRAIN),
         "other": (AttentionConfig(width=0.0625), TRAIN)},
        seeds=5, contrasts=["good - plain", "other - plain"], looks=(3, 5),
    )  # fmt: skip
    return resolve_study(study, tmp_path_factory.mktemp("adaptive") / "runs")


def results(resolved: ResolvedStudy, seeds: int) -> StudyResults:
    """The results once all runs of so many seeds have been trained that were needed."""
    for run in resolved.plan().to_do:
        if run.seed < seeds:
            write_run(resolved.store, run, ACCURACIES[run.variant][run.seed])
    return compute_results(resolved.study, resolved.plan())


def test_looks_in_the_results_of_a_study_that_grows(adaptive: ResolvedStudy):
    begun = results(adaptive, 2)
    assert (len(begun.records.runs), len(begun.looks[0].reached)) == (9, 0)
    assert {c.summary.interval for c in begun.comparisons} == {None}
    results(adaptive, 3)
    ended = results(adaptive, 5)
    assert [c.summary.n for c in ended.comparisons] == [3, 5]
    assert [c.verdict for c in ended.comparisons] == ["better", "unresolved"]
    assert {v.variant: len(v.by_seed) for v in ended.variant_summaries(ended.datasets[0])} == {
        "plain": 5, "good": 3, "other": 5
    }  # fmt: skip
    (looks,) = ended.looks
    assert looks.is_over and sum(looks.alphas) == pytest.approx(0.05)

    table = look_table(ended.looks, ended.study.metric)
    assert [column.title for column in table.columns][2:] == ["resolved at", "3 seeds", "5 seeds"]
    good, other = ([column.cell(row) for column in table.columns] for row in table.rows)
    assert (good[2], good[4], other[2]) == ("3 seeds", "–", "–")
    assert good[3] != "–" != other[4]
    assert {"too large" in " ".join(look_sentences(looks))} == {True}
    (text,) = findable_effects_sentences(ended).values()
    spread, weights = ended.pooled_spreads[ended.datasets[0]], contrast_weights(ended.study.contrasts, list(ACCURACIES))
    found = [smallest_effect(n, 3, weights, alpha) * spread.sd for n, alpha in zip((3, 5), looks.alphas, strict=True)]
    told = [f"{found[0]:.1f} points with 3 seeds", f"{found[1]:.1f} with 5"]
    assert all(part in text for part in told) and " with 10" not in text, "each look at its own share of the 5 %"
    first, last = (resolution_sentence(looks, c.contrast) for c in ended.comparisons)
    assert "1 of 2" in first and "2 of 2" in last
