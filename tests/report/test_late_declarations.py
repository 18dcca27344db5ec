"""What was declared after results were there is shown with each contrast that it concerns, and in the plan."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from written_runs import write_run

from emotune import Study
from emotune.analysis.verdict import Verdict
from emotune.api.run_study import train_and_report
from emotune.config.ablate_command import AblateCommand
from emotune.config.metric import Metric
from emotune.config.model import AlexNetConfig
from emotune.config.train import TrainConfig
from emotune.execution.plan.resolved_study import ResolvedStudy, resolve_study
from emotune.execution.plan.summary import print_plan
from emotune.report.answer import answer
from emotune.report.context import page_context
from emotune.report.contrast_table import contrast_table
from emotune.report.phrasing import verdict_in_words, verdict_sentences
from emotune.report.results import StudyResults, compute_results
from emotune.runs.declarations import declare, read_declarations

TRAIN = TrainConfig(epochs=1, batch_size=24)
ACCURACIES = {"plain": 50, "wide": 52, "tall": 80}
NOISE = {"plain": [0, 1.5, 0.5], "wide": [1, 0, 1.5], "tall": [0, 1, 2]}
WIDTHS = {"plain": 0.0625, "wide": 0.125, "tall": 0.25}


@pytest.fixture
def declared(small_shards: Path, tmp_path: Path) -> ResolvedStudy:
    """A study that declares one contrast before its first run, and whose first six runs of nine have ended."""
    variants = {name: (AlexNetConfig(width=width), TRAIN) for name, width in WIDTHS.items()}
    study = Study("late", "Which?", str(small_shards), "plain", variants, seeds=3, contrasts=["wide - plain"])
    resolved = resolve_study(study, tmp_path / "runs")
    declare(study, resolved.plan())
    for run in resolved.runs[:6]:
        write_run(resolved.store, run, ACCURACIES[run.variant] + NOISE[run.variant][run.seed])
    return resolved


def results(resolved: ResolvedStudy, **changes) -> StudyResults:
    return compute_results(*of(resolved, **changes))


def of(resolved: ResolvedStudy, **changes):
    changed = resolve_study(replace(resolved.study, source="", **changes), resolved.store.url)
    return changed.study, changed.plan()


def test_what_is_changed_after_results_is_shown(declared: ResolvedStudy):
    unchanged = results(declared)
    assert unchanged.comparisons[0].late == ()
    assert unchanged.declared_first is not None and unchanged.declared_first.ended == 0
    more = results(declared, contrasts=["wide - plain", "tall - plain"])
    first, second = more.comparisons
    assert first.late == () and "6 of 9" in verdict_in_words(second)
    (paragraph,) = answer(more.comparisons, more.study.metric, {more.datasets[0]: [200]})
    assert (second.verdict, "tall - plain" in paragraph) == (Verdict.BETTER, True)
    assert "6 of 9" in verdict_sentences(second, more.study.metric, more.datasets)
    assert contrast_table(more.other_analyses)["late"].tolist() == ["", "declared after 6 of 9 runs"]
    context = page_context(more, [], None, [], [], AblateCommand("late.yaml"))
    assert [("6 of 9" in one.text) for one in context["verdicts"]] == [False, True], "on the card that it concerns"
    late = results(declared, contrasts=["tall - plain", "tall - wide"])
    context = page_context(late, [], None, [], [], AblateCommand("late.yaml"))
    assert not any("6 of 9" in one.text for one in context["verdicts"]), "once for all contrasts"
    assert " ".join(context["answer"]).count("6 of 9") == 1
    longer = results(declared, seeds=5).comparisons[0]
    assert "3" in str(longer.late[0]) and longer.late[0].what == "seeds"
    other = results(declared, contrasts=["tall - plain"])
    assert [one.name for one in other.dropped] == ["wide - plain"]
    nll = results(declared, metric=Metric(name="nll", min_effect=0.1)).comparisons[0]
    assert [one.what for one in nll.late] == ["metric"]


def test_the_plan_says_what_is_late(declared: ResolvedStudy):
    text = io.StringIO()
    study, plan = of(declared, contrasts=["tall - plain"], seeds=5)
    print_plan(Console(file=text, width=200), study, declared.datasets, plan, "local")
    assert "tall - plain: declared after 6 of 15 runs" in text.getvalue()
    assert "wide - plain: left out" in text.getvalue()


def test_a_command_that_trains_nothing_writes_what_has_changed(declared: ResolvedStudy):
    for run in declared.plan().to_do:
        write_run(declared.store, run, 50)
    study, plan = of(declared, contrasts=["tall - plain"])
    changed = resolve_study(study, declared.store.url)
    quiet = Console(file=io.StringIO())
    train_and_report(changed, plan, [run.id for run in changed.runs], None, None, quiet, lambda: False)
    first, second = read_declarations(declared.store, "late")
    assert (first.ended, second.ended, second.runs) == (0, 9, 9)
