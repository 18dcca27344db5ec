"""`python -m emotune.ablate [STUDY]`: plan, run what is missing, report; and status, rerun, prune."""

import argparse
import contextlib
import json
import os
import sys
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

from rich.console import Console

from emotune.cli.ablate_options import parse
from emotune.cli.arguments import exits_on_broken_pipe, reraise_broken_pipe
from emotune.config.ablate_command import AblateCommand
from emotune.config.study import Study
from emotune.core.errors import InputError, describe_os_error, print_error
from emotune.core.storage import Folder
from emotune.execution import maintenance
from emotune.execution.checks.advice import bf16_without_instructions, idle_nodes
from emotune.execution.checks.preflight import preflight
from emotune.execution.monitor.status import NamedRun, named_runs, print_status, study_status
from emotune.execution.plan.plan import Plan, make_plan
from emotune.execution.plan.summary import print_plan, print_reasons
from emotune.execution.prune import find_prunable, prune, summary
from emotune.execution.run.lost_cluster import LOST, LostClusterError
from emotune.execution.run.session import QUICKSTART, StudySession, pool_of, prepared, train_all
from emotune.execution.run.signals import INTERRUPTED, Interruption, StoppedNow, interruption
from emotune.report.freshness import claim_folder, has_model_cards, input_fingerprint, is_up_to_date, write_fingerprint
from emotune.runs.directory import State
from emotune.runs.registry import Registry

__all__ = ["main"]


