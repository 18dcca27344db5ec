"""What can be known before anything is spent: whether the runs can be trained, written and read here."""

import contextlib
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from emotune.data.cache import open_split
from emotune.data.datasets import ensure
from emotune.data.manifest import SPLITS
from emotune.errors import InputError
from emotune.machine import available_cpus
from emotune.run import DatasetRef, RunConfig
from emotune.storage import Folder
from emotune.study import Resources

__all__ = ["check", "prepare"]


def check(runs: Sequence[RunConfig], pool: str, resources: Resources, executor: str) -> None:
    """Looks for what would make the runs fail.

    Args:
        runs: To be trained.
        pool: Where their directories go.
        resources: What each gets.
        executor: ``ray`` or ``local``.

    Raises:
        InputError: says what, and what to do.
    """
    workers, cpus = resources.workers, resources.workers * resources.cpus_per_worker
    if small := next((run for run in runs if run.train.batch_size < workers), None):
        raise InputError(
            f"variants.{small.variant}: batch_size {small.train.batch_size} is too small for {workers} workers"
        )
    if executor == "local" and workers > 1 and "WORLD_SIZE" not in os.environ:
        raise InputError(
            f"resources: {workers} workers, but the local executor is one process; leave --executor local out, or "
            f"start it with torchrun --standalone --nproc-per-node {workers} -m emotune.ablate …"
        )
    if executor == "ray" and pool.startswith("memory:"):
        raise InputError(f"{pool}: the processes of Ray do not share their memory; name a folder or a URL")
    if executor == "ray" and not os.environ.get("RAY_ADDRESS") and cpus > available_cpus():
        raise InputError(
            f"resources: a run asks for {workers} × {resources.cpus_per_worker} CPU, this machine has "
            f"{available_cpus()}; ask for less, or name a cluster in RAY_ADDRESS"
        )
    Folder(pool).require_writable()


def prepare(datasets: Sequence[DatasetRef]) -> None:
    """Draws the embedded pictures if they are not there, checks every shard against its manifest and decodes it.

    In a process of its own, so that this one stays small; what is decoded already is only looked up.

    Raises:
        InputError: a shard is missing or damaged.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        pool.submit(_prepare, tuple(datasets)).result()


def _prepare(datasets: Sequence[DatasetRef]) -> None:
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C reaches both processes; the other one speaks of it
        for dataset in datasets:
            ensure(dataset, workers=available_cpus())
            for split in SPLITS:
                open_split(dataset, split)
