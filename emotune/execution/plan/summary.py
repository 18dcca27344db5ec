"""Prints the plan of a study: runs by state, reasons, estimated time, and the effects that the seeds can detect."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from emotune.analysis.architecture import contrast_options
from emotune.analysis.verdict import ALPHA
from emotune.config.resources import Resources
from emotune.config.run import DatasetRef, RunConfig, Selection
from emotune.config.seeds import look_shares
from emotune.config.study import Study
from emotune.core.sample_noun import worded
from emotune.core.terminal import print_line, print_table
from emotune.data.datasets.counts import images_in
from emotune.data.datasets.location import EMBEDDED, is_ready, manifest_of
from emotune.data.manifest import SPLITS
from emotune.execution.plan.adaptive import look_lines
from emotune.execution.plan.concurrency import concurrent_runs
from emotune.execution.plan.config_diff import reasons
from emotune.execution.plan.division_power import division_resolution
from emotune.execution.plan.plan import Durations, Estimate, Plan, estimate
from emotune.execution.plan.resolution import resolution
from emotune.runs.declarations import current_declaration, dropped_contrasts, late_declarations, read_declarations
from emotune.runs.directory import METRICS, State

__all__ = [
    "dataset_names", "is_synthetic", "print_contrasts", "print_plan", "print_reasons", "state_table", "time_line",
]  # fmt: skip

CONSEQUENCES = {
    State.FAILED: "; is tried again",
    State.DAMAGED: "; is trained again",
    State.DIVERGED: "; would diverge again",
}


def print_plan(
    console: Console,
    study: Study,
    datasets: Sequence[DatasetRef],
    plan: Plan,
    executor: str,
    from_steps: Durations = MappingProxyType({}),
) -> None:
    """Prints the runs by state, how long those to do will take, and the effects that the seeds can detect.

    Args:
        console: The console to print to.
        study: The study.
        datasets: The data sets of the study.
        plan: The plan of the study.
        executor: ``ray`` or ``local``.
        from_steps: The durations of runs that were estimated from a few steps.
    """
    console.print(f"[bold]{study.name}[/]: {escape(study.question)}", highlight=False)
    estimated = estimate(plan, from_steps)
    print_table(console, state_table(list(study.trained), study.resources, datasets, plan, estimated))
    variants = f"({len(study.variants)} variants + A/A)" if study.aa else f"{len(study.variants)} variants"
    time = time_line(plan, estimated, study.resources, executor)
    console.print(
        f"{len(plan.runs)} runs{' up to the next look' * bool(study.looks)} = {variants} × {study.seeds_text} seeds on "
        f"{dataset_names(study, datasets)}: {plan.count(State.DONE)} done, {len(plan.to_do)} to do. {time}",
        highlight=False,
    )
    if plan.looks:
        _print_looks(console, study, plan, estimated)
    for line in _late_lines(study, plan):
        print_line(console, line)
    lines = [*division_resolution(study, datasets), *_coarse_test_sets(study, datasets)]
    if undivided := {ref.name for ref in datasets if not ref.division}:
        rows = [row for row in _finished_rows(study, plan) if row["dataset"] in undivided]
        lines = [*resolution(study, rows), *lines]
    for line in lines:
        console.print(line, highlight=False)


def _late_lines(study: Study, plan: Plan) -> list[str]:
    """A line for each part of the study that is declared when results are there, and what that costs."""
    now, written = current_declaration(study, plan), read_declarations(plan.store, study.name)
    lines = [
        f"{f'{contrast.name}: ' if late.what == 'contrast' else ''}{late}, so not confirmatory."
        for contrast in now.contrasts for late in late_declarations(written, now, contrast, equivalent=True)
    ]  # fmt: skip
    lines += [f"{one.name}: left out after results were there." for one in dropped_contrasts(written, now)]
    return list(dict.fromkeys(lines))


def _print_looks(console: Console, study: Study, plan: Plan, estimated: Estimate | None) -> None:
    """Prints the planned looks of adaptive seeds, what they have resolved, and the least and the most that follows."""
    percents = [f"{100 * ALPHA * share / len(study.datasets):.3g}" for share in look_shares(study.looks)]
    looks = ", ".join(f"{count} ({percent} %)" for count, percent in zip(study.looks, percents, strict=True))
    each = " on each data set" if len(study.datasets) > 1 else ""
    lines = [f"Looks at {looks} seeds, in brackets their shares of the 5 %{each}.", *look_lines(plan)]
    least, most = len(plan.to_do), len(plan.to_do) + len(plan.later)
    if most:
        runs = f"{most} runs" if least == most else f"at least {least} runs, at most {most}"
        lines.append(f"Still to train: {runs}.{_hours_left(estimated)}")
    for line in lines:
        print_line(console, line)


def _hours_left(estimated: Estimate | None) -> str:
    """The hours of the fewest and of the most runs that follow; empty if no run has been timed."""
    if estimated is None:
        return ""
    least, most = estimated.hours, estimated.hours + estimated.later_hours
    both = _duration(most) if least == most else f"{_duration(least)} to {_duration(most)}"
    return f" That takes {both}, one run after another."


def print_contrasts(console: Console, study: Study) -> None:
    """Prints for each contrast the options in which its variants differ.

    Args:
        console: The console to print to.
        study: The study.
    """
    if study.contrasts:
        console.print("What contrasts compare:")
    for name, options in contrast_options(study).items():
        print_line(console, f"{name}: {'; '.join(options) or 'no option'}", indent=2)


def print_reasons(console: Console, plan: Plan) -> None:
    """Prints for each variant why its runs are not done, and how many runs that concerns.

    Args:
        console: The console to print to.
        plan: The plan of the study.
    """
    missing = reasons(plan)
    several = len({run.dataset.whole for run in plan.runs}) > 1
    counts: Counter[tuple[str, str]] = Counter()
    for run in plan.runs:
        if plan.statuses[run.id].state is not State.DONE:
            reason = missing.get(run.id) or _state_and_reason(plan, run)
            counts[f"{run.variant} on {run.dataset.whole}" if several else run.variant, reason] += 1
    if counts:
        console.print("Why runs are not done:")
    for (variant, reason), count in counts.items():
        print_line(console, f"{variant}, {count} {'run' if count == 1 else 'runs'}: {reason}", indent=2)


def _state_and_reason(plan: Plan, run: RunConfig) -> str:
    status = plan.statuses[run.id]
    if status.state is State.INTERRUPTED:
        lines = (plan.store.directory(run).folder.read(METRICS) or b"").splitlines()
        epoch = json.loads(lines[-1])["epoch"] if lines else 0
        return f"interrupted after epoch {epoch} of {run.train.epochs}; continues from its checkpoint"
    return f"{status.state.value}: {status.reason}{CONSEQUENCES.get(status.state, '')}"


def state_table(
    variants: Sequence[str],
    resources: Resources,
    datasets: Sequence[DatasetRef],
    plan: Plan,
    estimated: Estimate | None,
) -> Table:
    """A table of the runs by state, a row for each variant, or for each variant and data set.

    Args:
        variants: The variants.
        resources: The resources of each run.
        datasets: The data sets of the study.
        plan: The plan of the runs.
        estimated: How long the runs to do will take.
    """
    datasets = _undivided(datasets)
    several, gpus = len(datasets) > 1, resources.workers * resources.gpus_per_worker
    states = [state for state in State if plan.count(state)]
    durations = ["hours", *(["GPU-hours"] if gpus else [])] if estimated and plan.to_do else []
    table = Table("variant", *(["data set"] if several else []), *(state.value for state in states), *durations,
                  box=None, pad_edge=False)  # fmt: skip
    for variant in variants:
        for dataset in datasets:
            runs = [run for run in plan.runs if (run.variant, run.dataset.whole) == (variant, dataset.name)]
            counts = Counter(plan.statuses[run.id].state for run in runs)
            hours = sum(estimated.seconds.get(run.id, 0.0) for run in runs) / 3600 if estimated else 0.0
            table.add_row(
                variant, *([dataset.name] if several else []), *(str(counts[state] or "·") for state in states),
                *(f"{amount:.2f}" if amount else "·" for amount in [hours, hours * gpus][: len(durations)]),
            )  # fmt: skip
    return table


def dataset_names(study: Study, datasets: Sequence[DatasetRef]) -> str:
    """The names of a study's data sets, with what the reader of a plan must know about them."""
    return ", ".join(map(_name, _undivided(datasets), study.datasets))


