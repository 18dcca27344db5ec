"""What each run gets: how its result is calculated, not what it is."""

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
    """What each run gets. Not part of its identity: more workers give the same result sooner, but for rounding.

    ``cache_gb`` is how much decoded images may fill on each machine (10⁹ bytes; none said: its disk, less a tenth of
    it or 5 GB, whichever is less); images beyond it are read from their shards, of which there are copies if they are
    behind a URL. ``accumulate``: a worker computes its share of a
    batch in that many pieces, one after another, in as much less memory. ``compile``: steps are compiled, which takes a
    minute and a C++ compiler (on GPUs: Triton). ``deterministic``: GPUs use only operations that repeat their results
    to the bit; CPUs always do.
    """

    workers: Count = 1
    cpus_per_worker: Count = 1
    gpus_per_worker: Annotated[Number, Field(ge=0)] = 0.0
    cache_gb: Annotated[Number, Field(ge=0)] | None = None
    accumulate: Count = 1
    compile: bool = False
    deterministic: bool = False

    def workers_on(self, cpus: float, gpus: float) -> int:
        """Workers that a machine with so many CPUs and GPUs holds, when nothing else runs there."""
        by_cpus, asked = int(cpus // self.cpus_per_worker), self.gpus_per_worker
        if not asked:
            return by_cpus
        devices = int(gpus)  # a worker's part of a GPU is on one of them
        return min(by_cpus, devices * math.floor(1 / asked + 1e-9) if asked <= 1 else int(devices // asked))

    def runs_on(self, cpus: float, gpus: float) -> int:
        """Runs that such a machine, the only one, trains at a time; 1 where even one does not fit."""
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
