"""A study with everything that it names looked up: its data sets, its weights, and so the runs that answer it."""

from dataclasses import dataclass
from pathlib import Path

from emotune.config.labels import MIKELS
from emotune.config.load import load_study
from emotune.config.run import DatasetRef, RunConfig
from emotune.config.study import Study
from emotune.core.errors import InputError
from emotune.data.datasets.location import is_ready, manifest_of
from emotune.data.datasets.resolve import resolve_datasets
from emotune.execution.plan.plan import Plan, make_plan
from emotune.models.weights.resolve import resolve_weights

__all__ = ["ResolvedStudy", "resolve_study", "store_url"]


@dataclass(frozen=True)
class ResolvedStudy:
    """A study, its data sets and all of its runs.

    Attributes:
        study: The study.
        datasets: The data sets that it names, in its order.
        runs: All of its runs, seed by seed over all variants.
        pool: The path or URL of the folder in which run directories are.
    """

    study: Study
    datasets: tuple[DatasetRef, ...]
    runs: tuple[RunConfig, ...]
    pool: str

    def plan(self) -> Plan:
        """The state of every run as of now.

        Raises:
            InputError: a file of an unfinished run is damaged, or the pool cannot be reached.
        """
        return make_plan(self.runs, self.pool)


def resolve_study(study: Study | str | Path, runs: str | Path) -> ResolvedStudy:
    """Looks up the data sets and weights that a study names; reads manifests only.

    Args:
        study: The study, or the path of its file.
        runs: The folder or URL in which run directories are, or will be.

    Raises:
        InputError: a data set or weights cannot be used, the metric does not fit the classes, or ``runs`` is a file.
    """
    study = study if isinstance(study, Study) else load_study(Path(study))
    datasets = resolve_datasets(study.datasets)
    for dataset in datasets:
        study.metric.check_classes(dataset.name, manifest_of(dataset).classes if is_ready(dataset) else MIKELS)
    return ResolvedStudy(study, datasets, study.runs(datasets, resolve_weights(study.variants)), store_url(runs))


def store_url(runs: str | Path) -> str:
    """The folder of runs that ``--runs`` names: a URL, or an absolute path.

    Raises:
        InputError: it is a file, or not a path.
    """
    runs = str(runs)
    if "://" in runs:
        return runs
    try:
        path = Path(runs).resolve()
        is_file = path.exists() and not path.is_dir()
    except (OSError, RuntimeError) as error:  # too long a name; links in a circle
        raise InputError(f"--runs {runs}: cannot be used ({getattr(error, 'strerror', None) or error})") from None
    if is_file:
        raise InputError(f"--runs {runs}: is a file; name the folder in which runs are, or will be")
    return str(path)