def _undivided(datasets: Sequence[DatasetRef]) -> list[DatasetRef]:
    """The data sets with the splits of their shards, each once."""
    return list(dict.fromkeys(ref.undivided for ref in datasets))


def _name(ref: DatasetRef, selection: Selection) -> str:
    """The name of a data set, with what the reader of a plan must know about it."""
    folds = [f"{selection.folds} folds"] if selection.folds else []
    splits = [f"{selection.split_seeds} random splits"] if selection.split_seeds else []
    notes = [*(["synthetic"] if is_synthetic(ref) else []), " of ".join(folds + splits)]
    return f"{ref.name} ({', '.join(filter(None, notes))})" if any(notes) else ref.name


def is_synthetic(ref: DatasetRef) -> bool:
    """Whether the images of a data set were drawn by a program."""
    return manifest_of(ref).synthetic if is_ready(ref) else ref.location == EMBEDDED


def time_line(plan: Plan, estimated: Estimate | None, resources: Resources, executor: str) -> str:
    """A sentence on how long the runs to do will take; empty if there are none.

    Args:
        plan: The plan of the study.
        estimated: How long the runs to do will take.
        resources: The resources of each run.
        executor: ``ray`` or ``local``.
    """
    if not plan.to_do:
        return ""
    if estimated is None:
        return "Time: not known before a run has been timed; --time-steps times a few steps."
    concurrency, gpus = concurrent_runs(resources, executor), resources.workers * resources.gpus_per_worker
    gpu_hours = f" and {estimated.hours * gpus:.1f} GPU-hours" if gpus else ""
    if concurrency is None:
        line = f"About {_duration(estimated.hours)} one after another{gpu_hours}; as many at a time as fit."
    else:
        line = f"About {_duration(estimated.hours / concurrency)}{gpu_hours}, {concurrency} at a time."
    if estimated.assumed:
        line += (
            f" Not timed yet, assumed to be as slow as the slowest: {', '.join(estimated.assumed)} (--time-steps times "
            "a few steps)."
        )
    return line


