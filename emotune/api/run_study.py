"""Run a study and write its report, as `python -m emotune.ablate` does.

Heavy libraries are imported when they are needed, so that ``import emotune`` takes no longer than reading a study does.
"""

import contextlib
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from emotune.api.study_source import command_for, keep_source
from emotune.api.train_and_test import check_before_training, train_and_test, with_values
from emotune.api.tuning_stage import tuned
from emotune.config.ablate_command import DEFAULT_RUNS, AblateCommand
from emotune.config.study import Study
from emotune.core.errors import InputError, UnwritableError, describe_os_error, first_of
from emotune.core.sample_noun import speaking_of
from emotune.core.terminal import print_line, print_report

if TYPE_CHECKING:
    from emotune.execution.plan.plan import Plan
    from emotune.execution.plan.resolved_study import ResolvedStudy
    from emotune.execution.run.session import ExecutionOptions
    from emotune.execution.run.signals import Interruption

__all__ = ["ReportOptions", "StudyOutcome", "report_folder", "run_study", "train_and_report", "write_report"]


@dataclass(frozen=True)
class StudyOutcome:
    """The outcome of `run_study`.

    Attributes:
        plan: The state of every run of the study, and the records of those that are done; with adaptive seeds, of every
            run that its looks needed.
        report: The report's page; None: no report was asked for, or there is none yet, because tuning runs have not
            ended; the plan is then that of the tuning runs.
        without_metric: A line for each finished run for which the user's own metric could not be computed.
        untested: A line for each finished run that could not be tested on other data sets.
    """

    plan: "Plan"
    report: Path | None
    without_metric: tuple[str, ...] = ()
    untested: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether all runs are done, have the study's metric, and could be tested on other data sets."""
        from emotune.runs.directory import State

        return (
            not self.without_metric
            and not self.untested
            and all(status.state is State.DONE for status in self.plan.statuses.values())
        )


def run_study(
    study: Study | str | Path,
    runs: str | Path = DEFAULT_RUNS,
    report: str | Path | None = "reports/{name}",
    *,
    options: "ExecutionOptions | None" = None,
    model_cards: bool = False,
    console: Console | None = None,
) -> StudyOutcome:
    """Trains what is missing of a study and writes its report, as ``python -m emotune.ablate`` does.

    The same call continues an interrupted study, runs only the new part of a longer one, and does nothing for a
    finished one. Ctrl-C ends the runs with a checkpoint; the report of what is there is written all the same.

    Args:
        study: A study, or the path of its file.
        runs: The folder or URL in which the runs have their directories.
        report: The report's folder, in which ``{name}`` stands for the study's name; None writes none.
        options: How to train, such as ``ExecutionOptions(executor="local")``. Default: on Ray.
        model_cards: Whether to write a model card for each variant, too.
        console: Where progress is shown. Default: standard output.

    Raises:
        InputError: the study, its data or its weights cannot be used; nothing was spent.
        KeyboardInterrupt: Ctrl-C was pressed.
    """
    from emotune.execution.plan.resolved_study import resolve_study
    from emotune.execution.plan.tuning_summary import print_stages
    from emotune.execution.run.session import ExecutionOptions
    from emotune.execution.run.signals import interruption

    options = options or ExecutionOptions()
    console = console or Console()
    with interruption() as stopping, ExitStack() as stack:
        resolved = resolve_study(study, runs)
        stack.enter_context(speaking_of({dataset.frames for dataset in resolved.datasets}))
        study, plan = resolved.study, resolved.now.plan()
        print_stages(console, resolved, plan, options.executor)
        reporting = None
        if report is not None:
            out = report_folder(str(report).replace("{name}", study.name), study)
            reporting = ReportOptions(out, command_for(study, runs, out, model_cards=model_cards))
        if resolved.awaits_tuning:
            resolved = tuned(resolved, options, console, stopping)
            plan = resolved.now.plan()
            if resolved.awaits_tuning:
                return StudyOutcome(plan, None)
            print_stages(console, resolved, plan, options.executor)
        ids = {run.id for run in resolved.runs}
        outcome = train_and_report(resolved, plan, ids, options, reporting, console, stopping)
    for line in first_of([*outcome.without_metric, *outcome.untested]):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    return outcome


@dataclass(frozen=True)
class ReportOptions:
    """Where a report goes, and the command that reproduces it, which decides on model cards.

    Attributes:
        folder: The folder, see `report_folder`.
        command: The command.
        always: Whether to write it even if it is up to date.
    """

    folder: Path
    command: AblateCommand
    always: bool = False


