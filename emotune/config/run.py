"""One run: its configuration, its identity and its random seeds.

`RunConfig`, with `emotune.config.model` and `emotune.config.train`, contains exactly what changes a run's result.
Paths, workers, devices and logging do not, and are configured elsewhere.
"""

import hashlib
import json
import re
from dataclasses import asdict, fields, is_dataclass, replace
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints, TypeAdapter, model_validator
from pydantic.dataclasses import dataclass

from emotune.config.backbone import BackboneCode, BackboneConfig
from emotune.config.division import Division
from emotune.config.epoch_selection import Select
from emotune.config.input_spec import InputSpec
from emotune.config.metric_scales import MetricName
from emotune.config.model import CodeConfig, LogisticConfig, ModelConfig, own_code
from emotune.config.target import Dimension, Target
from emotune.config.train import TrainConfig
from emotune.config.types import FORBID_UNKNOWN_KEYS, Count, reject_bool
from emotune.config.user_code import UserCode
from emotune.config.zero_shot import ArchitectureFile

__all__ = [
    "FORMAT_VERSION",
    "RUN_ID",
    "DatasetRef",
    "Part",
    "RunConfig",
    "Selection",
    "WeightsRef",
    "difference_to_defaults",
    "model_label",
    "run_stem",
]

FORMAT_VERSION = 3
"""A part of every run's identity. It is raised when the same configuration would give other results than before."""
RUN_ID = re.compile(r"(?P<stem>.+-s\d+)-[0-9a-f]{8}")
"""The pattern of `RunConfig.id`; the stem is all but the digest. A folder with another name is not a run."""

Part = Literal["all", "well", "noisy"]
"""A part of a data set: all images, those on whose label most annotators agree (*well*), or the others (*noisy*)."""


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class Selection:
    """A data set in a study: ``scenes``, or a folder or URL of shards; which part of it is used, and how it is divided.

    Without ``folds`` and ``split_seeds`` it has the split of its shards. Both together are repeated cross-validation.

    Attributes:
        data: The name, folder or URL.
        part: The part that is used.
        folds: The number of folds of a cross-validation: each is once the test part, and validation images are taken
            from the others. A split that the publisher prescribes is given up.
        split_seeds: The number of random divisions; their splits have as many images as the data set's own, or there
            are so many cross-validations.
    """

    data: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
    part: Part = "all"
    folds: Annotated[int, BeforeValidator(reject_bool), Field(ge=2)] | None = None
    split_seeds: Count | None = None

    @property
    def divisions(self) -> tuple[Division | None, ...]:
        """The divisions in which the study's runs see the data set; None for its own split."""
        if not self.folds and not self.split_seeds:
            return (None,)
        folds = range(1, 1 + self.folds) if self.folds else [0]
        seeds = range(self.split_seeds or 1)
        return tuple(Division(seed=seed, folds=self.folds or 0, fold=fold) for seed in seeds for fold in folds)


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class DatasetRef:
    """A data set in a run; identified by its content, part and division, not by its location.

    Attributes:
        name: The name of the data set, with its part and division.
        location: The path or URL of its shards.
        content_hash: A digest of its images and labels.
        part: The part that is used.
        cut: A digest of how the training images are distributed over shards, which decides about the order *shards*.
        division: The division into train, val and test; None for that of the shards.
        task: What is predicted: the data set's target, unless the study has another task.
        dimensions: The dimensions that are predicted, with their scales; a part of ``content_hash``.
        frames: The number of frames of each of its clips; 1 for images.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$")]
    location: str
    content_hash: str
    part: Part = "all"
    cut: str = ""
    division: Division | None = None
    task: Target = "classes"
    dimensions: tuple[Dimension, ...] = ()
    frames: Annotated[int, Field(ge=1)] = 1

    @property
    def identity(self) -> str:
        """The part of the data set's description that belongs to a run's identity."""
        return " ".join(
            [
                self.content_hash,
                *([self.part] if self.part != "all" else []),
                *([self.division.name] if self.division else []),
                *([self.task] if self.task != "classes" else []),
            ]
        )

    @property
    def whole(self) -> str:
        """The name without that of the division, which all divisions of a data set share."""
        return self.name.removesuffix(f"-{self.division.name}") if self.division else self.name

    @property
    def undivided(self) -> "DatasetRef":
        """The same data set with the split of its shards."""
        return replace(self, name=self.whole, division=None)


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class WeightsRef:
    """Initial weights; identified by their content, not by their location.

    Attributes:
        location: The path or URL of the file.
        digest: The first hexadecimal digits of the file's sha256: all, or as many as its publisher gives.
    """

    location: str
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")]


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class RunConfig:
    """Everything that decides about a run's result, and the locations of its data and weights.

    Attributes:
        variant: The name that the study gives it, for display. It is neither in the identity nor in the run's files,
            because studies share runs under different names.
        dataset: The data set.
        seed: The seed of all random numbers.
        model: The model.
        train: The training.
        weights: The initial weights; None if ``train.init`` is *scratch*.
        input: How the network sees an image: what ``model.input`` and the backbone's own configuration result in.
        select: The rule that chooses the tested epoch, see `emotune.config.metric.Metric`.
        select_by: The metric that tells the best epoch; None: accuracy or CCC, see `emotune.config.epoch_selection`.
        test_curve: Whether test accuracies are logged after every epoch, see `emotune.config.metric.Metric`.
        replicate: A number that changes the initial weights and dropout masks; 1 is the A/A variant's.
        tuning: Whether the run serves to choose options by validation. It has no test phase: it never opens the test
            split, and has streams of random numbers of its own, so that no run of a study repeats it.
    """

    variant: str = ""
    dataset: DatasetRef
    seed: Annotated[int, Field(ge=0)]
    model: ModelConfig
    train: TrainConfig
    weights: WeightsRef | None = None
    input: InputSpec = InputSpec()
    select: Select = "last"
    select_by: MetricName | None = None
    test_curve: bool = False
    replicate: Annotated[int, Field(ge=0)] = 0
    tuning: bool = False

    @model_validator(mode="after")
    def _weights_match_init(self) -> "RunConfig":
        if (self.weights is None) != (self.train.init == "scratch"):
            raise ValueError(f'train.init is "{self.train.init}", but weights are {self.weights}')
        return self

    @model_validator(mode="after")
    def _precision_is_decided(self) -> "RunConfig":
        if self.train.precision == "auto":
            raise ValueError("train.precision auto is decided for a whole study; give a run float32, tf32 or bf16")
        return self

    @model_validator(mode="after")
    def _tuning_tests_nothing(self) -> "RunConfig":
        if self.tuning and self.test_curve:
            raise ValueError("a tuning run has no test phase, and so no test_curve")
        return self

    @cached_property
    def id(self) -> str:
        """The name of the run's folder: ``model-dataset-s<seed>-<8 hex>``, or ``model-dataset-tuning-s<seed>-…``."""
        identity: dict[str, Any] = {
            "format": FORMAT_VERSION,
            "data": self.dataset.identity,
            "model": _identity(self.model),
            "train": _identity(self.train),
        }
        if self.train.order == "shards":
            identity["cut"] = self.dataset.cut
        if self.weights:
            del identity["train"]["init"]  # their location; the digest identifies them
            identity["weights"] = self.weights.digest
        if self.input != InputSpec():
            identity["input"] = _identity(self.input)
        options = ("select", "select_by", "test_curve", "replicate", "tuning")
        identity |= {key: value for key, value in difference_to_defaults(self).items() if key in options}
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:8]
        return f"{run_stem(model_label(self.model), self.dataset.name, self.seed, tuning=self.tuning)}-{digest}"

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits whose images it reads."""
        return ("train", "val") if self.tuning else ("train", "val", "test")

    @property
    def user_code(self) -> dict[str, UserCode]:
        """The user's code that the run executes, by what it is for: ``model`` or an option of ``train``."""
        code: dict[str, UserCode] = {"model": model} if (model := own_code(self.model)) else {}
        options = {one.name: getattr(self.train, one.name) for one in fields(self.train)}
        return code | {name: value for name, value in options.items() if isinstance(value, UserCode)}

    def stream(self, name: Literal["order", "augment", "init", "dropout", "blocks"]) -> int:
        """The 63-bit seed of one stream of random numbers.

        Streams are independent of each other and depend on the run's seed alone, so that variants can be compared in
        pairs: for one seed they all have the same order and augmentation, and layers that two networks share have the
        same initial weights and dropout masks. A replicate differs in *init*, *dropout* and *blocks*, a tuning run in
        all.
        """
        owner = "" if name in ("order", "augment") or not self.replicate else str(self.replicate)
        purpose = "tuning/" if self.tuning else ""
        text = f"{purpose}{self.seed}/{name}/{owner}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1

    def to_json(self) -> dict[str, Any]:
        """The run as plain values; `from_json` reads them back."""
        return asdict(self)

    @staticmethod
    def from_json(value: dict[str, Any]) -> "RunConfig":
        """The inverse of `to_json`.

        Raises:
            pydantic.ValidationError: a field is unknown or has a wrong value.
        """
        return TypeAdapter(RunConfig).validate_python(value, context={"folder": None})  # its code comes with it


