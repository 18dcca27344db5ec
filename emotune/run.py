"""One run: which network is trained, how, on which data, from which seed; and the identity that follows from it.

The paper's values are the defaults. What a class of this file says is exactly what changes a run's result: paths,
workers, devices and logging are elsewhere, on purpose.
"""

import hashlib
import json
import math
from dataclasses import asdict, fields
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, StringConstraints, TypeAdapter, model_validator
from pydantic.dataclasses import dataclass

__all__ = [
    "FORMAT_VERSION", "AlexNetConfig", "AttentionConfig", "DatasetRef", "DualBranchConfig", "MldrConfig", "ModelConfig",
    "Part", "RunConfig", "RunProgress", "Selection", "TrainConfig",
]  # fmt: skip

FORMAT_VERSION = 1
"""Raised when the same configuration would give other results than before; part of every run's identity."""

STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)


def _no_truth_value(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("a number is needed, not true or false")  # pydantic collects these
    return value


Number = Annotated[float, BeforeValidator(_no_truth_value)]
Positive = Annotated[Number, Field(gt=0)]
Fraction = Annotated[Number, Field(ge=0, lt=1)]
Count = Annotated[int, BeforeValidator(_no_truth_value), Field(ge=1)]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class AlexNetConfig:
    """`emotune.models.alexnet.AlexNet`."""

    name: Literal["alexnet"] = "alexnet"
    width: Positive = 1.0
    dropout: Fraction = 0.5
    lrn: bool = True
    weight_init: Literal["ksh12", "he"] = "ksh12"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class AttentionConfig(AlexNetConfig):
    """`emotune.models.attention.AttentionAlexNet`."""

    name: Literal["attention"] = "attention"  # type: ignore[assignment]
    reach: Literal["shared", "full"] = "shared"
    score: Literal["linear", "tanh"] = "linear"
    output: Literal["map", "sum"] = "map"
    scale: Literal["positions", "raw"] = "positions"
    temperature: Positive = 1.0


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DualBranchConfig(AttentionConfig):
    """`emotune.models.dual_branch.DualBranch`."""

    name: Literal["dual_branch"] = "dual_branch"  # type: ignore[assignment]
    attention: Literal["spatial", "none"] = "spatial"

    @model_validator(mode="after")
    def _no_settings_of_an_absent_layer(self) -> "DualBranchConfig":
        if self.attention == "none":
            for name in ("reach", "score", "output", "scale", "temperature"):
                if getattr(self, name) != getattr(AttentionConfig, name):
                    raise ValueError(f'"{name}" is set, but attention is "none": it would change nothing')
        return self


@dataclass(frozen=True, kw_only=True, config=STRICT)
class MldrConfig(AlexNetConfig):
    """`emotune.models.mldr.MldrNet`."""

    name: Literal["mldr"] = "mldr"  # type: ignore[assignment]


ModelConfig = Annotated[AlexNetConfig | AttentionConfig | DualBranchConfig | MldrConfig, Field(discriminator="name")]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class TrainConfig:
    """Stochastic gradient descent as in the thesis (50 epochs, batches of 50) and KSH12 (momentum, weight decay).

    ``batch_size`` is the global one, whatever the number of workers. ``schedule``: *cosine* to zero, *step* (× 0.1
    every ``step_epochs``) or *constant*, after a linear warm-up of ``warmup_epochs``.

    ``crop``: *random* or *center*, a square of 227 of the 256 pixels; or *resized*, a random box of ``min_scale`` to 1
    of the picture's area and of 3:4 to 4:3 in shape, resized to that square (Szegedy et al. 2015, whose boxes begin at
    0.08; an emotion is that of a whole scene, so here a box keeps about half of its width and height at least).
    ``targets``: the label (*hard*), the distribution of votes (*soft*), or the label, weighted with the share of votes
    for it (*weighted*); see `emotune.data.votes.target_weights`.
    ``test_crops``: over how many crops of a test picture the softmax outputs are averaged: the centre; 5, with the
    corners; 10, with their mirror images (KSH12, section 4.1). Validation always sees the centre.
    """

    epochs: Count = 50
    batch_size: Count = 50
    lr: Positive = 0.01
    momentum: Fraction = 0.9
    weight_decay: Annotated[Number, Field(ge=0)] = 5e-4
    schedule: Literal["cosine", "step", "constant"] = "cosine"
    step_epochs: Count = 10
    warmup_epochs: Annotated[Number, Field(ge=0)] = 0.0
    crop: Literal["random", "center", "resized"] = "random"
    min_scale: Annotated[Number, Field(gt=0, le=1)] = 0.25
    flip: bool = True
    targets: Literal["hard", "soft", "weighted"] = "hard"
    test_crops: Annotated[Literal[1, 5, 10], BeforeValidator(_no_truth_value)] = 1

    @model_validator(mode="after")
    def _no_settings_of_another_crop(self) -> "TrainConfig":
        if self.crop != "resized" and self.min_scale != TrainConfig.min_scale:
            raise ValueError(f'"min_scale" is set, but crop is "{self.crop}": it would change nothing')
        return self


Part = Literal["all", "well", "noisy"]
"""Which pictures of a data set: all, or those on whose label more than half of the annotators agree, or the others."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Selection:
    """A data set as a study names it: ``scenes``, or a folder or URL of shards; and which part of it."""

    data: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
    part: Part = "all"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DatasetRef:
    """A data set as a run knows it: its content and part decide about results, its location does not."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$")]
    location: str
    content_hash: str
    part: Part = "all"

    @property
    def identity(self) -> str:
        """What of the data set is in a run's identity."""
        return self.content_hash if self.part == "all" else f"{self.content_hash} {self.part}"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class RunConfig:
    """Everything that decides about a run's result, and where its data lies."""

    variant: str
    dataset: DatasetRef
    seed: Annotated[int, Field(ge=0)]
    model: ModelConfig
    train: TrainConfig

    @property
    def id(self) -> str:
        """``variant-dataset-s<seed>-<8 hex>``: the name of the run's folder in the pool."""
        identity = {
            "format": FORMAT_VERSION,
            "variant": self.variant,  # its init and dropout streams follow from it
            "data": self.dataset.identity,
            "model": {"name": self.model.name, **difference_to_defaults(self.model)},
            "train": difference_to_defaults(self.train),
        }
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:8]
        return f"{self.variant}-{self.dataset.name}-s{self.seed}-{digest}"

    def stream(self, name: Literal["order", "augment", "init", "dropout"]) -> int:
        """A 63-bit seed of one purpose.

        Streams are independent of each other. *order* and *augment* are equal for all variants of a seed, so that
        differences between variants are paired; *init* and *dropout* are the variant's own.
        """
        owner = "" if name in ("order", "augment") else self.variant
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


@dataclass(frozen=True)
class RunProgress:
    """How far a run is, for those who watch: ``fraction`` of its steps, and the latest validation accuracy.

    ``loss`` and ``val_accuracy`` (per cent) are NaN until there is one.
    """

    run_id: str
    epoch: int
    epochs: int
    fraction: float
    loss: float = math.nan
    val_accuracy: float = math.nan


def difference_to_defaults(config: Any) -> dict[str, Any]:
    """The fields of a config that do not have their default value, so that a new option keeps old identities.

    >>> difference_to_defaults(TrainConfig(epochs=8))
    {'epochs': 8}
    """
    return {f.name: getattr(config, f.name) for f in fields(config) if getattr(config, f.name) != f.default}
