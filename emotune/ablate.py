"""`python -m emotune.ablate [STUDY]`: plan, run what is missing, report; and status, rerun, prune."""

import argparse
import contextlib
import json
import math
import os
import shlex
import sys
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from emotune.data.datasets import is_ready, manifest_of, resolve
from emotune.emotions import MIKELS
from emotune.errors import InputError, print_error
from emotune.execution import upkeep
from emotune.execution.command_line import parse
from emotune.execution.ledger import Plan, make_plan
from emotune.execution.outlook import show_plan, show_reasons
from emotune.execution.preflight import check, prepare
from emotune.execution.standing import NamedRun, named, show_standing, standing
from emotune.pretrained import resolve_weights
from emotune.report.made_of import is_up_to_date, made_of, seal
from emotune.run import DatasetRef, RunConfig
from emotune.run_directory import State
from emotune.storage import Folder
from emotune.study import Study, load_study, shipped_study

__all__ = ["main"]

INTERRUPTED = 130
ROUNDS = 3
"""Times that one command takes up a run which other processes, or lost machines, leave unfinished."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Returns:
        0: all runs are done; 1: some failed, diverged, or are in other hands; 2: the input cannot be used;
        130: interrupted.
    """
    options = parse(sys.argv[1:] if arguments is None else arguments)
    console = Console(width=None if sys.stdout.isatty() else 120, quiet=os.environ.get("RANK", "0") != "0")
    commands = {"run": _ablate, "status": _status, "rerun": _rerun, "prune": _prune}
    try:
        return commands[options.command](options, console)
    except InputError as error:
        print_error("emotune.ablate", error)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted. The same command goes on from here.", file=sys.stderr)
        return INTERRUPTED


@dataclass(frozen=True)
class _Work:
    """A study as the command line has it, its data sets, and all its runs in their pool."""

    study: Study
    datasets: tuple[DatasetRef, ...]
    runs: tuple[RunConfig, ...]
    pool: str

    @staticmethod
    def of(options: argparse.Namespace, file: str | None) -> "_Work":
        path = Path(file) if file else shipped_study("quickstart")
        study = _overridden(load_study(path), options)
        datasets = resolve(study.datasets)
        for dataset in datasets:
            study.metric.require_sense(dataset.name, manifest_of(dataset).classes if is_ready(dataset) else MIKELS)
        return _Work(study, datasets, study.runs(datasets, resolve_weights(study.variants)), _pool(options))


def _pool(options: argparse.Namespace) -> str:
    return options.runs if "://" in options.runs else str(Path(options.runs).resolve())


def _overridden(study: Study, options: argparse.Namespace) -> Study:
    """The study with what the command line says instead."""
    said = vars(options)
    for name, least in (("seeds", 1), ("workers", 1), ("gpus_per_worker", 0), ("cache_gb", 0), ("stall_minutes", 0),
                        ("wait", 0)):  # fmt: skip
        if said.get(name) is not None and not least <= said[name] < math.inf:
            asked = "a positive number" if least else "zero or more"
            raise InputError(f"--{name.replace('_', '-')} {said[name]}: give {asked}")
    resources = {name: said[name] for name in ("workers", "gpus_per_worker", "cache_gb") if said.get(name) is not None}
    return replace(study, seeds=said.get("seeds") or study.seeds, resources=replace(study.resources, **resources))


def _ablate(options: argparse.Namespace, console: Console) -> int:
    work = _Work.of(options, options.study)
    plan = make_plan(work.runs, work.pool)
    if options.probe or options.plan:
        return _outlook(console, work, plan, options)
    show_plan(console, work.study, work.datasets, plan, work.pool, options.executor)
    out = _report_folder(options, work.study)
    if options.report_only:
        _report(console, work, plan, out, _command(options), always=True)
        return 0
    return _finish(console, work, plan, [run.id for run in work.runs], out, options)


def _outlook(console: Console, work: _Work, plan: Plan, options: argparse.Namespace) -> int:
    """The plan, the reasons, and what would speak against it; on request, from a few steps of what was never timed."""
    study, probed_s, notes = work.study, {}, []
    if options.probe:
        from emotune.execution.probe import probe, untimed

        if runs := untimed(plan):
            cluster = options.executor == "ray" and bool(os.environ.get("RAY_ADDRESS"))
            check(runs, work.pool, study.resources, options.executor, write=cluster)
            _prepare(console, work, runs)
            probed_s, notes = probe(
                runs, work.pool, lambda *trained: _execute(console, work, options, *trained), shared=cluster
            )
    show_plan(console, study, work.datasets, plan, work.pool, options.executor, probed_s)
    show_reasons(console, plan, work.pool)
    for note in notes:
        console.print(note, highlight=False, markup=False)
    if plan.to_do:
        check(plan.to_do, work.pool, study.resources, options.executor, write=False)
    return 0


def _finish(
    console: Console, work: _Work, plan: Plan, ids: Collection[str], out: Path, options: argparse.Namespace
) -> int:
    """Trains those of the runs that are to do, and writes the report."""
    interrupted = False
    try:
        if any(run.id in ids for run in plan.to_do):
            check(plan.to_do, work.pool, work.study.resources, options.executor)
            _prepare(console, work, plan.to_do)
            upkeep.remember(work.study, work.runs, work.pool)
            plan = _train(console, work, plan, ids, options)
        elif not console.quiet:
            with contextlib.suppress(OSError):  # a pool that can only be read will not be pruned either
                upkeep.remember(work.study, work.runs, work.pool)
    except KeyboardInterrupt:
        interrupted, plan = True, make_plan(work.runs, work.pool)
    if not console.quiet:  # one of the processes that torchrun started is enough
        _report(console, work, plan, out, _command(options), always=False)
    states = Counter(plan.statuses[run_id].state for run_id in ids)
    if others := states[State.RUNNING]:
        console.print(f"{others} runs are in the hands of other processes; the same command waits for none of them.")
    if interrupted or states[State.INTERRUPTED] or states[State.MISSING]:
        raise KeyboardInterrupt
    return 0 if states[State.DONE] == len(ids) else 1


