"""What can be known at once, before anything is spent: whether the runs can be trained and written here."""

import math
import os
import shutil
from collections.abc import Iterator, Sequence

from emotune.config.model import NetworkConfig
from emotune.config.resources import Resources
from emotune.config.run import DatasetRef, RunConfig
from emotune.core.cache_dir import cache_folder
from emotune.core.errors import raise_if_any
from emotune.core.host import available_cpus
from emotune.core.storage import Folder
from emotune.data.datasets.location import is_ready, manifest_of
from emotune.execution.plan.concurrency import uses_cluster

__all__ = ["preflight"]


def preflight(
    runs: Sequence[RunConfig],
    pool: str,
    resources: Resources,
    executor: str,
    *,
    report: str | None = None,
    writing: bool = True,
) -> None:
    """Looks for what would make the runs fail.

    Args:
        runs: To be trained.
        pool: Where their directories go.
        resources: What each gets.
        executor: ``ray`` or ``local``.
        report: The folder that the report goes to.
        writing: Folders are tried by writing to them; else they are only looked at, which finds less.

    Raises:
        InputError: says everything that was found, and what to do.
    """
    problems = [*_batches(runs, resources), *_processes(pool, resources, executor), *_devices(resources, executor)]
    raise_if_any(list(dict.fromkeys(problems)))
    for folder in [pool, str(cache_folder()), *([report] if report else [])]:
        if writing:
            Folder(folder).require_writable()
        else:
            raise_if_any([*_looks_unwritable(folder)])


def _batches(runs: Sequence[RunConfig], resources: Resources) -> Iterator[str]:
    """Batches that leave a worker, or a piece of its share, without an image."""
    workers, accumulate = resources.workers, resources.accumulate
    who = ("1 worker" if workers == 1 else f"{workers} workers") + (
        f" × accumulate {accumulate}" if accumulate > 1 else ""
    )
    datasets = {run.dataset.name: run.dataset for run in runs}
    images = {name: _training_images(ref) for name, ref in datasets.items() if is_ready(ref)}
    for run in {(run.variant, run.dataset.name): run for run in runs}.values():
        if not isinstance(run.model, NetworkConfig):
            continue  # fitted at once
        size = run.train.batch_size
        if size < workers * accumulate:
            yield f"variants.{run.variant}: batch_size {size} is too small for {who}"
        elif size > (count := images.get(run.dataset.name, size)):
            yield (
                f"variants.{run.variant}: train.batch_size {size} is more than the {count} training images of "
                f"{run.dataset.name}; ask for at most {count}"
            )
        elif run.dataset.name in images:
            smallest = count // math.ceil(count / size)  # an epoch is cut evenly
            if smallest < workers * accumulate:
                yield (
                    f"variants.{run.variant}: {count} training images in {run.dataset.name} make batches of "
                    f"{smallest}, too small for {who}; ask for fewer"
                )


def _training_images(ref: DatasetRef) -> int:
    manifest = manifest_of(ref)
    return sum(manifest.count("train", label, ref.part) for label in manifest.classes)


def _processes(pool: str, resources: Resources, executor: str) -> Iterator[str]:
    workers, cpus = resources.workers, resources.workers * resources.cpus_per_worker
    if executor == "local" and workers > 1 and "WORLD_SIZE" not in os.environ:
        yield (
            f"resources: {workers} workers, but the local executor is one process; leave --executor local out, or "
            f"give the same command with torchrun --standalone --nproc-per-node {workers} in the place of python"
        )
    if executor == "ray" and pool.startswith("memory:"):
        yield f"{pool}: the processes of Ray do not share their memory; name a folder or a URL"
    if executor == "ray" and not uses_cluster(executor) and cpus > available_cpus():
        yield (
            f"resources: a run asks for {workers} × {resources.cpus_per_worker} CPU, this machine has "
            f"{available_cpus()}; ask for less, or name a cluster in RAY_ADDRESS"
        )


def _devices(resources: Resources, executor: str) -> Iterator[str]:
    compiler = os.environ.get("CXX") or "g++"
    here = not uses_cluster(executor)  # what a cluster's nodes have is not known
    if resources.compile and not resources.gpus_per_worker and here and not shutil.which(compiler.split()[0]):
        yield (
            f'resources.compile: there is no C++ compiler "{compiler}" here; install one, name it in CXX, or set '
            "compile: false"
        )


def _looks_unwritable(folder: str) -> Iterator[str]:
    path = Folder(folder).local
    if path is None:  # only writing would tell
        return
    there = next(place for place in (path, *path.parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        why = "may not be written to" if there.is_dir() else "is a file"
        yield f"{folder}: cannot be written to ({there} {why}); name another place"
