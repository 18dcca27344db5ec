"""`python -m emotune.ablate [STUDY]`: plan, run what is missing, report."""

import argparse
import math
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from emotune.analysis.power import ALPHA, paired_differences, seeds_for, smallest_effect
from emotune.data.datasets import is_ready, manifest_of, resolve
from emotune.emotions import MIKELS
from emotune.errors import InputError, print_error
from emotune.execution.interruption import INTERRUPTED, Interruption, StoppedNow, interruption
from emotune.execution.ledger import Plan, make_plan
from emotune.execution.preflight import check, prepare
from emotune.machine import available_cpus
from emotune.pretrained import resolve_weights
from emotune.run import DatasetRef
from emotune.run_directory import State
from emotune.storage import Folder
from emotune.study import Resources, Study, load_study, shipped_study

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Returns:
        0: all runs are done; 1: some failed, diverged, or are in other hands; 2: the input cannot be used;
        130: interrupted.
    """
    options = _parser().parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 120, quiet=os.environ.get("RANK", "0") != "0")
    try:
        with interruption() as stopping:
            return _ablate(options, console, stopping)
    except InputError as error:
        print_error("emotune.ablate", error)
        return 2
    except KeyboardInterrupt as error:
        print(
            f"\nInterrupted{f' ({error})' if str(error) else ''}. The same command goes on from here.", file=sys.stderr
        )
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m emotune.ablate",
        description="Runs what is missing of an ablation study and writes its report. The same command continues an "
        "interrupted study, runs only the new part of a longer one, and leaves a finished one as it is.",
    )
    parser.add_argument(
        "study", nargs="?", help="a study file (.yaml); default: the quickstart that comes with emotune"
    )
    parser.add_argument(
        "--runs", default="runs", metavar="URL", help="the pool of runs: a folder or URL (default: runs)"
    )
    parser.add_argument("--report", metavar="DIR", help="where the report goes (default: reports/STUDY)")
    parser.add_argument("--seeds", type=int, metavar="N", help="seeds per variant, instead of the study's")
    parser.add_argument("--workers", type=int, metavar="N", help="workers per run, instead of the study's")
    parser.add_argument("--gpus-per-worker", type=float, metavar="G", help="instead of the study's")
    parser.add_argument("--cache-gb", type=float, metavar="GB",
                        help="what decoded pictures may fill on each machine, instead of the study's")  # fmt: skip
    parser.add_argument("--executor", choices=["ray", "local"], default="ray",
                        help="ray: as many runs at a time as fit; local: one after another, without Ray")  # fmt: skip
    parser.add_argument("--stall-minutes", type=float, default=15.0, metavar="M",
                        help="a run without progress for so long goes on in other workers (default: 15)")  # fmt: skip
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--plan", action="store_true", help="print the plan and stop")
    only.add_argument("--report-only", action="store_true", help="write the report of what is there and stop")
    return parser


def _ablate(options: argparse.Namespace, console: Console, stopping: Interruption) -> int:
    path = Path(options.study) if options.study else shipped_study("quickstart")
    study = _overridden(load_study(path), options)
    datasets = resolve(study.datasets)
    for dataset in datasets:
        study.metric.require_sense(dataset.name, _classes(dataset))
    runs = study.runs(datasets, resolve_weights(study.variants))
    pool = options.runs if "://" in options.runs else str(Path(options.runs).resolve())
    plan = make_plan(runs, pool)
    _print_plan(console, study, datasets, plan, pool, options)
    if options.plan:
        return 0
    out = _report_folder(options, study)
    interrupted: KeyboardInterrupt | None = None
    if plan.to_do and not options.report_only:
        check(plan.to_do, pool, study.resources, options.executor)
        try:
            with console.status("looking for decoded pictures") as status:
                notes = prepare(datasets, study.resources, status.update, plan.to_do)
            for line in notes:
                console.print(line, highlight=False)
            with stopping.patient():
                _execute(console, plan, pool, study.resources, options, stopping)
        except StoppedNow:
            raise
        except KeyboardInterrupt as error:
            interrupted = error
        plan = make_plan(runs, pool)
    if not console.quiet:  # one of the processes that torchrun started is enough
        try:
            _report(console, study, plan, pool, out, _command(options))
        except OSError as error:
            why = f"{out}: the report cannot be written ({error}); make room, or name another folder (--report)"
            print_error("emotune.ablate", InputError(why))
            return INTERRUPTED if interrupted else 1
    if others := plan.count(State.RUNNING):
        console.print(f"{others} runs are in the hands of other processes; the same command waits for none of them.")
    if interrupted:
        raise interrupted
    return 0 if plan.count(State.DONE) == len(runs) or options.report_only else 1


def _overridden(study: Study, options: argparse.Namespace) -> Study:
    """The study with what the command line says instead."""
    for name in ("seeds", "workers"):
        if getattr(options, name) is not None and getattr(options, name) < 1:
            raise InputError(f"--{name} {getattr(options, name)}: give a positive number")
    for name in ("gpus_per_worker", "cache_gb"):
        if getattr(options, name) is not None and not 0 <= getattr(options, name) < math.inf:
            raise InputError(f"--{name.replace('_', '-')} {getattr(options, name)}: give zero or more")
    said = {name: getattr(options, name) for name in ("workers", "gpus_per_worker", "cache_gb")}
    if not 0 < options.stall_minutes < math.inf:
        raise InputError(f"--stall-minutes {options.stall_minutes}: give a positive number")
    try:
        resources = replace(study.resources, **{name: value for name, value in said.items() if value is not None})
    except ValidationError as error:
        raise InputError("\n".join(f"resources: {item['ctx']['error']}" for item in error.errors())) from None
    return replace(study, seeds=options.seeds or study.seeds, resources=resources)


def _print_plan(
    console: Console, study: Study, datasets: Sequence[DatasetRef], plan: Plan, pool: str, options: argparse.Namespace
) -> None:
    console.print(f"[bold]{study.name}[/]: {escape(study.question)}", highlight=False)
    states = [state for state in State if plan.count(state)]
    table = Table("variant", *(state.value for state in states), box=None, pad_edge=False)
    for variant in study.variants:
        mine = [plan.statuses[run.id].state for run in plan.runs if run.variant == variant]
        table.add_row(variant, *(str(mine.count(state) or "·") for state in states))
    console.print(table)
    names = ", ".join(ref.name + (" (synthetic)" if _is_synthetic(ref) else "") for ref in datasets)
    console.print(
        f"{len(plan.runs)} runs = {len(study.variants)} variants × {study.seeds} seeds on {names}: "
        f"{plan.count(State.DONE)} done, {len(plan.to_do)} to do. {_time(plan, study.resources, options.executor)}",
        highlight=False,
    )
    for line in _resolution(study, _measured(study, plan, pool)):
        console.print(line, highlight=False)


def _classes(dataset: DatasetRef) -> Sequence[str]:
    return manifest_of(dataset).classes if is_ready(dataset) else MIKELS  # the embedded set, not drawn yet


def _is_synthetic(dataset: DatasetRef) -> bool:
    return manifest_of(dataset).synthetic if is_ready(dataset) else dataset.location == "scenes"


def _time(plan: Plan, resources: Resources, executor: str) -> str:
    if not plan.to_do:
        return ""
    at_a_time = 1
    if executor == "ray" and not os.environ.get("RAY_ADDRESS") and not resources.gpus_per_worker:
        cpus = available_cpus()
        at_a_time = max(1, cpus // (resources.workers * resources.cpus_per_worker))
    seconds = plan.estimate_s(at_a_time)
    if seconds is None:
        return "Time: known once one run has been timed."
    return f"About {seconds / 60:.1f} minutes, {at_a_time} at a time."


def _measured(study: Study, plan: Plan, pool: str) -> Sequence[Mapping[str, Any]]:
    """The finished runs with the study's metric. Accuracy stands in their records; others are in the predictions."""
    if study.metric.name == "accuracy" or not plan.records:
        return plan.records
    from emotune.analysis.records import load_records

    return load_records(plan.runs, pool).done().to_dict("records")


