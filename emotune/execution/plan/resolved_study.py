"""A study with everything that it names looked up: its data sets, its weights, and so the runs that answer it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from emotune.config.labels import MIKELS
from emotune.config.load import load_study
from emotune.config.losses import class_problem
from emotune.config.other_data import TransferTest
from emotune.config.run import DatasetRef, RunConfig
from emotune.config.study import Study
from emotune.config.zero_shot import ZeroShotConfig
from emotune.core.errors import InputError, raise_if_any, suggest
from emotune.data.datasets.location import is_ready, manifest_of
from emotune.data.datasets.resolve import resolve_datasets
from emotune.data.datasets.resolve_tests import resolve_tests
from emotune.execution.plan.adaptive import restrict_to_looks
from emotune.execution.plan.plan import Plan, make_plan
from emotune.models.backbones.catalogue import resolve_inputs
from emotune.models.weights.resolve import resolve_weights
from emotune.runs.store import RunStore, open_store

__all__ = ["ResolvedStudy", "resolve_study"]


@dataclass(frozen=True)
class ResolvedStudy:
    """A study, its data sets and all of its runs.

    Attributes:
        study: The study.
        datasets: The data sets that it names, in its order.
        runs: All of its runs, seed by seed over all variants; with adaptive seeds, all that it may need.
        store: The folder of their directories.
        tests: The tests of its runs on other data sets.
    """

    study: Study
    datasets: tuple[DatasetRef, ...]
    runs: tuple[RunConfig, ...]
    store: RunStore
    tests: tuple[TransferTest, ...] = ()

    def plan(self) -> Plan:
        """The state of every run as of now; with adaptive seeds, of every run that is needed as of now.

        Raises:
            InputError: a file of an unfinished run is damaged, or the store cannot be reached.
        """
        plan = make_plan(self.runs, self.store)
        return restrict_to_looks(plan, self.study) if self.study.looks else plan


def resolve_study(study: Study | str | Path, runs: str | Path) -> ResolvedStudy:
    """Looks up the data sets, weights and backbones that a study names; of data sets only their manifests are read.

    Args:
        study: The study, or the path of its file.
        runs: The folder or URL in which run directories are, or will be.

    Raises:
        InputError: a data set, weights or a backbone cannot be used, the metric or the names of a model's prompts do
            not fit the classes, a loss or targets do not, or ``runs`` is a file.
    """
    study = study if isinstance(study, Study) else load_study(Path(study))
    if study.tune:
        raise InputError("tune: this version does not execute it yet; leave it out")
    datasets = resolve_datasets(study.datasets, study.task)
    classes = {one.name: manifest_of(one).classes if is_ready(one) else MIKELS for one in datasets}
    for name, of_dataset in classes.items():
        study.metric.check_classes(name, of_dataset)
    raise_if_any(list(dict.fromkeys(
        f"variants.{variant}: train.{option} on {name}: {problem}"
        for name, of_dataset in classes.items() for variant, (_, train) in study.variants.items()
        for option in ("loss", "targets") if (problem := class_problem(getattr(train, option), of_dataset))
    )))  # fmt: skip
    _check_class_names(study, sorted({label for of_dataset in classes.values() for label in of_dataset}))
    inputs = resolve_inputs(study.variants)
    planned = study.runs(datasets, resolve_weights(study.variants), inputs)
    tests = resolve_tests(study.test_on, datasets)
    for test in tests:
        study.metric.check_classes(test.name, test.labels.classes)
    return ResolvedStudy(study, datasets, planned, open_store(runs), tests)


def _check_class_names(study: Study, labels: Sequence[str]) -> None:
    """Raises an InputError if prompts have names for classes that no data set has."""
    raise_if_any([
        f"variants.{variant}: model.names.{label}: no data set has this class{suggest(label, labels)}"
        for variant, (model, _) in study.variants.items() if isinstance(model, ZeroShotConfig)
        for label in model.names if label not in labels
    ])  # fmt: skip