def _train(console: Console, work: _Work, plan: Plan, ids: Collection[str], options: argparse.Namespace) -> Plan:
    """Trains until there is nothing to do: another process may die meanwhile and leave its runs to this one."""
    begun: Counter[str] = Counter()
    failed: set[str] = set()
    while runs := [r for r in plan.to_do if r.id in ids and r.id not in failed and begun[r.id] < ROUNDS]:
        begun.update(run.id for run in runs)
        _execute(console, work, options, runs, work.pool)
        plan = make_plan(work.runs, work.pool)
        failed |= {run.id for run in runs if plan.statuses[run.id].state is State.FAILED}
    return plan


def _prepare(console: Console, work: _Work, runs: Sequence[RunConfig]) -> None:
    with console.status("looking for decoded pictures") as status:
        notes = prepare(work.datasets, work.study.resources, status.update, runs)
    for line in notes:
        console.print(line, highlight=False)


def _execute(
    console: Console,
    work: _Work,
    options: argparse.Namespace,
    runs: Sequence[RunConfig],
    pool: str,
    steps: int | None = None,
) -> None:
    from emotune.execution.progress import RunLines

    resources = work.study.resources
    with RunLines(console, len(runs)) as lines:
        if options.executor == "local":
            from emotune.execution.local import run_locally

            run_locally(runs, pool, lines, resources, steps=steps)
        else:
            from emotune.execution.connection import ray_connection

            with ray_connection(resources):
                from emotune.execution.tune import run_on_ray  # imports Ray, which the connection has set up

                run_on_ray(runs, pool, lines, resources, steps=steps)


def _report_folder(options: argparse.Namespace, study: Study) -> Path:
    """Where the report goes, looked at before anything is spent."""
    name = options.report or f"reports/{study.name}"
    if "://" in name:
        raise InputError(f"--report {name}: give a folder; copy the report from there to wherever it should be")
    Folder(name).require_writable()
    return Path(name)


def _command(options: argparse.Namespace) -> str:
    """The command that does it all again, anywhere."""
    seeds = ["--seeds", str(options.seeds)] if options.seeds else []
    return shlex.join(["python", "-m", "emotune.ablate", *([options.study] if options.study else []), *seeds])


def _report(console: Console, work: _Work, plan: Plan, out: Path, command: str, *, always: bool) -> None:
    """Writes the report, unless it is there and nothing that it is made of has changed."""
    digest = made_of(work.study, work.runs, plan.statuses, plan.records, work.pool, command)
    if not always and is_up_to_date(out, digest):
        console.print(f"Report: {out / 'index.html'} (up to date)", highlight=False)
        return
    from emotune.report.build import build_report

    page = build_report(work.study, work.runs, work.pool, out, command)
    seal(out, digest)
    console.print(f"Report: {page}", highlight=False)


def _status(options: argparse.Namespace, console: Console) -> int:
    try:
        work = _Work.of(options, options.study)
        name, runs = work.study.name, named(work.runs)
    except InputError:  # its file or data are on another machine, but the pool may know it
        name = Path(options.study).stem
        memory = upkeep.remembered(_pool(options), name)
        if memory is None:
            raise
        runs = [NamedRun(**run) for run in memory["runs"]]
    found = standing(runs, _pool(options))
    if options.json:
        print(json.dumps({"study": name, "pool": _pool(options)} | found, indent=1))
    else:
        show_standing(console, name, found)
    return 0


def _rerun(options: argparse.Namespace, console: Console) -> int:
    work = _Work.of(options, options.study)
    plan = make_plan(work.runs, work.pool)
    runs = upkeep.again(plan, failed=options.failed, diverged=options.diverged, names=options.names)
    out = _report_folder(options, work.study)
    if not runs:
        console.print("No runs of that kind: nothing to do.")
        return 0
    check(runs, work.pool, work.study.resources, options.executor)
    if gone := upkeep.anew(plan, runs):
        console.print("\n".join(f"  {run_id}: {plan.statuses[run_id].state.value}" for run_id in gone), highlight=False)
        if not upkeep.confirmed(f"Remove what these {len(gone)} runs left, and train them anew?", yes=options.yes):
            return 0
        upkeep.remove(work.pool, gone)
        plan = make_plan(work.runs, work.pool)
    return _finish(console, work, plan, [run.id for run in runs], out, options)


def _prune(options: argparse.Namespace, console: Console) -> int:
    pool = _pool(options)
    works = [_Work.of(options, file) for file in options.studies]
    found = upkeep.leftovers(pool, [(work.study, work.runs) for work in works])
    for line in upkeep.summary(found):
        console.print(line, highlight=False, markup=False)
    if found and upkeep.confirmed(f"Remove these {len(found)} runs from {pool}?", yes=options.yes):
        console.print(f"{len(upkeep.remove(pool, [one.id for one in found]))} removed.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
