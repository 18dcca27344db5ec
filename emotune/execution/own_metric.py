"""Computes a metric of the user's own for finished runs, in a process of its own, and says what of it is missing."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from emotune.config.metric import Metric, MetricCode
from emotune.config.python_source import parameters_of
from emotune.config.types import as_in_study
from emotune.core.child_process import ChildProcess, serve
from emotune.core.errors import InputError, describe_os_error
from emotune.execution.monitor.waiting import waiting_for
from emotune.execution.plan.config_diff import code_change
from emotune.execution.plan.plan import Plan
from emotune.runs.metric_values import MetricFile, earlier_version, missing_values, write_value
from emotune.runs.record import PREDICTIONS
from emotune.runs.store import RunStore

__all__ = ["MetricJob", "compute_metric", "main", "metric_plan", "work"]

BATCH = 32
"""The number of runs whose predictions are in memory at a time."""


@dataclass(frozen=True)
class MetricJob:
    """A job of the process that computes a metric.

    Attributes:
        metric: The user's own metric.
        store: Where the runs have their directories.
        ids: The ids of the finished runs.
    """

    metric: Metric
    store: RunStore
    ids: tuple[str, ...]


def compute_metric(metric: Metric, plan: Plan, console: Console) -> list[str]:
    """Computes the user's own metric for the finished runs that do not have it yet; trains nothing.

    The values are written beside the runs, see `emotune.runs.metric_values`. If none is missing, or the metric is
    emotune's, no code of the user's is executed.

    Args:
        metric: The study's metric.
        plan: The state of its runs.
        console: Where progress is shown.

    Returns:
        A line for each run that has no value, which says why.

    Raises:
        InputError: the function already fails on made-up predictions.
    """
    ids = missing_values(plan, metric)
    if not ids:
        return []
    job, title = MetricJob(metric, plan.store, tuple(ids)), metric.scale.title
    with (
        ChildProcess(__name__, job, "computes the metric") as child,
        waiting_for(console, f"computing {title}") as show,
    ):
        try:
            problems: list[str] = child.result(show)
        except RuntimeError as error:  # the user's code has ended the process
            raise InputError(f"metric.code: {metric.code}: {error}") from error
    console.print(
        f"Computed {title} for {len(ids) - len(problems)} finished runs.", highlight=False, markup=False, soft_wrap=True
    )
    return problems


def main(descriptor: int) -> None:
    """Does a `MetricJob` in the child process, see `emotune.core.child_process.serve`."""
    serve(descriptor, work)


def work(job: MetricJob, send: Callable[[Any], None]) -> None:
    """Sends lines on how far it is; in the end a list with a line for each run that has no value, or the error."""
    from emotune.analysis.prediction_arrays import classes_of, shares_of  # late, with pandas
    from emotune.analysis.run_files import read_predictions
    from emotune.analysis.user_metric import check_metric, metric_value

    code, problems, is_tried = job.metric.user_code, list[str](), False
    assert code is not None, "emotune's own metrics are computed when a report is"

    def write(computed: tuple[str, bytes, float]) -> str:
        run_id, content, value = computed
        try:
            write_value(job.store.folder / run_id, code, content, value)
        except OSError as error:
            return f"{run_id}: the value cannot be written ({describe_os_error(error)})"
        return ""

    try:
        for begin in range(0, len(job.ids), BATCH):
            ids = job.ids[begin : begin + BATCH]
            send(f"computing {job.metric.scale.title}: {begin} of {len(job.ids)} runs")
            contents = job.store.map(lambda run_id: (job.store.folder / run_id).read(PREDICTIONS) or b"", ids)
            computed: list[tuple[str, bytes, float]] = []
            for run_id, content in zip(ids, contents, strict=True):
                try:
                    predictions = read_predictions(job.store.folder / run_id, content)
                except InputError as error:
                    problems.append(str(error))
                    continue
                if not is_tried:
                    known = shares_of(predictions) is not None
                    check_metric(job.metric, classes_of(predictions), with_shares=known)
                    is_tried = True
                try:
                    computed.append((run_id, content, metric_value(job.metric, predictions)))
                except InputError as error:
                    problems.append(f"{run_id}: {error}")
            problems += filter(None, job.store.map(write, computed))
        send(problems)
    except InputError as error:
        send(error)


def metric_plan(metric: Metric, plan: Plan) -> list[str]:
    """The lines of a plan on the user's own metric: the runs that lack it, and changes of its code, which is not run.

    Args:
        metric: The study's metric.
        plan: The state of its runs.

    Returns:
        Some lines; none if nothing is to be computed.
    """
    code, ids = metric.user_code, missing_values(plan, metric)
    if code is None or not ids:
        return []
    runs = f"{len(ids)} finished {'run' if len(ids) == 1 else 'runs'}"
    found = plan.store.map(lambda run_id: earlier_version(plan.store.folder / run_id, code), ids)
    earlier = max(filter(None, found), key=lambda value: value["time"], default=None)
    return [
        f"The metric {metric.scale.title} will be computed for {runs}; no run becomes new by that.",
        *(f"  {line}" for line in (_changes(code, earlier) if earlier else [])),
    ]


def _changes(code: MetricCode, earlier: MetricFile) -> list[str]:
    """How the metric's options and code differ from those of an earlier value."""
    before, now = earlier["identity"].get("options", {}), code.identity["options"]
    defaults = {one.name: one.default for one in parameters_of(code.source, code.entry) or () if one.has_default}
    lines = [
        f"metric.options.{name} {_shown(before, defaults, name)} → {_shown(now, defaults, name)}"
        for name in dict.fromkeys([*before, *now]) if before.get(name) != now.get(name)
    ]  # fmt: skip
    is_same = earlier["identity"].get("source") == code.identity["source"]
    return lines + ([] if is_same else [code_change("the metric", earlier["source"], code, "of the earlier values")])


def _shown(options: dict[str, Any], defaults: dict[str, Any], name: str) -> str:
    return as_in_study(options.get(name, defaults.get(name)))