@exits_on_broken_pipe
def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Returns:
        0: all runs are done; 1: some failed, diverged, or are in other hands; 2: the input cannot be used;
        75: the cluster was lost, or did not start in time; 130: interrupted; 141: nobody reads the output any more.
    """
    options = parse(sys.argv[1:] if arguments is None else arguments)
    console = Console(width=None if sys.stdout.isatty() else 120, quiet=os.environ.get("RANK", "0") != "0")
    commands = {"run": _ablate, "status": _status, "rerun": _rerun, "prune": _prune}
    try:
        with interruption() as stopping:
            return commands[options.command](options, console, stopping)
    except InputError as error:
        print_error("emotune.ablate", error)
        return 2
    except OSError as error:
        reraise_broken_pipe(error)
        print_error("emotune.ablate", OSError(describe_os_error(error)))
        return 1
    except LostClusterError as error:
        print_error("emotune.ablate", error)
        return LOST
    except KeyboardInterrupt as error:
        print(
            f"\nInterrupted{f' ({error})' if str(error) else ''}. The same command goes on from here.", file=sys.stderr
        )
        return INTERRUPTED


def _ablate(options: argparse.Namespace, console: Console, stopping: Interruption) -> int:
    work = StudySession.of(options, options.study)
    plan = make_plan(work.runs, work.pool)
    if options.time_steps or options.plan:
        return _outlook(console, work, plan, options, stopping)
    print_plan(console, work.study, work.datasets, plan, work.pool, options.executor)
    out = _report_folder(options, work.study)
    if options.report_only:
        _report(console, work, plan, out, options, always=True)
        return 0
    return _finish(console, work, plan, [run.id for run in work.runs], out, options, stopping)


def _outlook(
    console: Console, work: StudySession, plan: Plan, options: argparse.Namespace, stopping: Interruption
) -> int:
    """The plan, the reasons, and what would speak against it; on request, from a few steps of what was never timed."""
    study, probed_s, notes = work.study, {}, []
    if options.time_steps:
        from emotune.execution.plan.timing import time_steps, untimed

        if runs := untimed(plan):
            cluster = options.executor == "ray" and bool(os.environ.get("RAY_ADDRESS"))
            preflight(runs, work.pool, study.resources, options.executor, writing=cluster)
            with (
                prepared(console, work, runs, options, stopping, keep=False) as execute,
                console.status("timing a few steps of each variant that was never timed"),
                stopping.patient(),
            ):
                probed_s, notes = time_steps(runs, work.pool, execute, shared=cluster)
    print_plan(console, study, work.datasets, plan, work.pool, options.executor, probed_s)
    print_reasons(console, plan, work.pool)
    slow = bf16_without_instructions(plan.to_do, study.resources, options.executor)
    for note in [*notes, *slow, *idle_nodes(options.executor)]:
        console.print(note, highlight=False, markup=False)
    if plan.to_do:
        preflight(plan.to_do, work.pool, study.resources, options.executor, writing=False)
    return 0


def _finish(
    console: Console,
    work: StudySession,
    plan: Plan,
    ids: Collection[str],
    out: Path,
    options: argparse.Namespace,
    stopping: Interruption,
) -> int:
    """Trains those of the runs that are to do, and writes the report."""
    registry, interrupted = Registry(work.pool), None
    try:
        if any(run.id in ids for run in plan.to_do):
            preflight(plan.to_do, work.pool, work.study.resources, options.executor, report=str(out))
            for line in idle_nodes(options.executor):
                console.print(line, highlight=False, markup=False)
            with (
                registry.in_use(work.study, work.runs),  # before anything is made ready: others must not prune it
                prepared(console, work, plan.to_do, options, stopping) as execute,
                stopping.patient(),
            ):
                plan = train_all(work, plan, ids, execute, stopping)
        elif not console.quiet:
            with contextlib.suppress(OSError):  # a pool that can only be read will not be pruned either
                registry.register(work.study, work.runs)
    except StoppedNow:
        raise
    except KeyboardInterrupt as error:
        interrupted, plan = error, make_plan(work.runs, work.pool)
    if not console.quiet:  # one of the processes that torchrun started is enough
        try:
            _report(console, work, plan, out, options, always=False)
        except OSError as error:
            reraise_broken_pipe(error)
            print_error("emotune.ablate", OSError(f"no report: {describe_os_error(error)}"))
            return INTERRUPTED if interrupted else 1
    states = Counter(plan.statuses[run_id].state for run_id in ids)
    if others := states[State.RUNNING]:
        console.print(f"In the hands of other processes, for which this one does not wait: {others}.")
    if interrupted:
        raise interrupted
    return 0 if states[State.DONE] == len(ids) else 1


def _report_folder(options: argparse.Namespace, study: Study) -> Path:
    """Where the report goes, looked at before anything is spent."""
    name = options.report or f"reports/{study.name}"
    if "://" in name:
        raise InputError(f"--report {name}: give a folder; copy the report from there to wherever it should be")
    Folder(name).require_writable()
    claim_folder(Path(name), study)
    return Path(name)


def _report(
    console: Console, work: StudySession, plan: Plan, out: Path, options: argparse.Namespace, *, always: bool
) -> None:
    """Writes the report, unless it is there and nothing that it is made of has changed."""
    wanted = has_model_cards(out) if options.model_cards is None else options.model_cards
    command = AblateCommand.of(options, model_cards=wanted)
    digest = input_fingerprint(work.study, work.runs, plan.statuses, plan.records, work.pool, str(command))
    if not always and is_up_to_date(out, digest):
        console.print(f"Report: {out / 'index.html'} (up to date)", highlight=False)
        return
    from emotune.report.build import build_report

    page = build_report(work.study, work.runs, work.pool, out, command)
    write_fingerprint(out, digest)
    console.print(f"Report: {page}", highlight=False)


def _status(options: argparse.Namespace, console: Console, _: Interruption) -> int:
    try:
        work = StudySession.of(options, options.study)
        name, runs = work.study.name, named_runs(work.runs)
    except InputError:  # its file or data are on another machine, but the pool may know it
        known = Registry(pool_of(options)).find(options.study or QUICKSTART)
        if known is None:
            raise
        name, runs = known.name, [NamedRun(**run) for run in known.runs]
    found = study_status(runs, pool_of(options))
    if options.json:
        print(json.dumps({"study": name, "pool": pool_of(options)} | found, indent=1))
    else:
        print_status(console, name, found)
    return 0


def _rerun(options: argparse.Namespace, console: Console, stopping: Interruption) -> int:
    work = StudySession.of(options, options.study)
    plan = make_plan(work.runs, work.pool)
    runs = maintenance.select_reruns(plan, failed=options.failed, diverged=options.diverged, names=options.names)
    out = _report_folder(options, work.study)
    if not runs:
        console.print("No runs of that kind: nothing to do.")
        return 0
    preflight(runs, work.pool, work.study.resources, options.executor)
    if gone := maintenance.needs_restart(plan, runs):
        for run in runs:
            if run.id in gone:
                state = plan.statuses[run.id].state.value
                console.print(f"  {run.id} ({run.variant} s{run.seed}): {state}", highlight=False, soft_wrap=True)
        if not maintenance.confirm(f"Remove what these {len(gone)} runs left, and train them anew?", yes=options.yes):
            return 0
        maintenance.remove_runs(work.pool, gone)
        plan = make_plan(work.runs, work.pool)
    return _finish(console, work, plan, [run.id for run in runs], out, options, stopping)


def _prune(options: argparse.Namespace, console: Console, _: Interruption) -> int:
    pool = pool_of(options)
    works = [StudySession.of(options, file) for file in options.studies]
    studies = [(work.study, work.runs) for work in works]
    found = find_prunable(pool, studies, options.forget)
    for line in summary(found):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    if found.question and maintenance.confirm(f"{found.question} in {pool}?", yes=options.yes):
        runs, entries = prune(pool, found, studies)
        forgotten = f" {len(entries)} forgotten." if entries else ""
        console.print(f"{len(runs)} removed.{forgotten}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
