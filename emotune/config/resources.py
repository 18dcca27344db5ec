"""Compute resources of a run: workers, CPUs, GPUs, cache. They do not change results, apart from rounding."""

import math
from typing import Annotated

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from emotune.config.types import FORBID_UNKNOWN_KEYS, Count, Number

__all__ = ["EVALUATION_BATCH_SIZE", "Resources"]

EVALUATION_BATCH_SIZE = 50
"""The number of images in a batch of validation, test or prediction."""


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class Resources:
    """The resources of each run. They are not part of its identity: more workers give the same result sooner.

    Attributes:
        workers: The number of workers (ranks) of a run.
        cpus_per_worker: The number of CPUs of each worker.
        gpus_per_worker: The number of GPUs of each worker; a fraction lets several runs share a GPU.
        cache_gb: The disk space for decoded images on each machine, in 10⁹ bytes. Default: the free space, minus a
            tenth of the disk or 5 GB, whichever is less. Images that do not fit are read from their shards, which are
            copied to the disk if they are behind a URL.
        accumulate: The number of pieces in which a worker computes its share of a batch, one after another, to use less
            memory.
        compile: Whether training steps are compiled, which takes a minute and needs a C++ compiler (on GPUs: Triton).
        deterministic: Whether GPUs use only operations that repeat their results to the bit; CPUs always do.
    """

    workers: Count = 1
    cpus_per_worker: Count = 1
    gpus_per_worker: Annotated[Number, Field(ge=0)] = 0.0
    cache_gb: Annotated[Number, Field(ge=0)] | None = None
    accumulate: Count = 1
    compile: bool = False
    deterministic: bool = False

    def workers_on(self, cpus: float, gpus: float) -> int:
        """The number of workers that fit on a machine with these CPUs and GPUs if nothing else runs there."""
        by_cpus, per_worker = int(cpus // self.cpus_per_worker), self.gpus_per_worker
        if not per_worker:
            return by_cpus
        devices = int(gpus)  # the share of a worker is on a single GPU
        by_gpus = devices * math.floor(1 / per_worker + 1e-9) if per_worker <= 1 else int(devices // per_worker)
        return min(by_cpus, by_gpus)

    def runs_on(self, cpus: float, gpus: float) -> int:
        """The number of runs that a single such machine trains at the same time; 1 if not even one fits."""
        return max(1, self.workers_on(cpus, gpus) // self.workers)

    @model_validator(mode="after")
    def _gpus_can_be_shared_out(self) -> "Resources":
        gpus = self.gpus_per_worker
        if gpus > 1:
            raise ValueError(
                f"gpus_per_worker {gpus:g}: a worker computes on one GPU; set workers: {math.ceil(gpus)} and "
                "gpus_per_worker: 1"
            )
        if self.workers > 1 and 0 < gpus < 1:
            raise ValueError(
                f"gpus_per_worker {gpus:g}: {self.workers} workers of a run cannot share a GPU, NCCL wants one for "
                "each; set gpus_per_worker: 1, or workers: 1 to have several runs on one GPU"
            )
        return self
