"""What takes a moment before runs can begin, in a process of its own, so that the one that plans stays small.

Networks are compared, weights and shards are checked, images decoded; what was done before is only looked up.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from emotune.analysis.architecture import architecture_summary
from emotune.config.run import DatasetRef, RunConfig
from emotune.config.study import Study
from emotune.core.errors import InputError, raise_if_any
from emotune.core.host import available_cpus
from emotune.data.datasets.location import manifest_of, materialise
from emotune.data.manifest import SPLITS
from emotune.data.read.open_dataset import decoded_shards, open_shards, order_of, room_needed
from emotune.execution.checks.advice import slow_bf16
from emotune.execution.checks.architecture import describe, file_key
from emotune.execution.checks.disk import require_room
from emotune.execution.checks.overlaps import shared_images, targets_without_effect
from emotune.runs.registry import Registry

__all__ = ["prepare", "preparing"]


@dataclass(frozen=True)
class _Job:
    """What `prepare` was asked for, and what earlier ones wrote down of networks."""

    study: Study
    datasets: tuple[DatasetRef, ...]
    runs: tuple[RunConfig, ...]
    pool: str
    executor: str
    known: tuple[dict[str, Any], ...]

    @property
    def cluster(self) -> bool:
        """Whether other machines train."""
        return self.executor == "ray" and bool(os.environ.get("RAY_ADDRESS"))


def prepare(
    study: Study,
    datasets: Sequence[DatasetRef],
    runs: Sequence[RunConfig],
    pool: str,
    executor: str,
    show: Callable[[str], None] = lambda text: None,
) -> list[str]:
    """What `preparing` gives, waited for."""
    with preparing(study, datasets, runs, pool, executor) as prepared:
        return prepared(show)


@contextmanager
def preparing(
    study: Study,
    datasets: Sequence[DatasetRef],
    runs: Sequence[RunConfig],
    pool: str,
    executor: str,
    *,
    planned: Sequence[RunConfig] | None = None,
    keep: bool = True,
) -> Iterator[Callable[[Callable[[str], None]], list[str]]]:
    """Makes ready what the runs need, in this order, so that little is spent before a mistake is found.

    GPUs of this machine are counted, if it is the one that trains. The embedded images are drawn if they are not
    there. Every variant's network is built and compared with the baseline's (`emotune.execution.checks.architecture`);
    weights that runs begin with are fetched and held against the networks; room on disks is compared with what will be
    written. Every shard is checked against its manifest and decoded, or, where the cache has no room, indexed. Of a
    cluster, each machine that trains does that itself, for its first run: the one that the command runs on need not
    have room.

    Args:
        study: Whose runs these are.
        datasets: What the runs read.
        runs: To be trained.
        pool: Where their directories go, and where it is written down how networks differ.
        executor: ``ray`` or ``local``.
        planned: All runs of the study; those to be trained are some of them. Default: these alone.
        keep: Whether networks are written down in the pool.

    Yields:
        What waits until all is ready, calling its argument with lines on how far it is. It returns a line for each
        variant's network, and one for whatever else is worth knowing.

    Raises:
        InputError: from waiting: says what cannot be trained, or what is missing, and what to do.
    """
    registry, planned = Registry(pool), runs if planned is None else planned
    known = tuple(registry.networks(study, planned))
    job = _Job(study, tuple(datasets), tuple(runs), pool, executor, known)
    context = get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(job, sender))

    def wait(show: Callable[[str], None]) -> list[str]:
        networks, lines = _said(process, receiver, show)
        if keep:
            registry.write_networks(study, planned, networks)
        return lines

    process.start()
    sender.close()  # so that the end of the process is the end of what can be received
    try:
        yield wait
    finally:
        process.terminate()  # a shard that is half decoded is begun again
        process.join()
        receiver.close()


def _said(process: BaseProcess, receiver: Connection, show: Callable[[str], None]) -> tuple[dict[str, Any], list[str]]:
    """The last that the process says."""
    try:
        while isinstance(said := receiver.recv(), str):
            show(said)
    except EOFError:
        process.join()
        raise RuntimeError(f"the process that decodes images ended with exit code {process.exitcode}") from None
    if isinstance(said, InputError):
        raise said
    return said


def _work(job: _Job, sender: Connection) -> None:
    """Sends lines on how far it is, then the networks and lines, or the error, that `prepare` ends with."""
    resources = job.study.resources
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):  # the other process speaks of it, or is no more
        try:
            _require_gpus(job)
            for dataset in job.datasets:
                drawn = _counting(sender.send, f"{dataset.name}: {{:,}} images drawn")
                materialise(dataset, drawn, workers=available_cpus())
            _require_libraries(job)
            networks = _networks(job, sender.send)
            lines = architecture_summary(networks) + _check_weights(job.runs, sender.send)
            lines += slow_bf16(job.runs, resources, job.executor)
            lines += require_room(
                job.runs, _parameters(networks, job.study), job.pool, _at_a_time(job),
                0 if job.cluster else room_needed(job.runs, resources.cache_gb),
            )  # fmt: skip
            for dataset in () if job.cluster else job.datasets:
                lines += _decode(dataset, job, sender.send)
            if not job.cluster:  # else its machines have the images, and this one need not
                targets_without_effect(job.runs)
                lines += shared_images(job.datasets)
            sender.send((networks, lines))
        except InputError as error:
            sender.send(error)


def _require_gpus(job: _Job) -> None:
    """A run that does not fit on the only machine there is would wait for ever."""
    resources, executor = job.study.resources, job.executor
    if not resources.gpus_per_worker or job.cluster:
        return
    import torch  # late: it takes seconds

    here, asked = torch.cuda.device_count(), resources.workers * resources.gpus_per_worker
    if executor == "local":
        asked = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # one for each process
    if asked > here:
        cluster = "" if executor == "local" else ", or name a cluster in RAY_ADDRESS"
        raise InputError(
            f"resources: a run asks for {asked:g} GPUs, torch sees {here} on this machine; ask for less "
            f"(--gpus-per-worker 0){cluster}"
        )


def _require_libraries(job: _Job) -> None:
    if len(job.study.networks) < len(job.study.variants):
        from emotune.models.baselines.baselines import require_libraries  # late: with torch

        require_libraries([model for model, _ in job.study.variants.values()])


def _networks(job: _Job, show: Callable[[str], None]) -> dict[str, Any]:
    classes = {dataset.name: len(manifest_of(dataset).classes) for dataset in job.datasets}
    key = file_key(job.study, classes)
    if known := next((value for value in job.known if value.get("key") == key), None):
        return known
    show("building networks")
    return describe(job.study, classes)


def _parameters(networks: dict[str, Any], study: Study) -> dict[str, int]:
    """Of each network that is trained; with the most classes, if data sets have different numbers."""
    largest = max(networks["networks"], key=lambda entry: entry["classes"])["variants"]
    found = {name: variant["parameters"] for name, variant in largest.items()}
    if study.aa:
        found[study.aa] = found[study.baseline]
    return found


def _at_a_time(job: _Job) -> int:
    """Runs that are trained at a time; at least: what a cluster holds is not known here."""
    resources = job.study.resources
    if job.executor == "local" or job.cluster:
        return 1
    if not resources.gpus_per_worker:
        return resources.runs_on(available_cpus(), 0)
    import torch  # late: it takes seconds

    return resources.runs_on(available_cpus(), torch.cuda.device_count())


def _check_weights(runs: Sequence[RunConfig], show: Callable[[str], None]) -> list[str]:
    """Reads the weights of every variant that does not begin from scratch; says what speaks against them."""
    notes, problems = [], []
    for run in {(run.variant, run.dataset.name): run for run in runs if run.weights}.values():
        from emotune.models.weights.initial_weights import check_weights

        show(f"{run.variant}: looking at the weights in {run.weights.location}")
        try:
            initialisation = check_weights(run, manifest_of(run.dataset).classes)
            notes += [f"{run.variant}: {initialisation.note}."] if initialisation.note else []
        except InputError as error:
            problems.append(f"variants.{run.variant}: train.init: {error}")
    raise_if_any(list(dict.fromkeys(problems)))
    return list(dict.fromkeys(notes))


def _decode(dataset: DatasetRef, job: _Job, show: Callable[[str], None]) -> list[str]:
    cpus, cache_gb = available_cpus(), job.study.resources.cache_gb
    order = order_of(run for run in job.runs if run.dataset.identity == dataset.identity)
    shards, decoded = manifest_of(dataset).shards, decoded_shards(dataset, cache_gb, order)
    total, what = sum(shard.samples for shard in shards), "decoded" if decoded else "checked"
    advance = _counting(show, f"{dataset.name}: {{:,}} of {total:,} images {what}, once on this machine")
    open_shards(dataset, SPLITS, decoded=decoded, order=order, cache_gb=cache_gb, threads=cpus, advance=advance)
    indexed = [shard for shard in shards if shard.sha256 not in decoded]
    if not indexed:
        return []
    splits = ", ".join(split for split in SPLITS if any(shard.split == split for shard in indexed))
    return [
        f"{dataset.name}: {total:,} decoded images exceed the cache's budget; those of {splits} are decoded each "
        "time that they are needed, which takes longer and gives the same result."
    ]


def _counting(show: Callable[[str], None], text: str) -> Callable[[int], None]:
    """Shows the text with the sum of the numbers that it is called with."""
    done = 0

    def advance(images: int) -> None:
        nonlocal done
        done += images
        show(text.format(done))

    return advance