def model_label(model: ModelConfig) -> str:
    """The beginning of a run's id: the model's name, or the user's own for it; that of a backbone and what is on it."""
    if isinstance(model, BackboneConfig | LogisticConfig) and model.backbone is not None:
        backbone = model.backbone.entry if isinstance(model.backbone, BackboneCode) else model.backbone
        part = model.head.name if isinstance(model, BackboneConfig) else model.name
        return f"{backbone.rpartition(':')[2].lower()}-{part}"
    return model.entry.lower() if isinstance(model, CodeConfig) else model.name


def run_stem(model: str, dataset: str, seed: int, *, tuning: bool = False) -> str:
    """A run's id without its digest, see `RUN_ID`; that of a tuning run says so."""
    return f"{model}-{dataset}-{'tuning-' * tuning}s{seed}"


def _identity(value: Any) -> Any:
    """The part of a value that belongs to a run's identity, as JSON: of configs, their names and what is no default."""
    if isinstance(value, UserCode):
        return ({"name": value.name} if isinstance(value, CodeConfig) else {}) | value.identity
    if isinstance(value, ArchitectureFile):
        return value.content
    if not is_dataclass(value):
        return value
    name = {one.name: getattr(value, one.name) for one in fields(value) if one.name == "name"}
    return name | {key: _identity(option) for key, option in difference_to_defaults(value).items() if key != "input"}


def difference_to_defaults(config: Any) -> dict[str, Any]:
    """The fields of a config that differ from their defaults.

    Identities are made of these, so a new option does not change the identities of existing runs.

    >>> difference_to_defaults(TrainConfig(epochs=8))
    {'epochs': 8}
    """
    return {f.name: getattr(config, f.name) for f in fields(config) if getattr(config, f.name) != f.default}
