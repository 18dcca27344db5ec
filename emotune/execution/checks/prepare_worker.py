"""The process in which runs are made ready: networks are built, weights and shards checked, images decoded."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from emotune.analysis.architecture import NetworksFile, architecture_summary
from emotune.config.backbone import BackboneConfig
from emotune.config.head_training import as_network
from emotune.config.input_spec import InputSpec
from emotune.config.run import DatasetRef, RunConfig
from emotune.config.study import Study
from emotune.core.child_process import serve
from emotune.core.errors import InputError, raise_if_any
from emotune.core.host import available_cpus
from emotune.core.sample_noun import speaking_of, worded
from emotune.data.datasets.location import manifest_of, materialise, outputs_of
from emotune.data.manifest import SPLITS
from emotune.data.read.open_dataset import decoded_shards, open_shards, order_of, room_needed, sizes_of
from emotune.execution.checks.advice import frozen_at_random, rate_of_sgd, slow_bf16
from emotune.execution.checks.architecture import describe, file_key
from emotune.execution.checks.disk import require_room
from emotune.execution.checks.overlaps import check_divisions, require_votes, shared_images, targets_without_effect
from emotune.execution.checks.stored_size import enlarged_images
from emotune.execution.checks.weights import check_initial_weights
from emotune.execution.plan.concurrency import concurrent_runs, uses_cluster
from emotune.runs.store import RunStore

__all__ = ["PreparationJob", "main", "work"]


@dataclass(frozen=True)
class PreparationJob:
    """What is to be made ready.

    Attributes:
        study: The study.
        datasets: The data sets that its runs read.
        runs: The runs that will be trained.
        inputs: The input of each variant's network.
        store: Where their directories go.
        executor: ``ray`` or ``local``.
        known: What the registry has of the networks of this study, or of others of its name.
    """

    study: Study
    datasets: tuple[DatasetRef, ...]
    runs: tuple[RunConfig, ...]
    inputs: Mapping[str, InputSpec]
    store: RunStore
    executor: str
    known: tuple[dict[str, Any], ...]

    @property
    def undivided(self) -> list[DatasetRef]:
        """The data sets with the splits of their shards, each once."""
        return list(dict.fromkeys(dataset.undivided for dataset in self.datasets))

    @property
    def cluster(self) -> bool:
        """Whether other machines train."""
        return uses_cluster(self.executor)


def main(descriptor: int) -> None:
    """Reads a job from stdin, does it, and sends lines and the result through the pipe with this descriptor."""
    serve(descriptor, work)


def work(job: PreparationJob, send: Callable[[Any], None]) -> None:
    """Sends lines on how far it is; in the end ``(networks, lines)``, or the error that says what cannot be used."""
    with speaking_of({dataset.frames for dataset in job.datasets}):
        _work(job, send)


def _work(job: PreparationJob, send: Callable[[Any], None]) -> None:
    resources = job.study.resources
    try:
        _require_gpus(job)
        for dataset in job.undivided:
            drawn = _counting(send, f"{dataset.name}: {{:,}} {worded('images')} drawn")
            materialise(dataset, drawn, workers=available_cpus())
        _require_libraries(job)
        _try_metric(job, send)
        lines = _check_user_code(job, send)
        networks = _networks(job, send)
        _check_optimizers(job)
        lines += architecture_summary(networks) + check_initial_weights(job.runs, send)
        lines += rate_of_sgd(job.runs) + frozen_at_random(job.runs) + slow_bf16(job.runs, resources, job.executor)
        lines += require_room(
            job.runs, _parameters(networks, job.study), job.store, _concurrent_runs(job),
            0 if job.cluster else room_needed(job.runs, resources.cache_gb),
        )  # fmt: skip
        for dataset in () if job.cluster else job.undivided:
            lines += _decode(dataset, job, send)
        if not job.cluster:  # else its machines have the images, and this one need not
            check_divisions(job.datasets)
            targets_without_effect(job.runs)
            require_votes(job.datasets)
            lines += shared_images(job.datasets) + enlarged_images(job.runs)
        send((networks, lines))
    except InputError as error:
        send(error)


def _require_gpus(job: PreparationJob) -> None:
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


def _require_libraries(job: PreparationJob) -> None:
    if len(job.study.networks) < len(job.study.variants):
        from emotune.models.baselines.build import require_libraries  # late: with torch

        require_libraries([model for model, _ in job.study.variants.values()])


def _check_optimizers(job: PreparationJob) -> None:
    """Lets torch check the values of optimizer options, whose names and types are right, and counts layers."""
    problems = []
    for variant, (model, train) in job.study.variants.items():
        if train.optimizer_options or train.layer_decay != 1:
            from emotune.training.optim import check_optimizer  # late: with torch

            try:
                check_optimizer(model, train, job.inputs[variant])
            except InputError as error:
                problems.append(f"variants.{variant}: {error}")
    raise_if_any(problems)


def _try_metric(job: PreparationJob, show: Callable[[str], None]) -> None:
    """Tries a metric of the user's own."""
    if job.study.metric.code:
        from emotune.analysis.user_metric import check_metric  # late: with pandas

        show("trying the metric")
        for dataset in job.undivided:
            distributions = dataset.task == "distributions"
            check_metric(job.study.metric, manifest_of(dataset).classes, with_shares=distributions)


