"""Tuning in a report: the budget, the choice, verdicts that are kept open by the edge of a search, and their change."""

import shutil
from pathlib import Path

import pytest
from written_runs import write_run, write_tuning_run

from emotune import Study
from emotune.analysis.validation_curves import validation_curve
from emotune.config.ablate_command import AblateCommand
from emotune.config.metric import Metric
from emotune.config.model import AlexNetConfig, AttentionConfig
from emotune.config.train import TrainConfig
from emotune.config.tuning import Tuning
from emotune.execution.plan.resolved_study import ResolvedStudy, resolve_study
from emotune.report.build import build_report
from emotune.report.freshness import input_fingerprint
from emotune.report.phrasing import verdict_sentences
from emotune.report.results import StudyResults, compute_results
from emotune.report.tuning import tuned_sentences, tuning_table, untuned_table

TRAIN = TrainConfig(epochs=2, batch_size=24)
VARIANTS = {
    "plain": (AlexNetConfig(width=0.0625, dropout=0.0), TRAIN),
    "planted": (AlexNetConfig(width=0.0625, dropout=0.0), TrainConfig(epochs=2, batch_size=24, momentum=0.0)),
    "other": (AttentionConfig(width=0.0625, dropout=0.0), TRAIN),
}
RATES = [0.003, 0.01, 0.03, 0.1]
BEST = {"plain": 0.01, "planted": 0.03, "other": 0.1}
"""Of them the last lies on the edge."""
NOISE = [0.0, 1.0, 0.5, 1.5]


def build(data: Path, **changes) -> Study:
    tune = Tuning(**{"over": {"train.lr": RATES}, "seeds": 2, "epochs": 1} | changes)
    contrasts = ["planted - plain", "other - plain"]
    metric = Metric(min_effect=5.0)
    return Study("tuned", "Which?", str(data), "plain", VARIANTS, 4, contrasts, metric, tune=tune)


def finish(study: Study, pool: Path, *, declared: bool) -> ResolvedStudy:
    """The study with all of its runs: at its best rate each variant has 80 %, else the planted one has less."""
    resolved = resolve_study(study, pool)
    while resolved.awaits_tuning and resolved.tuning:
        for one in resolved.tuning.runs:
            right = dict(one.setting)["train.lr"] == BEST[one.place[0]]
            early = 10 * (resolved.tuning.tune.halving and one.rung == 0)
            if resolved.store.directory(one.run).record() is None:
                write_tuning_run(resolved.store, one.run, (60.0 + one.repeat if right else 50.0) - early)
        resolved = resolve_study(study, pool)
    ids = {run.id for run in resolved.runs}
    for run in (*resolved.runs, *(resolved.declared if declared else ())):
        if resolved.store.directory(run).record() is None:
            poor = run.id not in ids and run.variant == "planted"
            noise = NOISE[(run.seed * len(run.variant) + ord(run.variant[0])) % len(NOISE)]
            write_run(resolved.store, run, (40.0 if poor else 80.0) + noise)
    return resolved


def results_of(resolved: ResolvedStudy) -> StudyResults:
    return compute_results(resolved.study, resolved.plan(), tuning=resolved.tuning)


@pytest.fixture
def resolved(small_shards: Path, tmp_path: Path) -> ResolvedStudy:
    return finish(build(small_shards), tmp_path / "runs", declared=True)


def test_a_variant_that_only_needs_another_rate_is_worse_untuned_and_equivalent_tuned(resolved: ResolvedStudy):
    results = results_of(resolved)
    row, _ = untuned_table(results).rows
    assert (row.untuned.verdict, row.tuned.verdict) == ("worse", "equivalent")
    assert any("worse" in sentence and "planted - plain" in sentence for sentence in tuned_sentences(results))


def test_a_choice_on_the_edge_keeps_its_contrasts_unresolved_and_says_so(resolved: ResolvedStudy):
    results = results_of(resolved)
    first, second = results.comparisons
    assert not first.at_edge and second.at_edge == {"other": ("train.lr",)}
    assert (first.verdict, second.verdict) == ("equivalent", "unresolved"), "both have the same accuracies"
    (warning,) = [sentence for sentence in tuned_sentences(results) if sentence.startswith("Warning")]
    assert "other (train.lr)" in warning
    assert "edge" in verdict_sentences(second, results.study.metric, results.judged_on)


