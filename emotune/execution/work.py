"""A study as the command line has it, and how its runs are carried out."""

import argparse
import math
import os
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console

from emotune.data.datasets import is_ready, manifest_of, resolve
from emotune.emotions import MIKELS
from emotune.errors import InputError
from emotune.execution.ledger import Plan, make_plan
from emotune.execution.preparation import prepare
from emotune.pretrained import resolve_weights
from emotune.run import DatasetRef, RunConfig
from emotune.run_directory import State
from emotune.study import Study, load_study, shipped_study

__all__ = ["Work", "execute", "pool_of", "prepare_all", "train_all"]

ROUNDS = 3
"""Times that one command takes up a run which other processes, or lost machines, leave unfinished."""


@dataclass(frozen=True)
class Work:
    """A study as the command line has it, its data sets, and all its runs in their pool."""

    study: Study
    datasets: tuple[DatasetRef, ...]
    runs: tuple[RunConfig, ...]
    pool: str

    @staticmethod
    def of(options: argparse.Namespace, file: str | None) -> "Work":
        """The study in ``file`` (default: the quickstart), with what the options say instead.

        Raises:
            InputError: it, its data or its weights cannot be used.
        """
        path = Path(file) if file else shipped_study("quickstart")
        study = _overridden(load_study(path), options)
        datasets = resolve(study.datasets)
        for dataset in datasets:
            study.metric.require_sense(dataset.name, manifest_of(dataset).classes if is_ready(dataset) else MIKELS)
        return Work(study, datasets, study.runs(datasets, resolve_weights(study.variants)), pool_of(options))


def pool_of(options: argparse.Namespace) -> str:
    """The pool that ``--runs`` names: a URL or an absolute path."""
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
    try:
        chosen = replace(study.resources, **resources)
    except ValidationError as error:
        raise InputError("\n".join(f"resources: {item['ctx']['error']}" for item in error.errors())) from None
    return replace(study, seeds=said.get("seeds") or study.seeds, resources=chosen)


def train_all(
    console: Console,
    work: Work,
    plan: Plan,
    ids: Collection[str],
    options: argparse.Namespace,
    stopping: Callable[[], bool],
) -> Plan:
    """Trains until there is nothing to do: another process may die meanwhile and leave its runs to this one."""
    begun: Counter[str] = Counter()
    failed: set[str] = set()
    while runs := [r for r in plan.to_do if r.id in ids and r.id not in failed and begun[r.id] < ROUNDS]:
        begun.update(run.id for run in runs)
        execute(console, work, options, stopping, runs, work.pool)
        plan = make_plan(work.runs, work.pool)
        if stopping():
            break
        failed |= {run.id for run in runs if plan.statuses[run.id].state is State.FAILED}
    return plan


def prepare_all(console: Console, work: Work, runs: Sequence[RunConfig], executor: str, *, keep: bool = True) -> None:
    """Has networks compared, pictures drawn and decoded and weights fetched, on this machine.

    Raises:
        InputError: a shard or weights cannot be used.
    """
    with console.status("looking at networks and pictures") as status:
        notes = prepare(work.study, work.datasets, runs, work.pool, executor, status.update, keep=keep)
    for line in notes:
        console.print(line, highlight=False)


def execute(
    console: Console,
    work: Work,
    options: argparse.Namespace,
    stopping: Callable[[], bool],
    runs: Sequence[RunConfig],
    pool: str,
    steps: int | None = None,
) -> None:
    """Trains runs into a pool as the options say; of each only a few ``steps``, if these are given."""
    from emotune.execution.events import EventFiles
    from emotune.execution.progress import RunLines, Watchers

    resources = work.study.resources
    events = [EventFiles(options.tensorboard)] if options.tensorboard and not steps else []
    with Watchers([RunLines(console, runs), *events]) as watchers:
        if options.executor == "local":
            from emotune.execution.local import run_locally

            run_locally(runs, pool, watchers, resources, stopping=stopping, steps=steps)
        else:
            from emotune.execution.connection import ray_connection

            with ray_connection(resources):
                from emotune.execution.tune import run_on_ray  # imports Ray, which the connection has set up

                if os.environ.get("RAY_ADDRESS"):
                    from emotune.execution.cluster import check_nodes, require_cluster

                    with console.status("looking at the cluster") as status:
                        require_cluster(resources, 60 * options.wait, status.update)
                        check_nodes(pool, work.datasets, resources)
                stall_s = 60 * options.stall_minutes
                run_on_ray(runs, pool, watchers, resources, stall_s=stall_s, stopping=stopping, steps=steps)
