"""One run: which network is trained, how, on which data, from which seed; and the identity that follows from it.

What `RunConfig` says, with `emotune.config.model` and `emotune.config.train`, is exactly what changes a run's result:
paths, workers, devices and logging are elsewhere, on purpose.
"""

import hashlib
import json
import re
from dataclasses import asdict, fields
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, TypeAdapter, model_validator
from pydantic.dataclasses import dataclass

from emotune.config.metric import Select
from emotune.config.model import ModelConfig
from emotune.config.train import TrainConfig
from emotune.config.types import FORBID_UNKNOWN_KEYS

__all__ = [
    "FORMAT_VERSION",
    "RUN_ID",
    "DatasetRef",
    "Part",
    "RunConfig",
    "Selection",
    "WeightsRef",
]

FORMAT_VERSION = 3
"""Raised when the same configuration would give other results than before; part of every run's identity."""
RUN_ID = re.compile(r".+-s(?P<seed>\d+)-[0-9a-f]{8}")
"""What `RunConfig.id` gives: a folder of a pool with another name is no run."""

Part = Literal["all", "well", "noisy"]
"""Which images of a data set: all, or those on whose label more than half of the annotators agree, or the others."""


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class Selection:
    """A data set as a study names it: ``scenes``, or a folder or URL of shards; and which part of it."""

    data: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
    part: Part = "all"


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class DatasetRef:
    """A data set as a run knows it: its content and part decide about results, its location does not.

    ``cut`` is a digest of how its training images are cut into shards, which decides about the order of shards.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$")]
    location: str
    content_hash: str
    part: Part = "all"
    cut: str = ""

    @property
    def identity(self) -> str:
        """What of the data set is in a run's identity."""
        return self.content_hash if self.part == "all" else f"{self.content_hash} {self.part}"


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class WeightsRef:
    """Weights that a run begins with: their content decides about results, their location does not.

    ``digest`` are the first hexadecimal digits of the file's sha256: all, or as many as its publisher gives.
    """

    location: str
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")]


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class RunConfig:
    """Everything that decides about a run's result, and where its data and weights lie.

    ``variant`` is what the study at hand calls it, for those who watch: it is neither in the identity nor in the run's
    files, since studies share runs whatever they call them. ``select`` and ``test_curve``: as in
    `emotune.config.metric.Metric`. ``replicate``: runs that differ only in it have other initial weights and dropout
    masks; 1 is the A/A variant's.
    """

    variant: str = ""
    dataset: DatasetRef
    seed: Annotated[int, Field(ge=0)]
    model: ModelConfig
    train: TrainConfig
    weights: WeightsRef | None = None
    select: Select = "last"
    test_curve: bool = False
    replicate: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _weights_as_init_says(self) -> "RunConfig":
        if (self.weights is None) != (self.train.init == "scratch"):
            raise ValueError(f'train.init is "{self.train.init}", but weights are {self.weights}')
        return self

    @property
    def id(self) -> str:
        """``model-dataset-s<seed>-<8 hex>``: the name of the run's folder in the pool."""
        identity: dict[str, Any] = {
            "format": FORMAT_VERSION,
            "data": self.dataset.identity,
            "model": {"name": self.model.name, **difference_to_defaults(self.model)},
            "train": difference_to_defaults(self.train),
        }
        if self.train.order == "shards":
            identity["cut"] = self.dataset.cut
        if self.weights:
            del identity["train"]["init"]  # where they are; what they are is
            identity["weights"] = self.weights.digest
        own = ("select", "test_curve", "replicate")
        identity |= {key: value for key, value in difference_to_defaults(self).items() if key in own}
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:8]
        return f"{self.model.name}-{self.dataset.name}-s{self.seed}-{digest}"

    def stream(self, name: Literal["order", "augment", "init", "dropout"]) -> int:
        """A 63-bit seed of one purpose.

        Streams are independent of each other and follow from the seed alone, so that differences between variants are
        paired: of one seed, all have the same order and augmentation, and what two networks have in common has the same
        initial weights and dropout masks. Only *init* and *dropout* of a replicate are others.
        """
        owner = "" if name in ("order", "augment") or not self.replicate else str(self.replicate)
        return int.from_bytes(hashlib.sha256(f"{self.seed}/{name}/{owner}".encode()).digest()[:8], "big") >> 1

    def to_json(self) -> dict[str, Any]:
        """The run as plain values; `from_json` reads them back."""
        return asdict(self)

    @staticmethod
    def from_json(value: dict[str, Any]) -> "RunConfig":
        """The run of `to_json`.

        Raises:
            pydantic.ValidationError: a field is unknown or has a wrong value.
        """
        return TypeAdapter(RunConfig).validate_python(value)


def difference_to_defaults(config: Any) -> dict[str, Any]:
    """The fields of a config that do not have their default value, so that a new option keeps old identities.

    >>> difference_to_defaults(TrainConfig(epochs=8))
    {'epochs': 8}
    """
    return {f.name: getattr(config, f.name) for f in fields(config) if getattr(config, f.name) != f.default}