def _duration(hours: float) -> str:
    return f"{hours:.1f} hours" if hours >= 2 else f"{60 * hours:.1f} minutes"


def _finished_rows(study: Study, plan: Plan) -> Sequence[Mapping[str, Any]]:
    """The finished runs with the study's metric: accuracy is in their records, others follow from predictions."""
    if study.metric.column == "accuracy" or not plan.records:
        return [dict(plan.records[run.id]) | {"variant": run.variant} for run in plan.runs if run.id in plan.records]
    from emotune.analysis.load import load_records

    rows = load_records(plan, study.metric).done().to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def _coarse_test_sets(study: Study, datasets: Sequence[DatasetRef]) -> list[str]:
    """A warning for each data set of which one test image changes the metric by more than ``min_effect``."""
    metric, lines = study.metric, []
    if metric.code or metric.scale.difference_unit != "point" or metric.name == "ece":
        return []
    divisions = Counter(ref.whole for ref in datasets)
    for ref in filter(is_ready, dict.fromkeys(ref.undivided for ref in datasets)):
        folds = next((one.division.folds for one in datasets if one.whole == ref.name and one.division), 0)
        of_fold = sum(images_in(ref, split) for split in SPLITS) / folds if folds else images_in(ref, "test")
        images = round(of_fold * divisions[ref.name])  # of all divisions together, over which the metric is averaged
        if images and metric.min_effect < 100 / images:
            lines.append(
                f"Warning: the min_effect of {metric.scale.format_amount(metric.min_effect)} is less than one of the "
                f"{images} test {worded('images')} of {ref.name}, which is {100 / images:.2g} points; set a larger "
                f"min_effect, or use more {worded('images')}."
            )
    return lines