def _resolution(study: Study, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What effects the study's seeds can show."""
    tests = len(study.contrasts) * len(study.datasets)
    level = ALPHA / max(1, tests)
    in_sd = smallest_effect(study.seeds, level)
    if in_sd is None:
        return ["One seed shows no interval and supports no verdict: give two or more (--seeds)."]
    measured = [
        paired_differences(rows, contrast, dataset, study.metric.name)
        for contrast in study.contrasts
        for dataset in {row["dataset"] for row in rows}
    ]
    spreads = [stdev(differences.values()) for differences in measured if len(differences) > 1]
    corrected = f" and correction for {tests} contrasts" if tests > 1 else ""
    head = (
        f"{study.seeds} seeds find, with 80 % power{corrected}, effects from {in_sd:.1f} × the sd of the seed "
        "differences up"
    )
    if not spreads:
        return [f"{head}; the sd is not known before runs are done."]
    sd = fmean(spreads)
    scale = study.metric.scale
    smallest = f"{scale.written(in_sd * sd)} {scale.steps}".rstrip()
    line = f"{head}: {smallest} at the sd seen so far ({scale.written(sd)})."
    needed = seeds_for(study.metric.min_effect / sd, level) if sd else 2
    enough = f"{needed} seeds" if needed else "more than a thousand seeds"
    return [line, f"For the min_effect of {scale.amount(study.metric.min_effect)}: {enough}."]


def _report_folder(options: argparse.Namespace, study: Study) -> Path:
    """Where the report goes, looked at before anything is spent."""
    name = options.report or f"reports/{study.name}"
    if "://" in name:
        raise InputError(f"--report {name}: give a folder; copy the report from there to wherever it should be")
    Folder(name).require_writable()
    return Path(name)


def _execute(
    console: Console, plan: Plan, pool: str, resources: Resources, options: argparse.Namespace, stopping: Interruption
) -> None:
    from emotune.execution.progress import RunLines

    with RunLines(console, len(plan.to_do)) as lines:
        if options.executor == "local":
            from emotune.execution.local import run_locally

            run_locally(plan.to_do, pool, lines, resources, stopping=stopping)
        else:
            from emotune.execution.connection import ray_connection

            with ray_connection(resources):
                from emotune.execution.tune import run_on_ray  # imports Ray, which the connection has set up

                stall_s = 60 * options.stall_minutes
                run_on_ray(plan.to_do, pool, lines, resources, stall_s=stall_s, stopping=stopping)


def _command(options: argparse.Namespace) -> str:
    """The command that does it all again, anywhere."""
    arguments = [
        *([options.study] if options.study else []),
        *(["--seeds", str(options.seeds)] if options.seeds else []),
    ]
    return shlex.join(["python", "-m", "emotune.ablate", *arguments])


def _report(console: Console, study: Study, plan: Plan, pool: str, out: Path, command: str) -> None:
    from emotune.report.build import build_report

    page = build_report(study, plan.runs, pool, out, command)
    console.print(f"Report: {page}", highlight=False)


if __name__ == "__main__":
    sys.exit(main())
