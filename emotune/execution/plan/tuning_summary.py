"""The stages of a study that tunes, in plans and status: the tuning, what it has chosen, and what the study costs."""

from collections.abc import Mapping
from dataclasses import replace
from statistics import fmean
from types import MappingProxyType
from typing import TypedDict

from rich.console import Console
from rich.markup import escape

from emotune.analysis.tuning import ENDED, Choice, TuningStage
from emotune.config.study import Study
from emotune.config.tuned_options import is_tuned
from emotune.config.tuning import Tuning, setting_text
from emotune.config.tuning_runs import study_rungs
from emotune.core.terminal import print_line, print_table
from emotune.core.text import listed
from emotune.execution.plan.plan import Durations, Plan, estimate
from emotune.execution.plan.resolved_study import ResolvedStudy
from emotune.execution.plan.summary import dataset_names, print_plan, state_table, time_line
from emotune.runs.directory import State, Status

__all__ = ["TuningEntry", "budget_text", "choice_lines", "print_stages", "rung_lines", "stage_line", "tuning_entry"]


class TuningEntry(TypedDict):
    """The tuning of a study, as values that JSON can hold.

    Attributes:
        stage: The stage that the study is in: *tuning*, then *study*.
        runs: The number of tuning runs.
        ended: The number of those that have ended.
        rungs: The number of settings of each variant that are trained, for how many epochs each, and how many of the
            runs have ended; without halving there is one rung.
        study_runs: The number of runs that follow; with adaptive seeds, the most of them.
        chosen: The chosen values of the options by variant and data set, and by seed if tuning is nested.
    """

    stage: str
    runs: int
    ended: int
    rungs: list[dict[str, int]]
    study_runs: int
    chosen: list[dict[str, object]]


def tuning_entry(resolved: ResolvedStudy) -> TuningEntry | None:
    """The tuning of a study; None if it tunes nothing."""
    stage = resolved.tuning
    if stage is None:
        return None
    chosen: list[dict[str, object]] = [
        {"variant": variant, "dataset": dataset, **({} if seed is None else {"seed": seed}), **dict(choice.chosen)}
        for (variant, dataset, seed), choice in stage.choices.items()
    ]
    rungs = [
        {
            "settings": rung.settings, "epochs": rung.epochs,
            "ended": sum(stage.states.statuses[run.id].state in ENDED for run in stage.of_rung(number)),
        } for number, rung in enumerate(stage.rungs)
    ]  # fmt: skip
    return {
        "stage": "study" if stage.is_over else "tuning", "runs": stage.planned, "ended": stage.ended, "rungs": rungs,
        "study_runs": len(resolved.declared), "chosen": chosen,
    }  # fmt: skip


def stage_line(resolved: ResolvedStudy) -> list[str]:
    """A line on the stage that a study is in; none if it tunes nothing."""
    entry, stage = tuning_entry(resolved), resolved.tuning
    if entry is None or stage is None:
        return []
    if entry["stage"] == "tuning":
        most = "at most " if resolved.study.looks else ""
        ended = f"{entry['ended']} of its {entry['runs']} runs have ended"
        if len(stage.rungs) > 1:
            rung = stage.rungs[stage.rung]
            ended += (
                f"; rung {stage.rung + 1} of {len(stage.rungs)}: {rung.settings} settings of each variant, "
                f"{_epochs(rung.epochs)}"
            )
        return [f"Stage 1 of 2, tuning: {ended}; then follow {most}{entry['study_runs']} runs of the study."]
    return [f"Stage 2 of 2, the study: all {entry['runs']} tuning runs have ended."]


def choice_lines(stage: TuningStage) -> list[str]:
    """A line for each variant and data set with what was chosen, and whether that lies on an edge of the search."""
    several = len({dataset for _, dataset, _ in stage.choices}) > 1
    by_place: dict[tuple[str, str], list[Choice]] = {}
    for (variant, dataset, _), choice in stage.choices.items():
        by_place.setdefault((variant, dataset), []).append(choice)
    lines = []
    for (variant, dataset), choices in by_place.items():
        texts: dict[str, int] = {}
        for choice in choices:
            edge = f" (edge of the search: {listed(choice.edges)})" if choice.edges else ""
            text = f"{setting_text(choice.chosen)}{edge}"
            texts[text] = texts.get(text, 0) + 1
        shown = "; ".join(f"{text}{f' in {count} seeds' if len(choices) > 1 else ''}" for text, count in texts.items())
        lines.append(f"  {variant}{f' on {dataset}' if several else ''}: {shown}")
    return lines


def budget_text(study: Study, tune: Tuning) -> str:
    """The runs of the tuning as a product: ``3 variants × 4 settings × 2 seeds``; of rungs ``(4 + 2) settings``."""
    variants = sum(is_tuned(tune, variant) for variant in study.variants)
    nested = f" × {study.seeds} seed{'s' * (study.seeds > 1)} of the study" if tune.nested else ""
    seeds = f"{tune.seeds} tuning seed{'s' * (tune.seeds > 1)}"
    rungs = [str(rung.settings) for rung in study_rungs(study)]
    settings = f"({' + '.join(rungs)})" if len(rungs) > 1 else rungs[0]
    return f"{variants} variant{'s' * (variants > 1)} × {settings} settings × {seeds}{nested}"


