"""A study: a question, the variants that are compared, and the contrasts declared before anything is trained."""

import copy
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from emotune.config.contrast import Contrast, parse_contrasts, with_implied
from emotune.config.design.factors import Layout, factor_contrasts, factor_problems
from emotune.config.early_stopping import patience_problems
from emotune.config.epoch_selection import select_by
from emotune.config.head_training import head_training_problems
from emotune.config.input_spec import InputSpec
from emotune.config.metric import Metric
from emotune.config.model import MODEL_CLASSES, AlexNetConfig, ModelConfig
from emotune.config.network import NetworkConfig
from emotune.config.other_data import OtherData
from emotune.config.reference_variants import baseline_problems, reference_problems
from emotune.config.resources import Resources
from emotune.config.run import DatasetRef, RunConfig, Selection, WeightsRef
from emotune.config.seeds import seeds_problems
from emotune.config.study_yaml import study_yaml
from emotune.config.target import TARGETS, Target
from emotune.config.train import DecidedPrecision, TrainConfig
from emotune.config.tuned_options import tuning_problems
from emotune.config.tuning import Tuning
from emotune.core.errors import raise_if_any

__all__ = ["Study", "division_problems", "duplicate_problems", "name_problems"]

STUDY_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
VARIANT_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*(?<!\.)")
MAX_VARIANT_NAME = 64
"""The maximum number of characters of a variant's name, which appears in tables and figures."""


