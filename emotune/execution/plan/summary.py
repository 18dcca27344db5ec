"""What a plan says to those who decide on it: runs by state, why they are to do, time, and what the seeds can show."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from emotune.analysis.power import ALPHA, pooled_spread, seeds_for, smallest_effect
from emotune.config.resources import Resources
from emotune.config.run import DatasetRef, RunConfig
from emotune.config.study import Study
from emotune.data.datasets.location import EMBEDDED, is_ready, manifest_of
from emotune.execution.plan.concurrency import concurrent_runs
from emotune.execution.plan.config_diff import reasons
from emotune.execution.plan.plan import Estimate, Plan, estimate
from emotune.runs.directory import METRICS, RunDirectory, State

__all__ = ["is_synthetic", "print_plan", "print_reasons", "resolution", "time_line"]

Probed = Mapping[tuple[str, str], float]


def print_plan(
    console: Console,
    study: Study,
    datasets: Sequence[DatasetRef],
    plan: Plan,
    pool: str,
    executor: str,
    probed_s: Probed = MappingProxyType({}),
) -> None:
    """Prints the runs by state, how long those to do will take, and the effects that the seeds can show.

    Args:
        console: Where to.
        study: The study.
        datasets: That it names.
        plan: Its runs.
        pool: Where their directories are.
        executor: ``ray`` or ``local``.
        probed_s: Seconds of a run by variant and data set, where a few steps were tried.
    """
    console.print(f"[bold]{study.name}[/]: {escape(study.question)}", highlight=False)
    guess = estimate(plan, probed_s)
    console.print(_table(study, datasets, plan, guess))
    variants = f"({len(study.variants)} variants + A/A)" if study.aa else f"{len(study.variants)} variants"
    names = ", ".join(ref.name + (" (synthetic)" if is_synthetic(ref) else "") for ref in datasets)
    console.print(
        f"{len(plan.runs)} runs = {variants} × {study.seeds} seeds on {names}: "
        f"{plan.count(State.DONE)} done, {len(plan.to_do)} to do. {time_line(plan, guess, study.resources, executor)}",
        highlight=False,
    )
    for line in [*resolution(study, _measured(study, plan, pool)), *_less_than_an_image(study, datasets)]:
        console.print(line, highlight=False)


def print_reasons(console: Console, plan: Plan, pool: str) -> None:
    """Prints per variant why its runs are not done, and how many runs that concerns."""
    missing = reasons(plan, pool)
    several = len({run.dataset.name for run in plan.runs}) > 1
    found: Counter[tuple[str, str]] = Counter()
    for run in plan.runs:
        status = plan.statuses[run.id]
        if status.state is not State.DONE:
            why = missing.get(run.id) or _standing(plan, run, pool)
            found[f"{run.variant} on {run.dataset.name}" if several else run.variant, why] += 1
    if found:
        console.print("Why runs are not done:")
    for (where, why), count in found.items():
        console.print(f"  {where}, {count} {'run' if count == 1 else 'runs'}: {escape(why)}", highlight=False)


def _standing(plan: Plan, run: RunConfig, pool: str) -> str:
    status = plan.statuses[run.id]
    if status.state is State.INTERRUPTED:
        lines = (RunDirectory(pool, run).folder.read(METRICS) or b"").splitlines()
        epoch = json.loads(lines[-1])["epoch"] if lines else 0
        return f"interrupted after epoch {epoch} of {run.train.epochs}; goes on from its checkpoint"
    after = {
        State.FAILED: "; is tried again",
        State.DAMAGED: "; is trained again",
        State.DIVERGED: "; would do so again",
    }.get(status.state, "")
    return f"{status.state.value}: {status.reason}{after}"


def _table(study: Study, datasets: Sequence[DatasetRef], plan: Plan, guess: Estimate | None) -> Table:
    """A row per variant, and data set if there are several."""
    several, gpus = len(datasets) > 1, study.resources.workers * study.resources.gpus_per_worker
    states = [state for state in State if plan.count(state)]
    timed = [*(["hours"] if guess and plan.to_do else []), *(["GPU-hours"] if guess and plan.to_do and gpus else [])]
    table = Table("variant", *(["data set"] if several else []), *(s.value for s in states), *timed,
                  box=None, pad_edge=False)  # fmt: skip
    for variant in study.trained:
        for dataset in datasets:
            mine = [run for run in plan.runs if (run.variant, run.dataset.name) == (variant, dataset.name)]
            counts = Counter(plan.statuses[run.id].state for run in mine)
            hours = sum(guess.seconds.get(run.id, 0.0) for run in mine) / 3600 if guess else 0.0
            table.add_row(
                variant, *([dataset.name] if several else []), *(str(counts[state] or "·") for state in states),
                *(f"{amount:.2f}" if amount else "·" for amount in [hours, hours * gpus][: len(timed)]),
            )  # fmt: skip
    return table


def is_synthetic(ref: DatasetRef) -> bool:
    """Whether a program drew the images."""
    return manifest_of(ref).synthetic if is_ready(ref) else ref.location == EMBEDDED


def time_line(plan: Plan, guess: Estimate | None, resources: Resources, executor: str) -> str:
    """How long the runs to do will take, in a sentence."""
    if not plan.to_do:
        return ""
    if guess is None:
        return "Time: known once one run has been timed, or from a few steps (--time-steps)."
    concurrency, gpus = concurrent_runs(resources, executor), resources.workers * resources.gpus_per_worker
    spent = f" and {guess.hours * gpus:.1f} GPU-hours" if gpus else ""
    if concurrency is None:
        line = f"About {_duration(guess.hours)} one after another{spent}; as many at a time as fit."
    else:
        line = f"About {_duration(guess.hours / concurrency)}{spent}, {concurrency} at a time."
    if guess.assumed:
        line += f" Not timed yet, taken for the slowest: {', '.join(guess.assumed)} (--time-steps times a few steps)."
    return line


def _duration(hours: float) -> str:
    return f"{hours:.1f} hours" if hours >= 2 else f"{60 * hours:.1f} minutes"


def _measured(study: Study, plan: Plan, pool: str) -> Sequence[Mapping[str, Any]]:
    """The finished runs with the study's metric. Accuracy stands in their records; others are in the predictions."""
    if study.metric.name == "accuracy" or not plan.records:
        records = {record["run"]: record for record in plan.records}  # of which two variants may share one
        return [dict(records[run.id]) | {"variant": run.variant} for run in plan.runs if run.id in records]
    from emotune.analysis.load import load_records

    return load_records(plan.runs, pool).done().to_dict("records")


