"""A study with adaptive seeds as it is trained: to a look, without what is resolved, in one command or in several."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console
from written_runs import write_run

from emotune import Study
from emotune.config.model import AlexNetConfig, AttentionConfig
from emotune.config.train import TrainConfig
from emotune.execution.monitor.status import study_status
from emotune.execution.plan.adaptive import look_lines, looks_entries
from emotune.execution.plan.plan import Plan, estimate
from emotune.execution.plan.resolved_study import ResolvedStudy, resolve_study
from emotune.execution.plan.summary import print_plan
from emotune.report.looks import look_table, resolution_sentence
from emotune.report.results import compute_results
from emotune.runs.directory import RECORD, State
from emotune.runs.registered_study import NamedRun

TRAIN = TrainConfig(epochs=1, batch_size=24)
VARIANTS = {
    "plain": (AlexNetConfig(width=0.0625, dropout=0.0), TRAIN),
    "good": (AlexNetConfig(width=0.125, dropout=0.0), TRAIN),
    "other": (AttentionConfig(width=0.0625, dropout=0.0), TRAIN),
}
ACCURACIES = {"plain": 50.0, "plain-aa": 50.5, "good": 80.0, "other": 51.0}
NOISE = [0.0, 1.5, 0.5, 2.0, 1.0, 0.0, 2.5]


def build(data: Path, **changes) -> Study:
    arguments = {"name": "adaptive", "question": "Which?", "datasets": str(data), "baseline": "plain",
                 "variants": VARIANTS, "contrasts": ["good - plain", "other - plain"], "seeds": 5, "looks": (3, 5),
                 "aa": True}  # fmt: skip
    return Study(**arguments | changes)


def printed(act: Callable[[Console], object]) -> str:
    text = io.StringIO()
    act(Console(file=text, width=300))
    return text.getvalue()


def state(plan: Plan) -> tuple[int, int, int]:
    """The numbers of runs that are needed, to do, and possible later."""
    return len(plan.runs), len(plan.to_do), len(plan.later)


def finish(resolved: ResolvedStudy, plan: Plan) -> Plan:
    """Has the runs to do finished; gives the plan after it."""
    for run in plan.to_do:
        noise = NOISE[(run.seed * len(run.variant) + ord(run.variant[0])) % len(NOISE)]
        write_run(resolved.store, run, ACCURACIES[run.variant] + noise)
    return resolved.plan()


def train(resolved: ResolvedStudy) -> Plan:
    """The plan after look upon look, as `Session.run_until_done` does."""
    plan = resolved.plan()
    while plan.to_do:
        plan = finish(resolved, plan)
    return plan


@pytest.fixture
def resolved(small_shards: Path, tmp_path: Path) -> ResolvedStudy:
    return resolve_study(build(small_shards), tmp_path / "runs")


def test_a_plan_has_the_runs_of_the_next_look_and_those_that_may_follow(resolved: ResolvedStudy):
    begun = resolved.plan()
    assert state(begun) == (12, 12, 6), "the A/A runs are those of the first look"
    plan = finish(resolved, begun)
    assert state(plan) == (16, 4, 0)
    assert {run.variant for run in plan.to_do} == {"plain", "other"}
    (entry,) = looks_entries(plan)
    assert (entry["reached"], entry["next"], entry["ended"], entry["runs"]) == ([3], 5, 12, 16)
    assert (entry["resolved"], entry["open"]) == ({"good - plain": 3}, ["other - plain"])
    text = printed(lambda console: print_plan(console, resolved.study, resolved.datasets, plan, "local"))
    assert look_lines(plan)[0] in text and "3 to 5 seeds" in text
    status = study_status([NamedRun.of(run) for run in plan.runs], resolved.store)
    assert (status["runs"], status["states"]) == (16, {"done": 12, "missing": 4})


def test_the_budget_has_a_least_and_a_most(resolved: ResolvedStudy):
    begun = resolved.plan()
    timed = {(variant, resolved.datasets[0].name): 3600.0 for variant in ACCURACIES}
    estimated = estimate(begun, timed)
    assert (estimated.hours, estimated.later_hours) == (12.0, 6.0)
    text = printed(lambda console: print_plan(console, resolved.study, resolved.datasets, begun, "local", timed))
    assert all(number in text for number in ("12 runs", "18", "12.0 hours to 18.0 hours"))


def test_interrupted_elsewhere_or_beside_other_runs_the_looks_are_the_same(resolved: ResolvedStudy):
    ended = train(resolved)
    assert state(ended) == (16, 0, 0)
    more = next(run for run in resolved.runs if (run.variant, run.seed) == ("good", 3))
    write_run(resolved.store, more, 0.0)  # of another study, which would turn the verdict round
    assert resolved.plan().looks == ended.looks

    last = next(run for run in ended.runs if (run.variant, run.seed) == ("other", 4))
    resolved.store.directory(last).folder.delete(RECORD)
    waiting = resolved.plan()
    assert (waiting.looks[0].reached, waiting.to_do) == (ended.looks[0].reached[:1], (last,))
    first = next(run for run in ended.runs if (run.variant, run.seed) == ("good", 1))
    resolved.store.directory(first).fail("a bug")
    resolved.store.directory(first).folder.delete(RECORD)
    earlier = resolved.plan()
    assert (earlier.looks_reached, state(earlier)) == (0, (12, 1, 6)), "nothing of a later look counts before"
    assert (earlier.count(State.DONE), earlier.count(State.FAILED)) == (11, 1)
    assert train(resolved).looks == ended.looks


def test_a_contrast_without_a_run_that_learned_is_set_aside_wherever_looks_are_shown(
    small_shards: Path, tmp_path: Path
):
    """On eight classes, equally frequent: 12.5 % is what one answer gives."""
    study = build(small_shards, contrasts=["twin - plain", "good - plain"], aa=None,
                  variants=VARIANTS | {"twin": (AlexNetConfig(width=0.0625, dropout=0.1), TRAIN)})  # fmt: skip
    resolved = resolve_study(study, tmp_path / "runs")
    plan = resolved.plan()
    while plan.to_do:
        for run in plan.to_do:
            write_run(resolved.store, run, {"good": 90.0 + run.seed}.get(run.variant, 12.5))
        plan = resolved.plan()
    assert state(plan) == (12, 0, 0)
    (entry,) = looks_entries(plan)
    assert (entry["reached"], entry["next"], entry["open"]) == ([3], None, [])
    assert (entry["resolved"], entry["set_aside"]) == ({"good - plain": 3}, ["twin - plain"])
    (line,) = look_lines(plan)
    assert "twin - plain" in line and "1 of 2" in line
    assert line in printed(lambda console: print_plan(console, study, resolved.datasets, plan, "local"))

    results = compute_results(study, plan)
    assert results.looks == plan.looks
    assert [c.verdict for c in results.comparisons] == ["not assessed", "better"]
    assert results.learning[results.datasets[0]].learned == {"good"}
    row = look_table(results.looks, study.metric).rows[0]
    assert (row.resolved_at, [c.verdict for c in row.looks.values()]) == (None, ["not assessed"])
    assert "3 of at most 5" in resolution_sentence(results.looks[0], study.contrasts[0])