@dataclass(frozen=True, init=False)
class Study:
    """A question, and the runs that answer it. A study made in Python is checked like a study file.

    >>> study = Study("width", "Does width help?", "scenes", "narrow",
    ...               {"narrow": AlexNetConfig(width=0.125), "wide": AlexNetConfig(width=0.25)},
    ...               contrasts=["wide - narrow"])
    >>> str(study.contrasts[0]), study.seeds
    ('wide - narrow', 3)

    Args:
        name: The study's name: lower-case letters, digits, "-" and "_".
        question: The question, in a sentence.
        datasets: The data sets: ``scenes``, folders or URLs of shards, or `Selection`s of them.
        baseline: The variant that others are compared with.
        variants: The variants by name: a model's config, or a pair of it and of a `TrainConfig`.
        seeds: The number of runs of each variant on each data set; with looks, the most of them.
        contrasts: The declared comparisons: texts such as ``attention - alexnet``, or `Contrast`s of other weights.
        metric: The metric that decides, and its smallest effect of interest.
        resources: The compute resources of each run; they do not change results.
        source: The text of the study file. Default: the text of an equivalent file.
        aa: The name of the A/A variant: the baseline once more, as replicate 1, with other initial weights and dropout
            masks, so that the two differ by initialisation alone. True names it after the baseline. It is not one of
            ``variants``.
        file: The absolute path of the file that the study was read from, which is ignored when studies are compared.
        factors: The variants at each level of each factor: ``{"attention": {"no": ["alexnet", "wide"], "yes": […]}}``.
            Each combination of levels is one variant. Main effects and interactions are declared contrasts, unless
            contrasts of the same weights are given; see `emotune.config.design.factors`.
        looks: The numbers of seeds at which the study is judged, the last one being ``seeds``: variants whose contrasts
            are resolved get no more. Default: none, all variants get all ``seeds``.
        references: Further variants that all others are compared with, as with the baseline, if no contrast declares
            it.
        test_on: Other data sets on which the finished runs are tested, too: names, or `OtherData`s. They are not a
            part of any run.
        task: What is predicted: ``classes``, ``distributions`` of votes, or ``dimensions``. Default: the target of the
            data sets.
        tune: The options that are chosen for each variant by validation, before its runs. Default: none.

    Raises:
        InputError: with a line for each mistake.
    """

    name: str
    question: str
    datasets: tuple[Selection, ...]
    baseline: str
    variants: Mapping[str, tuple[ModelConfig, TrainConfig]]
    seeds: int
    contrasts: tuple[Contrast, ...]
    metric: Metric
    resources: Resources
    source: str
    aa: str | None
    file: str = field(repr=False, compare=False)
    factors: Layout
    looks: tuple[int, ...]
    references: tuple[str, ...]
    test_on: tuple[OtherData, ...]
    task: Target | None
    tune: Tuning | None
    auto_precision: DecidedPrecision | None = field(init=False, repr=False, compare=False)

    def __init__(
        self,
        name: str,
        question: str,
        datasets: str | Selection | Sequence[str | Selection],
        baseline: str,
        variants: Mapping[str, ModelConfig | tuple[ModelConfig, TrainConfig]],
        seeds: int = 3,
        contrasts: Sequence[Contrast | str] = (),
        metric: Metric | None = None,
        resources: Resources | None = None,
        source: str = "",
        aa: str | bool | None = None,
        file: str = "",
        factors: Layout | None = None,
        looks: Sequence[int] = (),
        references: Sequence[str] = (),
        test_on: str | OtherData | Sequence[str | OtherData] = (),
        task: Target | None = None,
        tune: Tuning | None = None,
    ) -> None:
        problems = name_problems(name, "name")
        problems += [] if question.strip() else ["question: missing"]
        problems += [] if task in (None, *TARGETS) else [f'task: "{task}" is not one of {", ".join(TARGETS)}']
        given = [datasets] if isinstance(datasets, str | Selection) else datasets
        problems += [] if given else ["datasets: at least one is needed"]
        others = [test_on] if isinstance(test_on, str | OtherData) else test_on
        pairs = {variant: _pair(variant, value, problems) for variant, value in variants.items()}
        problems += [problem for variant in pairs for problem in name_problems(variant, "variants")]
        problems += [f"variants.{v}: {text}" for v, pair in pairs.items() for text in head_training_problems(*pair)]
        problems += duplicate_problems(pairs) + baseline_problems(baseline, pairs)
        problems += division_problems(given, {variant: train for variant, (_, train) in pairs.items()}, looks)
        layout = factors or {}
        wrong_layout = factor_problems(layout, pairs)
        implied = [] if wrong_layout else factor_contrasts(layout)
        parsed, mistakes = parse_contrasts(contrasts, pairs)
        parsed = with_implied(parsed, implied)
        problems += wrong_layout + reference_problems(references, baseline, pairs)
        problems += seeds_problems(seeds, looks, [*parsed, *layout])
        problems += tuning_problems(tune, pairs, seeds, looks, bool(metric and metric.test_curve))
        problems += patience_problems(pairs, (metric or Metric()).select)
        aa_name = f"{baseline}-aa" if aa is True else aa or None
        if aa_name in pairs:
            mistakes.append(f"variants.{aa_name}: this is the name of the A/A variant; choose another one")
        raise_if_any(list(dict.fromkeys(problems + mistakes)))
        values = {
            "name": name, "question": question, "baseline": baseline, "variants": pairs, "seeds": seeds,
            "datasets": tuple(Selection(data=one) if isinstance(one, str) else one for one in given),
            "contrasts": parsed, "metric": metric or Metric(), "resources": resources or Resources(), "aa": aa_name,
            "file": file, "factors": layout, "looks": tuple(looks), "references": tuple(references),
            "test_on": tuple(OtherData(data=one) if isinstance(one, str) else one for one in others),
            "task": task, "tune": tune, "auto_precision": None,
        }  # fmt: skip
        for key, value in values.items():
            object.__setattr__(self, key, value)
        object.__setattr__(self, "source", source or study_yaml(self))

    @property
    def trained(self) -> dict[str, tuple[ModelConfig, TrainConfig]]:
        """The variants, and the A/A variant if there is one."""
        return dict(self.variants) | ({self.aa: self.variants[self.baseline]} if self.aa else {})

    @property
    def seeds_text(self) -> str:
        """The number of seeds, ``5``; with looks, from which number to which one, ``5 to 20``."""
        return f"{self.looks[0]} to {self.seeds}" if self.looks else str(self.seeds)

    @property
    def networks(self) -> dict[str, ModelConfig]:
        """The models that are networks, by variant."""
        return {name: model for name, (model, _) in self.variants.items() if isinstance(model, NetworkConfig)}

    @property
    def awaits_precision(self) -> bool:
        """Whether the ``train.precision`` of a variant is *auto* and not decided yet."""
        return any(train.precision == "auto" for _, train in self.variants.values())

    def with_auto_precision(self, precision: DecidedPrecision) -> "Study":
        """The study with a precision in the place of *auto*; its text is the same."""
        decided = copy.copy(self)
        variants = {
            name: (model, replace(train, precision=precision) if train.precision == "auto" else train)
            for name, (model, train) in self.variants.items()
        }
        object.__setattr__(decided, "variants", variants)
        object.__setattr__(decided, "auto_precision", precision)
        return decided

    def runs(
        self,
        datasets: Sequence[DatasetRef],
        weights: Mapping[str, WeightsRef] | None = None,
        inputs: Mapping[str, InputSpec] | None = None,
    ) -> tuple[RunConfig, ...]:
        """All runs. They are ordered by seed, so that an interrupted study is balanced over its variants.

        Args:
            datasets: The study's data sets, see `emotune.data.datasets.resolve.resolve_datasets`.
            weights: The initial weights of the variants that do not start from scratch, see
                `emotune.models.weights.resolve.resolve_weights`.
            inputs: The inputs of the variants whose networks have others than AlexNet's, see
                `emotune.models.backbones.catalogue.resolve_inputs`.

        Raises:
            InputError: two variants are the same because their initial weights are the same file.
        """
        initial, seen = weights or {}, inputs or {}
        select, metric = self.metric.select, self.metric.name
        planned = partial(RunConfig, select=select, test_curve=self.metric.test_curve)
        runs = tuple(
            planned(
                variant=variant, dataset=dataset, seed=seed, model=model, train=train, weights=initial.get(declared),
                input=seen.get(declared, InputSpec()).of(dataset.frames), replicate=int(variant == self.aa),
                select_by=select_by(select, metric, dataset.task) if isinstance(model, NetworkConfig) else None,
            )
            for seed in range(self.seeds)
            for dataset in datasets
            for variant, (model, train) in self.trained.items()
            for declared in [self.baseline if variant == self.aa else variant]
        )  # fmt: skip
        names: dict[str, str] = {}
        raise_if_any(list(dict.fromkeys(
            f'variants.{run.variant}: the same as "{names[run.id]}"; change it or leave it out'
            for run in runs if names.setdefault(run.id, run.variant) != run.variant
        )))  # fmt: skip
        return runs