def _check_user_code(job: PreparationJob, show: Callable[[str], None]) -> list[str]:
    """Tries networks, losses and augmentations that are the user's own code, and checks backbones of libraries; gives
    lines on what is to be known of them.
    """
    lines, problems = [], []
    for run in {(run.variant, run.dataset.whole): as_network(run) for run in job.runs}.values():
        of_library = isinstance(run.model, BackboneConfig) and isinstance(run.model.backbone, str)
        if not run.user_code and not of_library:
            continue
        from emotune.training.contract import check_division, try_user_code  # late: with torch

        classes, resources = len(outputs_of(run.dataset)), job.study.resources
        show(f"{run.variant}: trying its {'code' if run.user_code else 'backbone'}")
        try:
            notes = try_user_code(run, classes, resources) if run.user_code else []
            notes += check_division(run, classes, resources) if of_library else []
            lines += [f"{run.variant}: {note}" for note in notes]
        except InputError as error:
            problems.append(f"variants.{run.variant}: {error}")
    raise_if_any(list(dict.fromkeys(problems)))
    return list(dict.fromkeys(lines))


def _networks(job: PreparationJob, show: Callable[[str], None]) -> NetworksFile:
    classes = {dataset.name: len(outputs_of(dataset)) for dataset in job.undivided}
    key = file_key(job.study, classes, job.inputs)
    if known := next((value for value in job.known if value.get("key") == key), None):
        return cast(NetworksFile, known)  # the key covers the code that wrote it
    show("building networks")
    return describe(job.study, classes, job.inputs)


def _parameters(networks: NetworksFile, study: Study) -> dict[str, int]:
    """The number of parameters of each network, with as many classes as the data set with the most of them has."""
    largest = max(networks["networks"], key=lambda entry: entry["classes"])["variants"]
    parameters = {name: variant["parameters"] for name, variant in largest.items()}
    if study.aa:
        parameters[study.aa] = parameters[study.baseline]
    return parameters


def _concurrent_runs(job: PreparationJob) -> int:
    """The number of runs that are trained at a time, at least: what a cluster holds is not known here."""
    resources = job.study.resources
    gpus = 0
    if resources.gpus_per_worker and not job.cluster:
        import torch  # late: it takes seconds

        gpus = torch.cuda.device_count()
    return concurrent_runs(resources, job.executor, gpus) or 1


def _decode(dataset: DatasetRef, job: PreparationJob, show: Callable[[str], None]) -> list[str]:
    """Checks a data set's shards and decodes them in every size that a run needs; lines on what does not fit."""
    cpus, cache_gb = available_cpus(), job.study.resources.cache_gb
    runs = [run for run in job.runs if run.dataset.whole == dataset.name]
    order, sizes, shards = order_of(runs), sizes_of(runs), manifest_of(dataset).shards
    total, lines = sum(shard.samples for shard in shards), []
    if runs and not sizes:  # features are computed from the shards' files by the runs
        advance = _counting(
            show, f"{dataset.name}: {{:,}} of {total:,} {worded('images')} checked, once on this machine"
        )
        open_shards(dataset, SPLITS, decoded=(), order="shards", cache_gb=cache_gb, threads=cpus, advance=advance)
    for input_spec in sizes:
        decoded = decoded_shards(dataset, cache_gb, order, input_spec)
        size = f" to {input_spec.resize}×{input_spec.resize} pixels" if len(sizes) > 1 else ""
        what = f"decoded{size}" if decoded else "checked"
        advance = _counting(
            show, f"{dataset.name}: {{:,}} of {total:,} {worded('images')} {what}, once on this machine"
        )
        open_shards(
            dataset, SPLITS, input_spec,
            decoded=decoded, order=order, cache_gb=cache_gb, threads=cpus, advance=advance,
        )  # fmt: skip
        if indexed := [shard for shard in shards if shard.sha256 not in decoded]:
            splits = ", ".join(split for split in SPLITS if any(shard.split == split for shard in indexed))
            lines.append(
                f"{dataset.name}: {total:,} {worded('images')} decoded{size} exceed the cache's budget; those of "
                f"{splits} are decoded each time that they are needed, which takes longer and gives the same result."
            )
    return lines


def _counting(show: Callable[[str], None], text: str) -> Callable[[int], None]:
    """Shows the text with the sum of the numbers that it is called with."""
    done = 0

    def advance(images: int) -> None:
        nonlocal done
        done += images
        show(text.format(done))

    return advance
