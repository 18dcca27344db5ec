"""Checks before anything else: whether the runs fit their resources, and whether their folders can be written to."""

import math
import os
import shutil
from collections.abc import Iterator, Sequence

from emotune.config.network import NetworkConfig
from emotune.config.resources import Resources
from emotune.config.run import RunConfig
from emotune.core.cache_dir import cache_folder
from emotune.core.errors import raise_if_any
from emotune.core.host import available_cpus
from emotune.core.sample_noun import worded
from emotune.core.storage import Folder
from emotune.data.datasets.counts import images_in
from emotune.data.datasets.location import is_ready
from emotune.execution.plan.concurrency import uses_cluster
from emotune.runs.store import RunStore

__all__ = ["preflight"]


def preflight(
    runs: Sequence[RunConfig],
    store: RunStore,
    resources: Resources,
    executor: str,
    *,
    report: str | None = None,
    writing: bool = True,
) -> None:
    """Checks in a moment, without torch, what would make the runs fail.

    Args:
        runs: The runs that are going to be trained.
        store: The folder of all run directories.
        resources: The resources of each run.
        executor: ``ray`` or ``local``.
        report: The folder of the report.
        writing: Whether folders are checked by writing to them; otherwise only their permissions are read.

    Raises:
        InputError: Something would make the runs fail; the message lists all problems and what to do.
    """
    problems = [
        *_batch_problems(runs, resources),
        *_process_problems(store, resources, executor),
        *_compiler_problems(resources, executor),
    ]
    raise_if_any(list(dict.fromkeys(problems)))
    for folder in [store.url, str(cache_folder()), *([report] if report else [])]:
        if writing:
            Folder(folder).require_writable()
        else:
            raise_if_any([*_permission_problems(folder)])


def _batch_problems(runs: Sequence[RunConfig], resources: Resources) -> Iterator[str]:
    """Batches that leave a worker, or a piece of its share, without an image."""
    workers, accumulate = resources.workers, resources.accumulate
    pieces = ("1 worker" if workers == 1 else f"{workers} workers") + (
        f" × accumulate {accumulate}" if accumulate > 1 else ""
    )
    datasets = {run.dataset.name: run.dataset for run in runs}
    images = {name: images_in(ref, "train") for name, ref in datasets.items() if is_ready(ref)}
    for run in {(run.variant, run.dataset.name): run for run in runs}.values():
        if not isinstance(run.model, NetworkConfig):
            continue  # it is not trained in batches
        size = run.train.batch_size
        if size < workers * accumulate:
            yield f"variants.{run.variant}: train.batch_size {size} is too small for {pieces}"
        elif size > (count := images.get(run.dataset.name, size)):
            yield (
                f"variants.{run.variant}: train.batch_size {size} is more than the {count} training {worded('images')} "
                f"of {run.dataset.name}; set at most {count}"
            )
        elif run.dataset.name in images:
            smallest = count // math.ceil(count / size)  # an epoch is cut into batches of equal size
            if smallest < workers * accumulate:
                yield (
                    f"variants.{run.variant}: {count} training {worded('images')} in {run.dataset.name} make batches "
                    f"of {smallest}, too small for {pieces}; ask for fewer"
                )


def _process_problems(store: RunStore, resources: Resources, executor: str) -> Iterator[str]:
    """Workers that cannot be started, or cannot reach the run directories."""
    workers, cpus = resources.workers, resources.workers * resources.cpus_per_worker
    if executor == "local" and workers > 1 and "WORLD_SIZE" not in os.environ:
        yield (
            f"resources: {workers} workers, but --executor local is one process; omit this option, or give the same "
            f"command with torchrun --standalone --nproc-per-node {workers} instead of python"
        )
    if executor == "ray" and store.url.startswith("memory:"):
        yield f"{store}: Ray's processes do not share their memory; name a folder or a URL"
    if executor == "ray" and not uses_cluster(executor) and cpus > available_cpus():
        yield (
            f"resources: a run asks for {workers} × {resources.cpus_per_worker} CPU, this machine has "
            f"{available_cpus()}; ask for less, or name a cluster in RAY_ADDRESS"
        )


def _compiler_problems(resources: Resources, executor: str) -> Iterator[str]:
    compiler = os.environ.get("CXX") or "g++"
    here = not uses_cluster(executor)  # whether a cluster's nodes have a compiler is not known
    if resources.compile and not resources.gpus_per_worker and here and not shutil.which(compiler.split()[0]):
        yield (
            f'resources.compile: the C++ compiler "{compiler}" is not found; install one, name it in CXX, or set '
            "compile: false"
        )


def _permission_problems(folder: str) -> Iterator[str]:
    path = Folder(folder).local
    if path is None:  # behind a URL permissions show only when something is written
        return
    existing = next(place for place in (path, *path.parents) if place.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        reason = "may not be written to" if existing.is_dir() else "is a file"
        yield f"{folder}: cannot be written to ({existing} {reason}); name another folder"