def name_problems(name: object, what: str) -> list[str]:
    """The problems with the name of a study or a variant; empty if it is valid.

    Args:
        name: The name.
        what: The key of the name, for messages: ``variants``, ``name`` or ``file name``.
    """
    shown = str(name).encode("unicode_escape").decode()
    shown = shown if len(shown) <= MAX_VARIANT_NAME else f"{shown[:20]}…"
    where = f"variants.{shown}" if what == "variants" else f'{what} "{shown}"'
    allowed, also = (VARIANT_NAME, ', "_" and "."') if what == "variants" else (STUDY_NAME, ' and "_"')
    if not isinstance(name, str) or not allowed.fullmatch(name):
        return [f'{where}: use lower-case letters, digits, "-"{also} in a name']
    if len(name) > MAX_VARIANT_NAME:
        return [f"{where}: has {len(name)} characters; use at most {MAX_VARIANT_NAME}, since names appear in tables"]
    return []


def duplicate_problems(variants: Mapping[str, object]) -> list[str]:
    """A line for each variant that is the same as an earlier one."""
    names = list(variants)
    return [
        f'variants.{later}: the same as "{earlier}"; change it or leave it out'
        for i, later in enumerate(names)
        for earlier in names[:i]
        if variants[earlier] == variants[later]
    ]


def division_problems(
    datasets: Iterable[str | Selection], variants: Mapping[str, TrainConfig], looks: Sequence[int]
) -> list[str]:
    """The problems with data sets that are divided otherwise than their shards; empty if there are none.

    Args:
        datasets: The data sets of the study.
        variants: The training of the variants by name.
        looks: The numbers of seeds at which the study is judged, if those are adaptive.
    """
    divided = [one for one in datasets if isinstance(one, Selection) and (one.folds or one.split_seeds)]
    option = "folds" if any(one.folds for one in divided) else "split_seeds"
    problems = [
        f'variants.{variant}: train.order: "shards" reads one shard of training images after another, but with '
        f"datasets.{option} they are in all shards; set images, or leave out {option}"
        for variant, train in variants.items() if divided and train.order == "shards"
    ]  # fmt: skip
    if divided and looks:
        problems.append(
            f"seeds.looks: with datasets.{option}, verdicts are over divisions of the data, and more seeds resolve "
            f"nothing; write seeds: {looks[0]} in the place of up_to and looks, or leave out {option}"
        )
    return problems


def _pair(
    name: str, value: ModelConfig | tuple[ModelConfig, TrainConfig], problems: list[str]
) -> tuple[ModelConfig, TrainConfig]:
    """A variant's model and training; a model alone is trained by default."""
    model, train = value if isinstance(value, tuple) else (value, TrainConfig())
    if not isinstance(model, MODEL_CLASSES) or not isinstance(train, TrainConfig):
        problems.append(f"variants.{name}: give a model's config, such as AlexNetConfig(), or (model, TrainConfig(…))")
        return AlexNetConfig(), TrainConfig()
    return model, train