def _epochs(number: int) -> str:
    return f"{number} epoch{'s' * (number > 1)} each"


def print_stages(
    console: Console,
    resolved: ResolvedStudy,
    plan: Plan,
    executor: str,
    from_steps: Durations = MappingProxyType({}),
) -> None:
    """Prints the plan of a study; of one that tunes, the costs of tuning and of the study apart.

    Args:
        console: The console to print to.
        resolved: The study.
        plan: The plan of the stage that it is in, see `ResolvedStudy.now`.
        executor: ``ray`` or ``local``.
        from_steps: The durations of the plan's runs that were estimated from a few steps.
    """
    study, stage = resolved.study, resolved.tuning
    if resolved.auto_precision is not None:
        print_line(console, str(resolved.auto_precision))
    if stage is None:
        print_plan(console, study, resolved.datasets, plan, executor, from_steps)
        return
    if stage.is_over:
        console.print(f"Tuned: {budget_text(study, stage.tune)}, by {stage.tune.by}.", highlight=False)
        for line in choice_lines(stage):
            console.print(line, highlight=False, markup=False, soft_wrap=True)
        print_plan(console, study, resolved.datasets, plan, executor, {**_of_study(resolved, {}), **from_steps})
        return
    console.print(f"[bold]{study.name}[/]: {escape(study.question)}", highlight=False)
    current = {run.id for run in stage.of_rung(stage.rung)}  # those of earlier rungs have ended, and were shorter
    of_rung = replace(plan, runs=tuple(run for run in plan.runs if run.id in current),
                      records={one: record for one, record in plan.records.items() if one in current})  # fmt: skip
    per_epoch = _seconds_per_epoch(stage, from_steps)
    rung = stage.rungs[stage.rung]
    estimated = estimate(of_rung, {key: seconds * rung.epochs for key, seconds in per_epoch.items()})
    variants = [variant for variant in study.variants if is_tuned(stage.tune, variant)]
    print_table(console, state_table(variants, study.resources, resolved.datasets, plan, estimated))
    epochs = f", {_epochs(stage.tune.epochs)}" if stage.tune.epochs and len(stage.rungs) == 1 else ""
    time = time_line(of_rung, estimated, study.resources, executor)
    console.print(
        f"Tuning: {stage.planned} runs = {budget_text(study, stage.tune)} on "
        f"{dataset_names(study, resolved.datasets)}{epochs}: {plan.count(State.DONE)} done, "
        f"{len(plan.to_do) + stage.planned - len(plan.statuses)} to do. {time}",
        highlight=False,
    )
    for line in rung_lines(stage):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    later = Plan(
        resolved.store, resolved.declared, {run.id: Status(State.MISSING) for run in resolved.declared}, {}
    )  # as if none were done: which runs these are is not known yet
    later_time = time_line(later, estimate(later, _of_study(resolved, from_steps)), study.resources, executor)
    most = "at most " if study.looks else ""
    console.print(
        f"Then the study, with the chosen settings: {most}{len(later.runs)} runs. {later_time}", highlight=False
    )


def _of_study(resolved: ResolvedStudy, from_steps: Durations) -> Mapping[tuple[str, str], float]:
    """The seconds of a run of the study, from those of its tuning runs, which may have fewer epochs."""
    stage = resolved.tuning
    if stage is None:
        return {}
    seconds = _seconds_per_epoch(stage, from_steps if resolved.awaits_tuning else {})
    found: dict[tuple[str, str], list[float]] = {}
    for run in resolved.declared:
        base = replace(run, variant=resolved.study.baseline) if run.variant == resolved.study.aa else run
        key = (base.variant, base.dataset.whole)
        if key in seconds:
            found.setdefault((run.variant, key[1]), []).append(seconds[key] * run.train.epochs)
    return {key: fmean(values) for key, values in found.items()}


def _seconds_per_epoch(stage: TuningStage, from_steps: Durations) -> Durations:
    """The seconds of a tuning run by variant and data set, divided by its epochs; those of the last rung are best."""
    seconds: dict[tuple[str, str], float] = {}
    for number in range(stage.rung + 1):
        runs = stage.of_rung(number)
        ids = {run.id for run in runs}
        records = {one: record for one, record in stage.states.records.items() if one in ids}
        plan = Plan(stage.states.store, runs, stage.states.statuses, records)
        epochs = {(run.variant, run.dataset.whole): run.train.epochs for run in runs}
        timed = {**({} if number else from_steps), **plan.measured_durations()}
        seconds |= {key: timed[key] / epochs[key] for key in timed if key in epochs}
    return seconds


def rung_lines(stage: TuningStage) -> list[str]:
    """A line for each rung of a tuning: what is trained in it, and how much of that has ended; none for one rung."""
    if len(stage.rungs) == 1:
        return []
    lines = []
    for number, rung in enumerate(stage.rungs):
        runs = stage.of_rung(number)
        ended = sum(stage.states.statuses[run.id].state in ENDED for run in runs)
        state = f"{ended} of {len(runs)} runs have ended" if runs else "chosen when the rung before has ended"
        lines.append(f"  rung {number + 1}: {rung.settings} settings of each variant, {_epochs(rung.epochs)}: {state}")
    return lines