def train_and_report(
    resolved: "ResolvedStudy",
    plan: "Plan",
    ids: Collection[str],
    options: "ExecutionOptions",
    reporting: ReportOptions | None,
    console: Console,
    stopping: "Interruption",
) -> StudyOutcome:
    """Checks and trains those of the runs that are to do, and writes the report, even if training was interrupted.

    Finished runs are tested on the study's other data sets, as far as they have not been. A metric of the user's own
    is computed for the finished runs that do not have it yet.

    Args:
        resolved: The study.
        plan: The state of its runs.
        ids: The ids of the runs that may be trained.
        options: How to train.
        reporting: Where the report goes; None writes none.
        console: Where progress is shown; a quiet one is another rank's, which leaves registry and report alone.
        stopping: Whether Ctrl-C was pressed.

    Raises:
        InputError: something that training needs is missing or cannot be used; nothing was spent.
        KeyboardInterrupt: it was; the report has been written.
        UnwritableError: the report could not be written; the runs are as they were.
    """
    from emotune.execution.own_metric import compute_metric
    from emotune.execution.plan.transfer_plan import transfer_plan
    from emotune.execution.run.signals import StoppedNow
    from emotune.runs.declarations import declare, has_declared
    from emotune.runs.registry import Registry

    registry, interrupted = Registry(resolved.store), None
    without_metric, untested = list[str](), list[str]()
    plan = with_values(resolved, plan, console)
    is_training = any(run.id in ids for run in plan.to_do)
    if is_training:
        check_before_training(resolved, plan, options, reporting, console)
    try:
        if is_training or transfer_plan(plan, resolved.tests, ids).missing:
            plan, untested = train_and_test(resolved, plan, ids, options, reporting, console, stopping)
        elif not console.quiet:
            with contextlib.suppress(OSError):  # a store that can only be read will not be pruned either
                registry.register(resolved.study, resolved.needed)
                if has_declared(resolved.store, resolved.study.name):
                    declare(resolved.study, plan)  # what has changed, though nothing is trained
        if not console.quiet:
            without_metric = compute_metric(resolved.study.metric, plan, console)
    except StoppedNow:
        raise
    except KeyboardInterrupt as error:
        interrupted, plan = error, resolved.plan()
    page = None
    if reporting is not None and not console.quiet:  # one of the processes that torchrun started is enough
        page = _write_report(resolved, plan, reporting, console)
    if interrupted:
        raise interrupted
    return StudyOutcome(plan, page, tuple(without_metric), tuple(untested))


def _write_report(resolved: "ResolvedStudy", plan: "Plan", reporting: ReportOptions, console: Console) -> Path:
    """Writes the report; an error of the operating system becomes an `UnwritableError`."""
    try:
        keep_source(resolved.study, reporting.folder)
        return write_report(resolved, plan, reporting, console)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UnwritableError(f"no report: {describe_os_error(error)}") from error


def report_folder(folder: str | Path, study: Study) -> Path:
    """The folder of a study's report, checked before anything is spent.

    Raises:
        InputError: it is a URL, cannot be written to, or has the report of another study.
    """
    from emotune.core.storage import Folder
    from emotune.report.freshness import check_owner

    if "://" in str(folder):
        raise InputError(f"--report {folder}: give a folder; copy the report from there to wherever it should be")
    Folder(str(folder)).require_writable()
    check_owner(Path(folder), study)
    return Path(folder)


def write_report(resolved: "ResolvedStudy", plan: "Plan", reporting: ReportOptions, console: Console) -> Path:
    """Writes a study's report, unless it is there and nothing that it is made of has changed; gives its page.

    The last lines on the console are the verdicts and the page's address.
    """
    from emotune.report.contrast_table import closing_lines
    from emotune.report.freshness import input_fingerprint, is_up_to_date, write_fingerprint

    out, command = reporting.folder, reporting.command
    digest = input_fingerprint(resolved.study, plan, str(command), resolved.tests, resolved.tuning)
    page = out / "index.html"
    is_new = reporting.always or not is_up_to_date(out, digest)
    if is_new:
        from emotune.report.build import build_report

        page = build_report(resolved.study, plan, out, command, resolved.tests, tuning=resolved.tuning)
        write_fingerprint(out, digest)
    for line in closing_lines(out, resolved.study.metric):
        print_line(console, line, indent=2)
    print_report(console, page, "" if is_new else "up to date")
    return page
