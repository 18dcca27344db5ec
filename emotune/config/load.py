"""Reading a study's YAML file. All mistakes are reported at once, each with its key and the nearest valid one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, cast

import yaml
from pydantic import BeforeValidator, Field, StrictBool, StringConstraints, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from emotune.config.contrast import parse_contrasts
from emotune.config.design.expand import expand
from emotune.config.design.factors import factor_problems
from emotune.config.early_stopping import patience_problems
from emotune.config.head_training import head_training_problems
from emotune.config.merge import config_class, dotted, implied_name, is_changed, merge, unused_options
from emotune.config.metric import Metric
from emotune.config.model import ModelConfig
from emotune.config.other_data import OtherData
from emotune.config.reference_variants import baseline_problems, reference_problems
from emotune.config.resources import Resources
from emotune.config.run import Selection
from emotune.config.seeds import SeedOptions, read_seeds, seeds_problems
from emotune.config.study import (
    Study,
    division_problems,
    duplicate_problems,
    name_problems,
)
from emotune.config.target import Target
from emotune.config.train import TrainConfig
from emotune.config.tuned_options import set_twice, tuning_problems
from emotune.config.tuning import Tuning
from emotune.config.types import FORBID_UNKNOWN_KEYS
from emotune.config.validation import UniqueKeyLoader, describe_validation_error, format_problem, valid_keys
from emotune.core.errors import InputError

__all__ = ["StudyFile", "load_study", "shipped_study"]

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


def _selection(value: Any) -> Any:
    """Turns the name of a data set into a selection of all its images."""
    if not isinstance(value, str | dict):
        raise ValueError("a folder or URL of shards is needed, or scenes, or {data: …} with further keys")
    return {"data": value} if isinstance(value, str) else value


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class StudyFile:
    """The keys of a study file, with their types and defaults.

    Attributes:
        question: The question, in a sentence, which the report's first paragraph answers.
        datasets: The data sets: ``scenes``, folders or URLs of shards, or mappings with more keys (`Selection`).
        baseline: The variant that others are compared with.
        variants: The variants by name, each with what only it changes, by dotted keys (``model.score: tanh``) or as
            mappings; ``{}`` is one that changes nothing.
        contrasts: The declared comparisons: texts such as ``attention - alexnet``, or ``{name: …, weights: {…}}``.
        seeds: The number of runs of each variant on each data set; or ``{up_to: 20, looks: [5, 10, 20]}``, as many as
            its contrasts need.
        model: The options of the model that all variants share.
        train: The options of training that all variants share.
        metric: The metric that decides, and its smallest effect of interest.
        resources: The compute resources of each run; they do not change results.
        aa: Whether the baseline is trained once more with other initial weights and dropout masks, as the noise floor.
        factors: The levels of each factor: the options of each level, or the names of the variants that have it.
        references: Further variants that all others are compared with, without a verdict.
        test_on: Other data sets on which the finished runs are tested, too (`OtherData`).
        task: The kind of prediction. Default: the target of the data sets.
        tune: The options that are chosen for each variant by validation, before its runs.
        parts: The parts of a model by name, each with its options, for ``ablate``.
        ablate: How ``parts`` become variants: ``leave_one_out``, ``add_one_in``, or both.
    """

    question: Text
    datasets: Annotated[list[Annotated[Selection, BeforeValidator(_selection)]], Field(min_length=1)]
    baseline: str
    variants: Annotated[dict[str, dict[str, Any] | None], Field(min_length=1)]
    contrasts: list[str | dict[str, Any]] = Field(default_factory=list)
    seeds: Annotated[SeedOptions, BeforeValidator(read_seeds), Field(validate_default=True)] = cast(SeedOptions, 3)
    model: dict[str, Any] = Field(default_factory=dict)
    train: dict[str, Any] = Field(default_factory=dict)
    metric: Metric = Field(default_factory=Metric)
    resources: Resources = Field(default_factory=Resources)
    aa: StrictBool = False
    factors: dict[str, dict[str, list[str]]] = Field(default_factory=dict)
    references: list[str] = Field(default_factory=list)
    test_on: list[Annotated[OtherData, BeforeValidator(_selection)]] = Field(default_factory=list)
    task: Target | None = None
    tune: Tuning | None = None
    parts: dict[str, dict[str, Any]] = Field(default_factory=dict)
    ablate: list[str] = Field(default_factory=list)


def shipped_study(name: str) -> Path:
    """The path of a study that comes with emotune, in the wheel or in ``ablations/`` of a checkout."""
    package = Path(__file__).parents[1]
    candidates = [package / "ablations" / f"{name}.yaml", package.parent / "ablations" / f"{name}.yaml"]
    return next((path for path in candidates if path.is_file()), candidates[-1])


def load_study(path: Path, *, aa: bool = False) -> Study:
    """Reads and checks a study file.

    Args:
        path: The path of the file.
        aa: Whether A/A runs are added, even if the file does not ask for them.

    Raises:
        InputError: the file is not a valid study; the message has a line for each mistake.
    """
    try:
        text = path.read_text(encoding="utf-8")
        raw = yaml.load(text, Loader=UniqueKeyLoader)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give a study file (.yaml)") from None
    except Exception as error:  # yaml's constructors raise nearly anything on malformed dates, numbers and tags
        raise InputError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(raw, dict):
        raise InputError(f"{path}: a study is a mapping with the keys {', '.join(valid_keys(StudyFile))}")
    problems: list[str] = []
    raw = expand(raw, problems)
    if problems:
        raise InputError("\n".join(f"{path}: {problem}" for problem in dict.fromkeys(problems)))
    try:
        file = TypeAdapter(StudyFile).validate_python(raw, context={"folder": path.parent})
    except ValidationError as error:
        problems += [format_problem(key, text) for key, text in describe_validation_error(error, StudyFile)]
        file = None
    variants = _variants(raw, path.parent, problems)
    declared = raw.get("contrasts")
    contrasts, mistaken = parse_contrasts(declared if isinstance(declared, list) else [], _mapping(raw, "variants"))
    problems += mistaken
    if file:
        problems += factor_problems(file.factors, file.variants)
        problems += reference_problems(file.references, file.baseline, file.variants)
        problems += seeds_problems(file.seeds.up_to, file.seeds.looks, [*contrasts, *file.factors])
        trainings = {variant: train for variant, (_, train) in variants.items()}
        problems += division_problems(file.datasets, trainings, file.seeds.looks)
        problems += _tuning_problems(file, variants) + patience_problems(variants, file.metric.select)
    aa_name = f"{raw.get('baseline')}-aa" if aa or raw.get("aa") is True else None
    if aa_name in _mapping(raw, "variants"):
        problems.append(f"variants.{aa_name}: this is the name of the A/A variant; choose another one")
    problems += name_problems(path.stem, "file name")
    if problems or file is None:
        raise InputError("\n".join(f"{path}: {problem}" for problem in dict.fromkeys(problems)))
    return Study(
        name=path.stem, question=file.question, datasets=tuple(file.datasets), baseline=file.baseline,
        variants=variants, seeds=file.seeds.up_to, contrasts=contrasts, metric=file.metric, resources=file.resources,
        source=text, aa=aa_name, file=str(path.resolve()),
        factors=file.factors, looks=file.seeds.looks, references=file.references,
        test_on=tuple(file.test_on),
        task=file.task, tune=file.tune,
    )  # fmt: skip


def _tuning_problems(file: StudyFile, variants: Mapping[str, tuple[ModelConfig, TrainConfig]]) -> list[str]:
    """The problems with the tuning, among them options that a variant gives though they are tuned."""
    if file.tune is None or len(variants) < len(file.variants):  # variants with mistakes of their own come first
        return []
    given = {name: list(dotted(changes or {}, "", [])) for name, changes in file.variants.items()}
    twice = [problem for name, keys in given.items() for problem in set_twice(file.tune, name, keys)]
    test_curve = file.metric.test_curve
    return twice or tuning_problems(file.tune, variants, file.seeds.up_to, file.seeds.looks, test_curve)


def _mapping(raw: dict[str, Any], key: str) -> dict[str, Any]:
    """A part of the file that should be a mapping; empty if it is not, which `StudyFile` reports."""
    return raw[key] if isinstance(raw.get(key), dict) else {}


def _variants(raw: dict[str, Any], folder: Path, problems: list[str]) -> dict[str, tuple[ModelConfig, TrainConfig]]:
    """The model and the training of each variant: the shared options, changed by the variant's dotted keys."""
    variants: dict[str, tuple[ModelConfig, TrainConfig]] = {}
    mistaken: set[str] = set()
    model = _mapping(raw, "model")
    shared = {"model": {"name": implied_name(model), **model}, "train": _mapping(raw, "train")}
    declared = _mapping(raw, "variants")
    if not declared:
        _settings(shared, {}, "", folder, problems)
    for variant, changes in declared.items():
        if mistakes := name_problems(variant, "variants"):
            problems += mistakes
        elif changes is None or isinstance(changes, dict):  # otherwise `StudyFile` reports it
            before = len(problems)
            settings = _settings(shared, changes or {}, f"variants.{variant}", folder, problems)
            if settings:
                variants[variant] = settings
                problems += [f"variants.{variant}: {text}" for text in head_training_problems(*settings)]
            if len(problems) > before:
                mistaken.add(variant)
    if declared and len(variants) == len(declared):
        problems += unused_options(shared["model"], [model for model, _ in variants.values()])
    problems += duplicate_problems({name: pair for name, pair in variants.items() if name not in mistaken})
    baseline = raw.get("baseline")
    if declared and isinstance(baseline, str):
        problems += baseline_problems(baseline, {name: variants.get(name) for name in declared})
    return variants


def _settings(
    shared: dict[str, dict[str, Any]], changes: dict[str, Any], where: str, folder: Path, problems: list[str]
) -> tuple[ModelConfig, TrainConfig] | None:
    """The model and the training of one variant; None if they are not valid.

    Args:
        shared: The options that all variants share, as ``model`` and ``train``.
        changes: The variant's dotted keys.
        where: The variant's key, for messages.
        folder: The folder of the study file, in which the user's own code is looked for.
        problems: The list to which mistakes are appended.
    """
    merged, changed = merge(shared, changes, where, problems)
    configs: dict[str, Any] = {}
    for part in ("model", "train"):
        adapter: TypeAdapter[Any] = TypeAdapter(ModelConfig) if part == "model" else TypeAdapter(TrainConfig)
        try:
            configs[part] = adapter.validate_python(merged[part], context={"folder": folder})
        except ValidationError as error:
            for key, text in describe_validation_error(error, config_class(part, merged)):
                # A mistake in the shared options is reported once, without a variant's name.
                problem = format_problem(".".join(filter(None, [part, key])), text)
                problems.append(format_problem(where if is_changed(part, key, text, changed) else "", problem))
    return (configs["model"], configs["train"]) if len(configs) == 2 else None
