"""A study that tunes: the runs of each stage, what is chosen, and that the choice follows from the records."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from tuned_study import BEST, RATES, TRAIN, TUNE, VARIANTS, build, chosen, finish
from written_runs import write_run, write_tuning_run

from emotune import InputError, load_results
from emotune.config.metric import Metric
from emotune.config.train import TrainConfig
from emotune.config.tuning import Tuning
from emotune.config.tuning_runs import TuningRun
from emotune.execution.plan.config_diff import NOT_TRIED, reasons
from emotune.execution.plan.resolved_study import ResolvedStudy, resolve_study
from emotune.execution.plan.tuning_summary import print_stages, stage_line, tuning_entry
from emotune.execution.prune import find_prunable
from emotune.runs.directory import State
from emotune.runs.registry import Registry


@pytest.fixture
def resolved(small_shards: Path, tmp_path: Path) -> ResolvedStudy:
    return resolve_study(build(small_shards), tmp_path / "runs")


def test_before_all_tuning_runs_have_ended_only_these_are_to_be_trained(resolved: ResolvedStudy):
    assert resolved.awaits_tuning and resolved.runs == () and len(resolved.declared) == 9
    plan = resolved.now.plan()
    assert len(plan.to_do) == 12 and all(run.tuning and run.train.epochs == 2 for run in plan.runs)
    assert {run.variant: 6 for run in plan.runs} == {"plain": 6, "other": 6}, "the same number for every variant"
    with pytest.raises(InputError, match="0 of 12"):
        load_results(resolved.study, resolved.store.url)
    assert resolved.tuning
    for one in resolved.tuning.runs[:-1]:
        write_tuning_run(resolved.store, one.run, 50.0)
    last = resolve_study(resolved.study, resolved.store.url)
    assert last.awaits_tuning and len(last.now.plan().to_do) == 1
    last.store.directory(resolved.tuning.runs[-1].run).fail("a bug")
    failed = resolve_study(resolved.study, resolved.store.url)
    assert failed.awaits_tuning and failed.now.plan().count(State.FAILED) == 1, "a failed run holds the stage open"


def test_the_chosen_settings_give_the_runs_that_are_written_by_hand(resolved: ResolvedStudy, small_shards: Path):
    over = finish(resolved)
    assert not over.awaits_tuning and chosen(over) == {"plain": [0.01], "other": [0.03]}
    by_hand = {
        name: pair if name == "colours" else (pair[0], replace(pair[1], lr=BEST[name]))
        for name, pair in resolved.study.variants.items()
    }
    other = resolve_study(build(small_shards, variants=by_hand, tune=None), resolved.store.url)
    assert [run.id for run in over.runs] == [run.id for run in other.runs]
    assert len(over.plan().to_do) == 9 and over.now is over
    assert len(over.needed) == 21 and {run.id for run in over.needed} >= {run.id for run in over.runs}


def test_the_baselines_choice_is_that_of_its_aa_runs(small_shards: Path, tmp_path: Path):
    over = finish(resolve_study(build(small_shards, aa=True), tmp_path / "runs"))
    rates = {run.variant: run.train.lr for run in over.runs}
    assert rates == {"plain": 0.01, "other": 0.03, "plain-aa": 0.01, "colours": TrainConfig.lr}


def test_of_equal_settings_the_smaller_is_chosen_and_diverged_ones_never(resolved: ResolvedStudy):
    def value(one: TuningRun) -> float | None:
        rate = dict(one.setting)["train.lr"]
        if one.place[0] == "plain":
            return 50.0 + 0.1 * one.repeat  # the same mean for all
        return None if rate == 0.03 and one.repeat == 1 else 90.0 if rate == 0.03 else 50.0 + 100 * rate

    over = finish(resolved, value)
    assert chosen(over) == {"plain": [0.003], "other": [0.01]}
    assert over.tuning and [
        sum(None in trial.values for trial in choice.trials) for choice in over.tuning.choices.values()
    ] == [0, 1]


def test_of_equal_settings_of_which_some_are_no_numbers_the_first_is_chosen(small_shards: Path, tmp_path: Path):
    tune = Tuning(over={"train.clip_norm": [5.0, None, 0.5]}, seeds=1, epochs=2, untuned=("colours",))
    over = finish(resolve_study(build(small_shards, tune=tune), tmp_path / "runs"), lambda one: 50.0)
    assert over.tuning
    assert [choice.chosen for choice in over.tuning.choices.values()] == [(("train.clip_norm", 5.0),)] * 2


def test_the_lower_loss_is_chosen_if_losses_are_compared(small_shards: Path, tmp_path: Path):
    resolved = resolve_study(build(small_shards, tune=replace(TUNE, by="val_loss")), tmp_path / "runs")
    assert resolved.tuning
    for one in resolved.tuning.runs:
        rate = dict(one.setting)["train.lr"]
        write_tuning_run(resolved.store, one.run, 100 * rate, loss=1.0 + abs(rate - 0.01))
    assert chosen(resolve_study(resolved.study, resolved.store.url)) == {"plain": [0.01], "other": [0.01]}


@pytest.mark.parametrize(
    ("key", "values", "best", "edge"),
    [
        ("train.lr", [0.003, 0.01, 0.03], 0.01, False),
        ("train.lr", [0.003, 0.01, 0.03], 0.003, True),
        ("train.lr", [0.003, 0.01, 0.03], 0.03, True),
        ("train.lr", [1e-6, 1e-5], 1e-6, True),
        ("train.weight_decay", [1e-7, 1e-6], 1e-7, True),
        ("train.weight_decay", [0, 0.1, 0.2], 0, False),
        ("train.weight_decay", [0, 1, 2], 2, True),
        ("train.layer_decay", [0.5, 0.8, 1.0], 1.0, False),
        ("train.warmup_epochs", [0, 1], 1, True),
        ("train.batch_size", [8, 16], 8, True),
        ("train.schedule", ["cosine", "linear"], "cosine", False),
        ("train.flip", [True, False], False, False),
    ],
)
def test_a_choice_lies_on_an_edge_where_a_better_value_may_lie_beyond(
    small_shards: Path, tmp_path: Path, key: str, values: list, best: object, edge: bool
):
    tune = Tuning(over={key: values}, seeds=1, epochs=2, untuned=("colours",))
    patient = {name: (model, replace(TRAIN, patience=3)) for name, (model, _) in {k: VARIANTS[k] for k in BEST}.items()}
    study = build(small_shards, tune=tune, variants=VARIANTS | patient, metric=Metric(select="best_val"))
    over = finish(resolve_study(study, tmp_path / "runs"), lambda one: 60.0 if dict(one.setting)[key] == best else 50.0)
    assert over.tuning
    for choice in over.tuning.choices.values():
        assert dict(choice.chosen)[key] == best
        assert choice.edges == ((key,) if edge else ())


def test_a_larger_grid_needs_only_what_is_new_and_other_studies_share_the_runs(
    resolved: ResolvedStudy, small_shards: Path
):
    finish(resolved)
    larger = replace(TUNE, over={"train.lr": [*RATES, 0.1]})
    again = resolve_study(build(small_shards, name="another", tune=larger), resolved.store.url)
    plan = again.now.plan()
    assert (len(plan.runs), len(plan.to_do)) == (16, 4) and {run.train.lr for run in plan.to_do} == {0.1}
    assert set(reasons(plan).values()) == {NOT_TRIED}
    assert finish(again).tuning


def test_nested_tuning_chooses_for_each_seed_by_runs_of_its_own(small_shards: Path, tmp_path: Path):
    resolved = resolve_study(build(small_shards, tune=replace(TUNE, nested=True)), tmp_path / "runs")
    assert resolved.tuning
    ids = [one.run.id for one in resolved.tuning.runs]
    assert len(set(ids)) == len(ids) == 2 * 3 * 2 * 3
    over = finish(resolved, lambda one: 60.0 if dict(one.setting)["train.lr"] == RATES[one.place[2] or 0] else 50.0)
    assert chosen(over) == {"plain": RATES, "other": RATES}
    assert [run.train.lr for run in over.runs if run.variant == "plain"] == RATES


def test_plan_and_status_show_both_stages_and_their_costs(resolved: ResolvedStudy):
    def printed(one: ResolvedStudy) -> str:
        text = io.StringIO()
        print_stages(Console(file=text, width=300), one, one.now.plan(), "local")
        return text.getvalue()

    assert "12 runs" in printed(resolved) and "9 runs" in printed(resolved)
    assert resolved.tuning
    write_tuning_run(resolved.store, resolved.tuning.runs[0].run, 50.0)
    begun = resolve_study(resolved.study, resolved.store.url)
    lines = printed(begun).splitlines()
    (first,), (second,) = ([line for line in lines if word in line] for word in ("Tuning:", "Then the study"))
    assert "1.8 minutes" in first, "11 runs of 10 s"
    assert "3.0 minutes" in second, "9 runs, twice as long"
    assert stage_line(begun)[0].count("12") == 1
    entry = tuning_entry(begun)
    assert entry and (entry["stage"], entry["runs"], entry["ended"], entry["study_runs"]) == ("tuning", 12, 1, 9)
    over = finish(begun)
    entry = tuning_entry(over)
    assert entry and entry["stage"] == "study"
    assert entry["chosen"][0] == {"variant": "plain", "dataset": "scenes", "train.lr": 0.01}
    assert "train.lr 0.03" in printed(over) and "edge" in printed(over)


def test_looks_follow_after_the_tuning(small_shards: Path, tmp_path: Path):
    study = build(small_shards, seeds=5, looks=(3, 5))
    resolved = resolve_study(study, tmp_path / "runs")
    assert len(resolved.now.plan().to_do) == 12
    over = finish(resolved)
    plan = over.plan()
    assert (len(plan.runs), len(plan.later)) == (9, 4)
    for run in plan.to_do:
        write_run(over.store, run, {"plain": 50.0, "other": 80.0}.get(run.variant, 30.0) + run.seed)
    assert over.plan().looks_reached == 1


def test_prune_keeps_tuning_runs_before_and_after_the_choice(resolved: ResolvedStudy):
    over = finish(resolved)
    assert resolved.tuning
    registry = Registry(resolved.store)
    registry.register(resolved.study, resolved.now.needed)
    assert not find_prunable(resolved.store).runs
    registry.register(over.study, over.needed)
    assert not find_prunable(resolved.store, [(over.study, over.needed)]).runs
    assert len(find_prunable(resolved.store, [(over.study, over.runs)], registry.names()).runs) == 12
