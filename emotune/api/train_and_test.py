"""Trains what is missing of a study and tests finished runs on other data sets, in one session."""

import contextlib
import os
from collections.abc import Collection
from typing import TYPE_CHECKING

from rich.console import Console

from emotune.api.study_source import keep_source
from emotune.core.errors import InputError

if TYPE_CHECKING:
    from emotune.api.run_study import ReportOptions
    from emotune.execution.plan.plan import Plan
    from emotune.execution.plan.resolved_study import ResolvedStudy
    from emotune.execution.run.session import ExecutionOptions
    from emotune.execution.run.signals import Interruption

__all__ = ["check_before_training", "train_and_test", "with_values"]


def train_and_test(
    resolved: "ResolvedStudy",
    plan: "Plan",
    ids: Collection[str],
    options: "ExecutionOptions",
    reporting: "ReportOptions | None",
    console: Console,
    stopping: "Interruption",
) -> tuple["Plan", list[str]]:
    """Trains the runs of a plan, and those that further looks at the results ask for; then makes missing tests.

    Returns:
        The last plan, and a line for each finished run that could not be tested on other data sets, which says why.
    """
    from emotune.api.growing_report import growing_reports
    from emotune.execution.plan.auto_precision import require_one_decision
    from emotune.execution.plan.transfer_plan import transfer_plan
    from emotune.execution.run.session import Session
    from emotune.report.freshness import claim_folder
    from emotune.runs.declarations import declare, has_declared
    from emotune.runs.registry import Registry

    registry, untested = Registry(resolved.store), list[str]()
    is_training = any(run.id in ids for run in plan.to_do)
    followers = growing_reports(resolved, plan, reporting, console)
    is_old = bool(registry.same_name_as(resolved.study)) and not has_declared(resolved.store, resolved.study.name)
    is_old = is_old and resolved.tuning is None  # its first stage has registered it
    with (
        registry.in_use(resolved.study, resolved.needed),  # first of all: others must not prune its runs
        Session(resolved, options, console, stopping, followers) as session,
        contextlib.ExitStack() as reports,  # they end before the session, which kills what this process has started
    ):
        require_one_decision(resolved.study, resolved.store)
        for report in followers:
            reports.enter_context(report)
        if is_training:
            session.prepare(plan.may_train)
        else:
            session.connect()
        if not console.quiet:
            if reporting:
                claim_folder(reporting.folder, resolved.study)  # now: a refused study leaves none behind
                keep_source(resolved.study, reporting.folder)
            declare(resolved.study, plan, is_old=is_old)
        with stopping.patient():
            if is_training:
                plan = session.run_until_done(plan, ids)
            while (further := with_values(resolved, plan, console)).looks_reached > plan.looks_reached:
                plan = further if stopping() else session.run_until_done(further, ids)
            if not stopping() and transfer_plan(plan, resolved.tests, ids).missing:
                untested = session.run_tests(plan, ids)
    return plan, untested


def with_values(resolved: "ResolvedStudy", plan: "Plan", console: Console) -> "Plan":
    """The plan once the values of the user's own metric are computed, if looks at them decide what is trained."""
    from emotune.execution.own_metric import compute_metric

    study = resolved.study
    if not (study.looks and study.metric.code) or console.quiet:
        return plan
    compute_metric(study.metric, plan, console)
    return resolved.plan()


def check_before_training(
    resolved: "ResolvedStudy",
    plan: "Plan",
    options: "ExecutionOptions",
    reporting: "ReportOptions | None",
    console: Console,
) -> None:
    """Raises an `InputError` if runs or report cannot work here; prints a warning if machines would stay idle."""
    from emotune.execution.checks.advice import idle_nodes
    from emotune.execution.checks.preflight import preflight

    report = str(reporting.folder) if reporting else None
    if resolved.study.looks and resolved.study.metric.code and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise InputError(
            "seeds.looks: under torchrun, looks cannot be judged by a metric of your own, which one process computes; "
            "train on Ray (resources.workers without torchrun), or give a fixed number of seeds"
        )
    preflight(plan.may_train, resolved.store, resolved.study.resources, options.executor, report=report)
    for line in idle_nodes(options.executor):
        console.print(line, highlight=False, markup=False)
