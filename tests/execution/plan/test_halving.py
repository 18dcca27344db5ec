"""Successive halving: each variant's own settings, rung by rung, the same numbers and epochs for every variant."""

import io
import shutil
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from tuned_study import BEST, build, chosen, finish

from emotune.config.tuning import RandomSearch, Range, Tuning
from emotune.execution.plan.resolved_study import ResolvedStudy, resolve_study
from emotune.execution.plan.tuning_summary import print_stages, stage_line, tuning_entry
from emotune.runs.directory import State

HALVING = Tuning(
    over={"train.lr": [0.001, 0.003, 0.01, 0.03, 0.1]}, seeds=2, epochs=4, halving=True, untuned=("colours",)
)


def rungs_of_records(one: ResolvedStudy) -> list[ResolvedStudy]:
    """The study after each of its rungs has ended."""
    found = [one]
    while found[-1].awaits_tuning:
        found.append(finish(found[-1]))
    return found


def test_each_rung_has_the_better_half_of_each_variants_own_settings_and_all_variants_have_equal_budgets(
    small_shards: Path, tmp_path: Path
):
    resolved = resolve_study(build(small_shards, tune=HALVING), tmp_path / "runs")
    first, second, third, over = rungs_of_records(resolved)
    assert len({len(one.first_stage.runs) for one in (first, second, third)}) == 3 and over.tuning
    for number, (settings, epochs) in enumerate([(5, 1), (3, 2), (2, 4)]):
        for variant in BEST:
            runs = [run for run in over.tuning.of_rung(number) if run.variant == variant]
            assert len(runs) == 2 * settings and {run.train.epochs for run in runs} == {epochs}
    rates = {
        (number, variant): {run.train.lr for run in over.tuning.of_rung(number) if run.variant == variant}
        for number in (1, 2) for variant in BEST
    }  # fmt: skip
    assert rates[1, "plain"] == {0.001, 0.003, 0.01} and rates[1, "other"] == {0.001, 0.003, 0.03}, "equal: the smaller"
    assert rates[2, "plain"] == {0.001, 0.01} and rates[2, "other"] == {0.001, 0.03}
    assert chosen(over) == {"plain": [0.01], "other": [0.03]}
    assert not any(choice.edges for choice in over.tuning.choices.values()), "all five rates were tried"
    assert len(over.needed) == 2 * 2 * 10 + 9 and len({run.id for run in over.needed}) == len(over.needed)


def test_runs_of_a_rung_are_those_of_a_shorter_search_and_a_damaged_rung_is_trained_again(
    small_shards: Path, tmp_path: Path
):
    over = rungs_of_records(resolve_study(build(small_shards, tune=HALVING), tmp_path / "runs"))[-1]
    assert over.tuning
    short = resolve_study(build(small_shards, tune=replace(HALVING, halving=False, epochs=1)), over.store.url)
    assert not short.awaits_tuning and {run.id for run in over.tuning.of_rung(0)} == {
        one.run.id for one in short.tuning.runs
    }  # fmt: skip
    shutil.rmtree(Path(over.store.url) / over.tuning.of_rung(0)[0].id)
    again = resolve_study(over.study, over.store.url)
    assert again.awaits_tuning and [run.id for run in again.now.plan().to_do] == [over.tuning.of_rung(0)[0].id]
    assert chosen(finish(again)) == chosen(over) and not finish(again).now.plan().count(State.DONE)


def test_settings_that_diverge_leave_a_rung_first(small_shards: Path, tmp_path: Path):
    study = build(small_shards, tune=HALVING)
    resolved = resolve_study(study, tmp_path / "runs")
    second = finish(resolved, lambda one: 50.0 if dict(one.setting)["train.lr"] > 0.005 else None)
    assert second.tuning and {run.train.lr for run in second.tuning.of_rung(1)} == {0.01, 0.03, 0.1}


def test_halving_is_done_for_each_seed_if_it_is_nested_and_for_settings_that_are_drawn(
    small_shards: Path, tmp_path: Path
):
    drawn = {"train.lr": Range(0.001, 0.1, log=True)}
    tune = Tuning(
        over=drawn, search=RandomSearch(4), seeds=1, epochs=2, halving=True, nested=True, untuned=("colours",)
    )
    resolved = resolve_study(build(small_shards, tune=tune), tmp_path / "runs")
    rates = [dict(setting)["train.lr"] for setting in tune.settings]
    while resolved.awaits_tuning:
        resolved = finish(resolved, lambda one: 60.0 if dict(one.setting)["train.lr"] == rates[one.place[2]] else 50.0)
    assert chosen(resolved) == {"plain": rates[:3], "other": rates[:3]}
    assert resolved.tuning and len(resolved.tuning.runs) == 2 * 3 * (4 + 2)


def test_plan_and_status_show_the_rungs(small_shards: Path, tmp_path: Path):
    def printed(one: ResolvedStudy) -> list[str]:
        text = io.StringIO()
        print_stages(Console(file=text, width=300), one, one.now.plan(), "local")
        return text.getvalue().splitlines()

    first = resolve_study(build(small_shards, tune=HALVING), tmp_path / "runs")
    assert sum(line.startswith("  rung") for line in printed(first)) == 3
    second = finish(first)
    (line,) = [line for line in printed(second) if "Tuning:" in line]
    assert "40 runs" in line and "(5 + 3 + 2)" in line and "20 done, 20 to do" in line
    assert "4.0 minutes" in line, "12 runs, twice as long as those of the first rung, which took 10 s"
    entry = tuning_entry(second)
    assert entry and (entry["runs"], entry["ended"]) == (40, 20)
    assert [tuple(rung.values()) for rung in entry["rungs"]] == [(5, 1, 20), (3, 2, 0), (2, 4, 0)]
    assert "rung 2 of 3" in stage_line(second)[0]
    entry = tuning_entry(rungs_of_records(second)[-1])
    assert entry and [rung["ended"] for rung in entry["rungs"]] == [20, 12, 8]
