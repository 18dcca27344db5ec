"""`python -m emotune.ablate [STUDY]`: plan, run what is missing, report; and new, status, rerun, prune."""

import argparse
import json
import os
import shlex
import sys
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

from rich.console import Console

from emotune.api.run_study import ReportOptions, report_folder, train_and_report, write_report
from emotune.api.tuning_stage import require_choices, tuned
from emotune.cli.ablate_options import QUICKSTART, chosen_study, parse, reproducing_command, typed_words
from emotune.cli.arguments import exits_on_broken_pipe, reraise_broken_pipe
from emotune.config.ablate_command import PROGRAM, AblateCommand
from emotune.core.errors import TRY_AGAIN, InputError, UnwritableError, describe_os_error, first_of, print_error
from emotune.core.sample_noun import speaking_of
from emotune.core.storage import Folder
from emotune.core.terminal import make_console, print_line, print_next, print_report
from emotune.core.typed_command import error_prefix, typed_command
from emotune.execution import maintenance
from emotune.execution.checks.advice import bf16_without_instructions, frozen_at_random, idle_nodes
from emotune.execution.checks.preflight import preflight
from emotune.execution.checks.weights import check_local_weights
from emotune.execution.monitor.status import print_status, study_status
from emotune.execution.monitor.waiting import waiting_for
from emotune.execution.own_metric import metric_plan
from emotune.execution.plan.adaptive import look_lines, looks_entries, unjudged_looks
from emotune.execution.plan.concurrency import uses_cluster
from emotune.execution.plan.plan import Plan
from emotune.execution.plan.resolved_study import ResolvedStudy, resolve_study
from emotune.execution.plan.summary import print_contrasts, print_reasons
from emotune.execution.plan.transfer_plan import transfer_entries, transfer_lines
from emotune.execution.plan.tuning_summary import print_stages, stage_line, tuning_entry
from emotune.execution.prune import find_prunable, prune, summary
from emotune.execution.run.lost_cluster import LostClusterError
from emotune.execution.run.session import ExecutionOptions, Session
from emotune.execution.run.signals import INTERRUPTED, Interruption, interruption
from emotune.report.freshness import has_model_cards
from emotune.runs.directory import State
from emotune.runs.metric_values import missing_values
from emotune.runs.registered_study import NamedRun
from emotune.runs.registry import Registry
from emotune.runs.store import open_store

__all__ = ["main"]