def _less_than_an_image(study: Study, datasets: Sequence[DatasetRef]) -> list[str]:
    """A warning for each data set of which one test image changes the metric by more than ``min_effect``."""
    metric, lines = study.metric, []
    if metric.scale.difference_unit != "point" or metric.name == "ece":
        return []
    for ref in filter(is_ready, datasets):
        manifest = manifest_of(ref)
        images = sum(manifest.count("test", label, ref.part) for label in manifest.classes)
        if images and metric.min_effect < 100 / images:
            lines.append(
                f"Warning: the min_effect of {metric.scale.format_amount(metric.min_effect)} is less than one of the "
                f"{images} test images of {ref.name}, which is {100 / images:.2g} points; take a "
                "larger one, or more images."
            )
    return lines


def resolution(study: Study, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What effects the study's seeds can show, and whether ``min_effect`` is one of them.

    Args:
        study: With its contrasts, seeds and metric.
        rows: Its finished runs with ``variant``, ``dataset``, ``seed`` and the metric.
    """
    tests = len(study.contrasts) * len(study.datasets)
    level, metric = ALPHA / max(1, tests), study.metric
    in_sd = smallest_effect(study.seeds, level)
    if in_sd is None:
        return ["One seed shows no interval and supports no verdict: give two or more (--seeds)."]
    corrected = f" and correction for {tests} contrasts" if tests > 1 else ""
    head = (
        f"{study.seeds} seeds find, with 80 % power{corrected}, effects from {in_sd:.1f} × the sd of the seed "
        "differences up"
    )
    datasets = dict.fromkeys(row["dataset"] for row in rows)
    spreads = [spread for dataset in datasets if (spread := pooled_spread(rows, dataset, metric.name))]
    if not spreads:
        return [f"{head}; the sd is not known before runs are done."]
    widest, scale = max(spreads, key=lambda spread: spread.sd), metric.scale

    def said(number: float) -> str:
        return f"{scale.format(number)} {scale.difference_units}".rstrip()

    smallest, wanted = in_sd * widest.sd, scale.format_amount(metric.min_effect)
    seen = f"{said(widest.sd)}, {widest.df} degrees of freedom"
    line = f"{head}: {said(smallest)} at the pooled spread seen so far ({seen})."
    if metric.min_effect >= smallest:
        return [line, f"The min_effect of {wanted} is within reach of {study.seeds} seeds."]
    needed = seeds_for(metric.min_effect / widest.sd, level)
    enough = f"about {needed} seeds find it" if needed else "more than a thousand seeds are needed for it"
    return [
        line,
        f"Warning: the min_effect of {wanted} is out of reach of {study.seeds} seeds, so that contrasts of this size "
        f"mostly stay unresolved: {enough} (--seeds), or take a larger min_effect.",
    ]
