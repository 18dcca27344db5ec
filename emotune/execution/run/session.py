"""A study as the command line has it, and how its runs are carried out."""

import argparse
import math
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console

from emotune.config.labels import MIKELS
from emotune.config.load import load_study, shipped_study
from emotune.config.run import DatasetRef, RunConfig
from emotune.config.study import Study
from emotune.core.errors import InputError
from emotune.data.datasets.location import is_ready, manifest_of
from emotune.data.datasets.resolve import resolve_datasets
from emotune.execution.checks.prepare import preparing
from emotune.execution.plan.plan import Plan, make_plan, reopen_damaged
from emotune.models.weights.resolve import resolve_weights
from emotune.runs.directory import State

__all__ = ["QUICKSTART", "Execute", "StudySession", "pool_of", "prepared", "train_all"]

QUICKSTART = "quickstart"
"""The study, where none is named."""
ROUNDS = 3
"""Times that one command takes up a run which other processes, or lost machines, leave unfinished."""


@dataclass(frozen=True)
class StudySession:
    """A study as the command line has it, its data sets, and all its runs in their pool."""

    study: Study
    datasets: tuple[DatasetRef, ...]
    runs: tuple[RunConfig, ...]
    pool: str

    @staticmethod
    def of(options: argparse.Namespace, file: str | None) -> "StudySession":
        """The study in ``file`` (default: the quickstart), with what the options say instead.

        Raises:
            InputError: it, its data or its weights cannot be used.
        """
        path = Path(file) if file else shipped_study(QUICKSTART)
        study = _overridden(load_study(path, aa=options.aa), options)
        datasets = resolve_datasets(study.datasets)
        for dataset in datasets:
            study.metric.check_classes(dataset.name, manifest_of(dataset).classes if is_ready(dataset) else MIKELS)
        return StudySession(study, datasets, study.runs(datasets, resolve_weights(study.variants)), pool_of(options))


def pool_of(options: argparse.Namespace) -> str:
    """The pool that ``--runs`` names: a URL or an absolute path.

    Raises:
        InputError: it is a file, or no path at all.
    """
    if "://" in options.runs:
        return options.runs
    try:
        path = Path(options.runs).resolve()
        is_file = path.exists() and not path.is_dir()
    except (OSError, RuntimeError) as error:  # too long a name; links in a circle
        raise InputError(
            f"--runs {options.runs}: cannot be used ({getattr(error, 'strerror', None) or error})"
        ) from None
    if is_file:
        raise InputError(f"--runs {options.runs}: is a file; name the folder in which runs are, or will be")
    return str(path)


def _overridden(study: Study, options: argparse.Namespace) -> Study:
    """The study with what the command line says instead."""
    said = vars(options)
    for name, least in (("seeds", 1), ("workers", 1), ("gpus_per_worker", 0), ("cache_gb", 0), ("stall_minutes", 0),
                        ("wait", 0)):  # fmt: skip
        if said.get(name) is not None and not least <= said[name] < math.inf:
            asked = "a positive number" if least else "zero or more"
            raise InputError(f"--{name.replace('_', '-')} {said[name]}: give {asked}")
    resources = {name: said[name] for name in ("workers", "gpus_per_worker", "cache_gb") if said.get(name) is not None}
    try:
        chosen = replace(study.resources, **resources)
    except ValidationError as error:
        raise InputError("\n".join(f"resources: {item['ctx']['error']}" for item in error.errors())) from None
    return replace(study, seeds=said.get("seeds") or study.seeds, resources=chosen)


Execute = Callable[..., None]


@contextmanager
def executing(
    console: Console, work: StudySession, options: argparse.Namespace, stopping: Callable[[], bool]
) -> Iterator[Execute]:
    """What trains runs into a pool as the options say, ``execute(runs, pool, steps=None)``: here, or on Ray.

    This process is connected to Ray for as long as it may be used. With ``steps``, only so many of each run are
    trained.
    """
    from emotune.execution.monitor.display import ProgressDisplay
    from emotune.execution.monitor.observer import RunObservers
    from emotune.execution.monitor.tensorboard import TensorBoardWriter

    resources = work.study.resources
    with ExitStack() as stack:
        if options.executor == "local":
            from emotune.execution.run.local import run_locally as train
        else:
            from emotune.execution.run.ray_session import ray_connection

            stack.enter_context(ray_connection(resources))
            from emotune.execution.run.ray_executor import run_on_ray  # imports Ray, which the connection has set up

            if os.environ.get("RAY_ADDRESS"):
                from emotune.execution.run.node_checks import check_nodes, require_cluster

                with console.status("looking at the cluster") as status:
                    require_cluster(resources, 60 * options.wait, status.update)
                    check_nodes(work.pool, work.datasets, resources)
            train = partial(run_on_ray, stall_s=60 * options.stall_minutes)

        def execute(runs: Sequence[RunConfig], pool: str, steps: int | None = None) -> None:
            events = [TensorBoardWriter(options.tensorboard, runs)] if options.tensorboard and not steps else []
            shown = Console(quiet=True) if steps else console  # that such runs are left is meant
            with RunObservers([ProgressDisplay(shown, runs), *events]) as observers:
                train(runs, pool, observers, resources, stopping=stopping, steps=steps)

        yield execute


def train_all(
    work: StudySession, plan: Plan, ids: Collection[str], execute: Execute, stopping: Callable[[], bool]
) -> Plan:
    """Trains until there is nothing to do: another process may die meanwhile and leave its runs to this one."""
    begun: Counter[str] = Counter()
    failed: set[str] = set()
    while runs := [r for r in plan.to_do if r.id in ids and r.id not in failed and begun[r.id] < ROUNDS]:
        begun.update(run.id for run in runs)
        reopen_damaged(plan, runs, work.pool)
        execute(runs, work.pool)
        plan = make_plan(work.runs, work.pool)
        if stopping():
            break
        failed |= {run.id for run in runs if plan.statuses[run.id].state is State.FAILED}
    return plan


@contextmanager
def prepared(
    console: Console,
    work: StudySession,
    runs: Sequence[RunConfig],
    options: argparse.Namespace,
    stopping: Callable[[], bool],
    *,
    keep: bool = True,
) -> Iterator[Execute]:
    """What trains runs, when all is ready on this machine; Ray starts meanwhile.

    Raises:
        InputError: a network, a shard or weights cannot be used, or the cluster is not as it must be.
    """
    with (
        preparing(work.study, work.datasets, runs, work.pool, options.executor, planned=work.runs, keep=keep) as ready,
        executing(console, work, options, stopping) as execute,
    ):
        with console.status("looking at networks and images") as status:
            lines = ready(status.update)
        for line in lines:
            console.print(line, highlight=False)
        yield execute