@exits_on_broken_pipe
def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Returns:
        0: all runs are done; 1: some failed, diverged, are being trained by others, have no value of the study's own
        metric, or could not be tested on another data set; 2: the input cannot be used; 75: the cluster was lost, or
        did not start in time; 130: interrupted; 141: nobody reads the output any more.
    """
    options = parse(sys.argv[1:] if arguments is None else arguments)
    console = make_console(quiet=os.environ.get("RANK", "0") != "0")
    commands = {"run": _ablate, "new": _new, "status": _status, "rerun": _rerun, "prune": _prune}
    try:
        with interruption() as stopping:
            return commands[options.command](options, console, stopping)
    except InputError as error:
        print_error(error_prefix("ablate"), error)
        return 2
    except OSError as error:
        reraise_broken_pipe(error)
        print_error(error_prefix("ablate"), OSError(describe_os_error(error)))
        return 1
    except LostClusterError as error:
        print_error(error_prefix("ablate"), error)
        return TRY_AGAIN
    except KeyboardInterrupt as error:
        print(
            f"\nInterrupted{f' ({error})' if str(error) else ''}. The same command goes on from here.", file=sys.stderr
        )
        return INTERRUPTED


def _ablate(options: argparse.Namespace, console: Console, stopping: Interruption) -> int:
    resolved = _resolve(options, options.study)
    with speaking_of({dataset.frames for dataset in resolved.datasets}):
        return _run(options, resolved, console, stopping)


def _run(options: argparse.Namespace, resolved: ResolvedStudy, console: Console, stopping: Interruption) -> int:
    """Plans, trains and reports as the options say; gives the exit code."""
    plan = resolved.now.plan()
    if options.time_steps or options.plan:
        return _plan(console, resolved, plan, options, stopping)
    print_stages(console, resolved, plan, options.executor)
    reporting = _reporting(options, resolved)
    if options.report_only:
        require_choices(resolved)
        from emotune.report.phrasing import missing_values_sentence  # late: with scipy

        write_report(resolved, plan, reporting, console)
        missing = missing_values(plan, resolved.study.metric)
        if line := missing_values_sentence(
            resolved.study.metric, len(missing), len(plan.records), str(reporting.command)
        ):
            print_line(console, line)
        return 0
    if resolved.awaits_tuning:
        resolved = tuned(resolved, _execution(options), console, stopping)
        if resolved.awaits_tuning:
            return 1
        plan = resolved.plan()
        print_stages(console, resolved, plan, options.executor)
    return _train(console, resolved, plan, [run.id for run in resolved.runs], reporting, options, stopping)


def _plan(
    console: Console, resolved: ResolvedStudy, plan: Plan, options: argparse.Namespace, stopping: Interruption
) -> int:
    """Prints the plan, the reasons, and what speaks against it; on request, with the time of a few steps."""
    study, store = resolved.study, resolved.store
    times_s: dict[tuple[str, str], float] = {}
    notes: list[str] = []
    if options.time_steps:
        from emotune.execution.plan.timing import time_steps, untimed

        if runs := untimed(plan):
            cluster = uses_cluster(options.executor)
            preflight(runs, store, study.resources, options.executor, writing=cluster)
            with Session(resolved.now, _execution(options), console, stopping) as session:
                session.prepare(runs, save_architecture=False)
                with waiting_for(console, "timing a few steps of each variant"), stopping.patient():
                    times_s, notes = time_steps(runs, store, session.run, shared=cluster)
    print_stages(console, resolved, plan, options.executor, times_s)
    print_contrasts(console, study)
    print_reasons(console, plan)
    for line in [*metric_plan(study.metric, plan), *transfer_lines(plan, resolved.tests)]:
        print_line(console, line)
    notes += bf16_without_instructions(plan.to_do, study.resources, options.executor) + frozen_at_random(plan.to_do)
    for note in [*notes, *idle_nodes(options.executor)]:
        console.print(note, highlight=False, markup=False)
    if plan.to_do:
        preflight(plan.to_do, store, study.resources, options.executor, writing=False)
        for line in check_local_weights(plan.may_train):
            print_line(console, line)
        print_next(console, typed_words(options, without=("--plan", "--time-steps")))
    return 0


def _train(
    console: Console,
    resolved: ResolvedStudy,
    plan: Plan,
    ids: Collection[str],
    reporting: ReportOptions,
    options: argparse.Namespace,
    stopping: Interruption,
) -> int:
    """Trains those of the runs that are to do, and writes the report; gives the exit code."""
    try:
        outcome = train_and_report(resolved, plan, ids, _execution(options), reporting, console, stopping)
    except UnwritableError as error:
        print_error(error_prefix("ablate"), error)
        return INTERRUPTED if stopping() else 1
    statuses = outcome.plan.statuses
    ids = [run_id for run_id in ids if run_id in statuses]  # no look needed the others
    states = Counter(statuses[run_id].state for run_id in ids)
    if others := states[State.RUNNING]:
        console.print(f"Being trained by other processes, for which this one does not wait: {others}.")
    for line in first_of([*outcome.without_metric, *outcome.untested]):
        print_error(error_prefix("ablate"), InputError(line))
    if states[State.FAILED]:
        print_next(console, reporting.command.typed("rerun", "--failed"))
    return 0 if states[State.DONE] == len(ids) and not outcome.without_metric and not outcome.untested else 1


def _resolve(options: argparse.Namespace, file: str | None) -> ResolvedStudy:
    """The study in a file (default: the quickstart) with what the options say instead."""
    return resolve_study(chosen_study(options, file), options.runs)


def _execution(options: argparse.Namespace) -> ExecutionOptions:
    return ExecutionOptions(options.executor, options.stall_minutes, options.wait, options.tensorboard)


def _reporting(options: argparse.Namespace, resolved: ResolvedStudy) -> ReportOptions:
    out = report_folder(options.report or f"reports/{resolved.study.name}", resolved.study)
    cards = has_model_cards(out) if options.model_cards is None else options.model_cards
    return ReportOptions(
        out, reproducing_command(options, model_cards=cards), always=getattr(options, "report_only", False)
    )


def _new(options: argparse.Namespace, console: Console, stopping: Interruption) -> int:
    """Writes a study for a data set, unless the user wants to keep the file that is there, and prints its plan."""
    from emotune.cli.new_study import described, study_file, study_text  # late: only this command needs it

    manifest = described(options.data)
    file = study_file(options.file, manifest)
    command = AblateCommand(str(file), runs=options.runs)
    text = study_text(manifest, options.data, command.typed(), f"`{typed_command('ablate')} new`")
    there = file.read_text(encoding="utf-8", errors="replace") if file.exists() else None
    if there not in (None, text) and not maintenance.confirm(f"{file} exists. Replace it?", yes=options.yes):
        return 0
    Folder(str(file.parent)).write(file.name, text.encode())
    print_line(console, f"{file}: written. Read it, and change what you want to know.")
    words = shlex.split(str(command).removeprefix(PROGRAM))
    return _ablate(parse([*words, "--plan"]), console, stopping)


def _status(options: argparse.Namespace, console: Console, _: Interruption) -> int:
    store = open_store(options.runs)
    try:
        resolved = _resolve(options, options.study)
        name, tests = resolved.study.name, resolved.tests
        stage, at = tuning_entry(resolved), resolved.now
        plan = at.plan() if resolved.study.looks or tests else None
        runs, looks = tuple(map(NamedRun.of, plan.runs if plan else at.runs)), resolved.study.looks
        of_stage, frames = stage_line(resolved), {dataset.frames for dataset in resolved.datasets}
        tests, here = () if resolved.awaits_tuning else tests, True
    except InputError:  # its file or data are on another machine, but the store may know it
        registered = Registry(store).find(options.study or QUICKSTART)
        if registered is None:
            raise
        name, plan, runs, looks, tests = registered.name, None, registered.runs, registered.looks, ()
        stage, of_stage, frames, here = None, [], set[int](), False
    status = study_status(runs, store)
    if plan and tests:
        status["tests"] = transfer_entries(plan, tests)
    if stage:
        status["tuning"] = stage
    if plan and plan.looks:
        status["looks"] = looks_entries(plan)
    if options.json:
        print(json.dumps({"study": name, "store": str(store), **status}, indent=1))
        return 0
    with speaking_of(frames):
        print_status(console, name, status)
        lines = look_lines(plan) if plan else unjudged_looks(looks)
        for line in [*of_stage, *lines, *(transfer_lines(plan, tests) if plan else [])]:
            print_line(console, line)
    page = Path("reports") / name / "index.html"
    if here and not status["running"] and status["states"].get(State.DONE.value, 0) < status["runs"]:
        print_next(console, reproducing_command(options, model_cards=False).typed())
    elif page.is_file():
        print_report(console, page)
    return 0


def _rerun(options: argparse.Namespace, console: Console, stopping: Interruption) -> int:
    resolved = _resolve(options, options.study)
    plan = resolved.now.plan()
    runs = maintenance.select_reruns(plan, failed=options.failed, diverged=options.diverged, names=options.names)
    reporting = _reporting(options, resolved)
    if not runs:
        console.print("No runs of that kind: nothing to do.")
        return 0
    preflight(runs, resolved.store, resolved.study.resources, options.executor)
    if ended := maintenance.needs_restart(plan, runs):
        for run in runs:
            if run.id in ended:
                state = plan.statuses[run.id].state.value
                console.print(f"  {run.id} ({run.variant} s{run.seed}): {state}", highlight=False, soft_wrap=True)
        question = f"Remove what these {len(ended)} runs left, and train them anew?"
        if not maintenance.confirm(question, yes=options.yes):
            return 0
        maintenance.remove_runs(resolved.store, ended)
        plan = resolved.now.plan()
    ids = [run.id for run in runs]
    if resolved.awaits_tuning:
        return int(tuned(resolved, _execution(options), console, stopping, ids).awaits_tuning)
    return _train(console, resolved, plan, ids, reporting, options, stopping)


def _prune(options: argparse.Namespace, console: Console, _: Interruption) -> int:
    store = open_store(options.runs)
    studies = [(one.study, one.needed) for one in (_resolve(options, file) for file in options.studies)]
    prunable = find_prunable(store, studies, options.forget)
    for line in summary(prunable):
        print_line(console, line)
    if prunable.question and maintenance.confirm(f"{prunable.question} in {store}?", yes=options.yes):
        runs, entries = prune(store, prunable, studies)
        forgotten = f" {len(entries)} forgotten." if entries else ""
        console.print(f"{len(runs)} removed.{forgotten}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
