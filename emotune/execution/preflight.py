"""What can be known before anything is spent: whether the runs can be trained, written and read here."""

import contextlib
import os
import shutil
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection

from emotune.data.cache import decodable_splits, open_shards
from emotune.data.datasets import ensure, manifest_of
from emotune.data.manifest import SPLITS
from emotune.data.stream import require_shards
from emotune.errors import InputError, refuse
from emotune.machine import available_cpus
from emotune.run import DatasetRef, RunConfig
from emotune.storage import Folder
from emotune.study import Resources

__all__ = ["check", "prepare"]


def check(runs: Sequence[RunConfig], pool: str, resources: Resources, executor: str, *, write: bool = True) -> None:
    """Looks for what would make the runs fail.

    Args:
        runs: To be trained.
        pool: Where their directories go.
        resources: What each gets.
        executor: ``ray`` or ``local``.
        write: Also whether the pool can be written to, which leaves an empty folder where there was none.

    Raises:
        InputError: says what, and what to do.
    """
    workers, cpus = resources.workers, resources.workers * resources.cpus_per_worker
    accumulate, who = resources.accumulate, "1 worker" if workers == 1 else f"{workers} workers"
    if small := next((run for run in runs if run.train.batch_size < workers * accumulate), None):
        raise InputError(
            f"variants.{small.variant}: batch_size {small.train.batch_size} is too small for {who}"
            + (f" × accumulate {accumulate}" if accumulate > 1 else "")
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
    compiler = os.environ.get("CXX") or "g++"
    here = executor == "local" or not os.environ.get("RAY_ADDRESS")  # what a cluster's nodes have is not known
    if resources.compile and not resources.gpus_per_worker and here and not shutil.which(compiler.split()[0]):
        raise InputError(
            f'resources.compile: there is no C++ compiler "{compiler}" here; install one, name it in CXX, or set '
            "compile: false"
        )
    if write:
        Folder(pool).require_writable()


def prepare(
    datasets: Sequence[DatasetRef],
    resources: Resources,
    show: Callable[[str], None] = lambda text: None,
    runs: Sequence[RunConfig] = (),
) -> list[str]:
    """Draws the embedded pictures if they are not there, checks every shard against its manifest and decodes it.

    Weights that runs begin with are fetched and held against the networks.

    In a process of its own, so that this one stays small; what is decoded already is only looked up, and what does not
    fit the cache is checked, but not decoded.

    Args:
        datasets: What the runs read.
        resources: What each run gets.
        show: Called with a line on how far it is.
        runs: To be trained.

    Returns:
        A line for each data set that does not fit this machine's cache, and for each variant whose weights were trained
        in another network.

    Raises:
        InputError: a shard is missing or damaged, or there are too few to be streamed; weights do not fit.
    """
    context = get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_prepare, args=(tuple(datasets), resources, tuple(runs), sender))
    process.start()
    sender.close()  # so that the end of the process is the end of what can be received
    try:
        while isinstance(said := receiver.recv(), str):
            show(said)
    except EOFError:
        process.join()
        raise RuntimeError(f"the process that decodes pictures ended with exit code {process.exitcode}") from None
    except BaseException:
        process.terminate()  # a shard that is half decoded is begun again
        raise
    finally:
        process.join()
        receiver.close()
    if isinstance(said, InputError):
        raise said
    return said


def _prepare(
    datasets: Sequence[DatasetRef], resources: Resources, runs: Sequence[RunConfig], sender: Connection
) -> None:
    """Sends lines on how far it is, then what `prepare` returns or raises."""
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):  # the other process speaks of it, or is no more
        try:
            for dataset in datasets:
                drawn = _counting(sender.send, f"{dataset.name}: {{:,}} pictures drawn")
                ensure(dataset, drawn, workers=available_cpus())
            lines = _check_weights(runs, sender.send)  # sooner done than decoding
            for dataset in datasets:
                lines += _decode(dataset, resources, sender.send)
            sender.send(lines)
        except InputError as error:
            sender.send(error)


def _check_weights(runs: Sequence[RunConfig], show: Callable[[str], None]) -> list[str]:
    """Reads the weights of every variant that does not begin from scratch; says what speaks against them."""
    notes, problems = [], []
    for run in {(run.variant, run.dataset.name): run for run in runs if run.weights}.values():
        from emotune.models.weights import check_weights

        show(f"{run.variant}: looking at the weights in {run.weights.location}")
        try:
            initialisation = check_weights(run, manifest_of(run.dataset).classes)
            notes += [f"{run.variant}: {initialisation.note}."] if initialisation.note else []
        except InputError as error:
            problems.append(f"variants.{run.variant}: train.init: {error}")
    refuse(list(dict.fromkeys(problems)))
    return list(dict.fromkeys(notes))


def _decode(dataset: DatasetRef, resources: Resources, show: Callable[[str], None]) -> list[str]:
    cpus, cache_gb = available_cpus(), resources.cache_gb
    manifest, decoded = manifest_of(dataset), decodable_splits(dataset, cache_gb)
    if "train" not in decoded:
        require_shards(manifest, resources.workers)
    total, what = sum(shard.samples for shard in manifest.shards), "decoded" if decoded else "checked"
    advance = _counting(show, f"{dataset.name}: {{:,}} of {total:,} pictures {what}, once on this machine")
    open_shards(dataset, SPLITS, decoded=decoded, cache_gb=cache_gb, threads=cpus, advance=advance)
    if len(decoded) == len(SPLITS):
        return []
    streamed = ", ".join(split for split in SPLITS if split not in decoded)
    return [f"{dataset.name}: {total:,} decoded pictures exceed the cache's budget; {streamed} will be streamed."]


def _counting(show: Callable[[str], None], text: str) -> Callable[[int], None]:
    """Shows the text with the sum of the numbers that it is called with."""
    done = 0

    def advance(pictures: int) -> None:
        nonlocal done
        done += pictures
        show(text.format(done))

    return advance