def test_the_table_has_the_same_budget_for_all_and_what_tuning_gained_in_validation(resolved: ResolvedStudy):
    rows = tuning_table(results_of(resolved)).rows
    assert [(row.variant, row.runs, row.chosen) for row in rows] == [
        (variant, 8, f"train.lr {rate:g}") for variant, rate in BEST.items()
    ]
    assert [row.value for row in rows] == [60.5] * 3
    assert [row.gain for row in rows] == [0.0, 10.5, 10.5], "the declared rate, 0.01, was tried, too"
    assert [row.edges for row in rows] == [(), (), ("train.lr",)]


def test_the_curve_has_each_tuning_run_and_marks_the_choice(resolved: ResolvedStudy):
    assert resolved.tuning
    points = [p for p in validation_curve(resolved.tuning, ["scenes"], "train.lr") if p.variant == "planted"]
    assert [(p.value, p.values, p.chosen) for p in points] == [
        (0.003, (50.0, 50.0), 0.0), (0.01, (50.0, 50.0), 0.0), (0.03, (60.0, 61.0), 1.0), (0.1, (50.0, 50.0), 0.0),
    ]  # fmt: skip


def test_with_halving_the_report_has_the_rungs_and_compares_after_equally_many_epochs_only(
    small_shards: Path, tmp_path: Path
):
    resolved = finish(build(small_shards, halving=True, epochs=2), tmp_path / "halved", declared=False)
    assert resolved.tuning
    points = [p for p in validation_curve(resolved.tuning, ["scenes"], "train.lr") if p.variant == "planted"]
    assert [(p.value, p.values, p.chosen, p.is_final) for p in points] == [
        (0.003, (50.0, 50.0), 0.0, True), (0.01, (40.0, 40.0), 0.0, False), (0.03, (60.0, 61.0), 1.0, True),
        (0.1, (40.0, 40.0), 0.0, False),
    ]  # fmt: skip
    results = results_of(resolved)
    rows = tuning_table(results).rows
    assert [row.runs for row in rows] == [2 * (4 + 2)] * 3
    assert [row.gain for row in rows] == [0.0, None, None], "of two variants the declared rate was left out"
    assert [row.edges for row in rows] == [(), (), ("train.lr",)]
    assert any("better 2" in sentence for sentence in tuned_sentences(results))
    command = AblateCommand(study="tuned.yaml", runs=resolved.store.url)
    page = build_report(resolved.study, resolved.plan(), tmp_path / "report", command, tuning=resolved.tuning)
    assert 'id="figure-tuning-train-lr-scenes"' in page.read_text()


def test_only_without_nesting_verdicts_are_conditional_on_the_settings(small_shards: Path, tmp_path: Path):
    scopes = []
    for nested in (False, True):
        resolved = finish(build(small_shards, nested=nested), tmp_path / str(nested), declared=False)
        results = results_of(resolved)
        assert not results.untuned, "the runs with the declared options are not there"
        scopes.append(any("conditional" in sentence for sentence in tuned_sentences(results)))
        assert [row.runs for row in tuning_table(results).rows] == [8 * (4 if nested else 1)] * 3
    assert scopes == [True, False]


def test_the_page_shows_curve_tables_and_choice_and_depends_on_them(resolved: ResolvedStudy, tmp_path: Path):
    command = AblateCommand(study="tuned.yaml", runs=resolved.store.url)
    plan = resolved.plan()
    page = build_report(resolved.study, plan, tmp_path / "report", command, tuning=resolved.tuning).read_text()
    assert (
        'id="figure-tuning-train-lr-scenes"' in page and (tmp_path / "report" / "tuning-train-lr-scenes.svg").exists()
    )
    assert "tuned, planted: train.lr 0.03" in page
    before = input_fingerprint(resolved.study, plan, str(command), tuning=resolved.tuning)
    shutil.rmtree(Path(resolved.store.url) / resolved.declared[1].id)
    assert input_fingerprint(resolved.study, plan, str(command), tuning=resolved.tuning) != before
