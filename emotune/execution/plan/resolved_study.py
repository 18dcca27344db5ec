"""A study with everything that it names looked up: its data sets, its weights, and so the runs that answer it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from emotune.analysis.tuning import TuningStage, make_stage
from emotune.config.clips import clip_problems
from emotune.config.labels import MIKELS
from emotune.config.load import load_study
from emotune.config.losses import class_problem
from emotune.config.other_data import TransferTest
from emotune.config.run import DatasetRef, RunConfig
from emotune.config.study import Study
from emotune.config.target import Target
from emotune.config.task_options import task_problems
from emotune.config.tuning_runs import with_choices
from emotune.config.zero_shot import ZeroShotConfig
from emotune.core.errors import InputError, raise_if_any, suggest
from emotune.data.datasets.location import is_ready, manifest_of
from emotune.data.datasets.resolve import resolve_datasets
from emotune.data.datasets.resolve_tests import resolve_tests
from emotune.execution.plan.adaptive import restrict_to_looks
from emotune.execution.plan.auto_precision import AutoPrecision, decide_precision
from emotune.execution.plan.plan import Plan, make_plan
from emotune.models.backbones.catalogue import resolve_inputs
from emotune.models.weights.resolve import resolve_weights
from emotune.runs.store import RunStore, open_store

__all__ = ["ResolvedStudy", "resolve_study"]


@dataclass(frozen=True)
class ResolvedStudy:
    """A study, its data sets and all of its runs.

    A study that tunes has two stages: before all tuning runs have ended its runs are not known. With
    ``tune.halving`` the tuning runs of a rung are known once those of the one before have ended.

    Attributes:
        study: The study.
        datasets: The data sets that it names, in its order.
        runs: All of its runs, seed by seed over all variants; with adaptive seeds, all that it may need. If it tunes,
            with the chosen settings; empty before they are known.
        store: The folder of their directories.
        tests: The tests of its runs on other data sets.
        declared: The runs with the options that the study declares, which are other ones only if it tunes.
        tuning: The tuning as of the moment at which the study was resolved; None: the study does not tune.
        is_tuning: Whether this is the first stage, see `first_stage`.
        auto_precision: The meaning of ``train.precision: auto`` in its runs; None: no variant has that.
    """

    study: Study
    datasets: tuple[DatasetRef, ...]
    runs: tuple[RunConfig, ...]
    store: RunStore
    tests: tuple[TransferTest, ...] = ()
    declared: tuple[RunConfig, ...] = ()
    tuning: TuningStage | None = None
    is_tuning: bool = False
    auto_precision: AutoPrecision | None = None

    @property
    def awaits_tuning(self) -> bool:
        """Whether the study's runs are not known, because tuning runs have not ended."""
        return self.tuning is not None and not self.tuning.is_over

    @property
    def needed(self) -> tuple[RunConfig, ...]:
        """The runs that must be kept: all of the study's, and those that tuned it."""
        tuning = () if self.tuning is None or self.is_tuning else tuple(one.run for one in self.tuning.runs)
        return tuning + self.runs

    @property
    def now(self) -> "ResolvedStudy":
        """The study at the stage that it is in: its tuning runs as those to train as long as they have not ended."""
        return self.first_stage if self.awaits_tuning else self

    @property
    def first_stage(self) -> "ResolvedStudy":
        """The study with its tuning runs in the place of its runs; they are tested on nothing."""
        runs = tuple(one.run for one in self.tuning.runs) if self.tuning else ()
        return replace(self, runs=runs, tests=(), is_tuning=True)

    def plan(self) -> Plan:
        """The state of every run as of now; with adaptive seeds, of every run that is needed as of now.

        Raises:
            InputError: a file of an unfinished run is damaged, or the store cannot be reached.
        """
        plan = make_plan(self.runs, self.store)
        return restrict_to_looks(plan, self.study) if self.study.looks and self.runs and not self.is_tuning else plan


def resolve_study(study: Study | str | Path, runs: str | Path) -> ResolvedStudy:
    """Looks up the data sets, weights and backbones that a study names; of data sets only their manifests are read.

    Args:
        study: The study, or the path of its file.
        runs: The folder or URL in which run directories are, or will be.

    Raises:
        InputError: a data set, weights or a backbone cannot be used, the metric or the names of a model's prompts do
            not fit the classes, a loss or targets do not, or ``runs`` is a file.
    """
    study, store = study if isinstance(study, Study) else load_study(Path(study)), open_store(runs)
    if (auto := decide_precision(study, store)) is not None:
        study = study.with_auto_precision(auto.precision)
    datasets = resolve_datasets(study.datasets, study.task)
    for one in datasets:
        study.metric.check_task(one.name, one.task, one.dimensions)
    tasks: set[Target] = {one.task for one in datasets}  # one of them, as data sets of several are refused
    raise_if_any(list(dict.fromkeys(
        f"variants.{variant}: {problem}"
        for task in tasks for variant, (model, train) in study.variants.items()
        for problem in task_problems(task, model, train, study.resources)
    )))  # fmt: skip
    in_classes = [one for one in datasets if not one.dimensions]
    classes = {one.name: manifest_of(one).classes if is_ready(one) else MIKELS for one in in_classes}
    for name, of_dataset in classes.items():
        study.metric.check_classes(name, of_dataset)
    raise_if_any(list(dict.fromkeys(
        f"variants.{variant}: train.{option} on {name}: {problem}"
        for name, of_dataset in classes.items() for variant, (_, train) in study.variants.items()
        for option in ("loss", "targets") if (problem := class_problem(getattr(train, option), of_dataset))
    )))  # fmt: skip
    _check_class_names(study, sorted({label for of_dataset in classes.values() for label in of_dataset}))
    raise_if_any(clip_problems({name: model for name, (model, _) in study.variants.items()}, datasets))
    inputs = resolve_inputs(study.variants)
    planned = study.runs(datasets, resolve_weights(study.variants), inputs)
    if study.test_on and len(in_classes) < len(datasets):
        raise InputError(
            "test_on: dimensions are predicted, which are tested on the study's own data only; leave it out"
        )
    tests = resolve_tests(study.test_on, datasets)
    for test in tests:
        study.metric.check_classes(test.name, test.labels.classes)
    _check_tuned_by(study, datasets)
    if study.tune is None:
        return ResolvedStudy(study, datasets, planned, store, tests, planned, auto_precision=auto)
    stage = make_stage(study, planned, store)
    chosen = with_choices(study, planned, stage.chosen) if stage.is_over else ()
    return ResolvedStudy(study, datasets, chosen, store, tests, planned, stage, auto_precision=auto)


def _check_tuned_by(study: Study, datasets: Sequence[DatasetRef]) -> None:
    """Raises an InputError if settings are compared by what runs on a data set do not have."""
    if study.tune is None:
        return
    by = study.tune.by
    raise_if_any([
        f"tune.by: {by} is not there on {ref.name}, whose task is {ref.task}; give val_loss"
        f"{' or val_ccc' if ref.task == 'dimensions' else ' or val_accuracy'}"
        for ref in datasets if by == ("val_accuracy" if ref.task == "dimensions" else "val_ccc")
    ])  # fmt: skip


def _check_class_names(study: Study, labels: Sequence[str]) -> None:
    """Raises an InputError if prompts have names for classes that no data set has."""
    raise_if_any([
        f"variants.{variant}: model.names.{label}: no data set has this class{suggest(label, labels)}"
        for variant, (model, _) in study.variants.items() if isinstance(model, ZeroShotConfig)
        for label in model.names if label not in labels
    ])  # fmt: skip
