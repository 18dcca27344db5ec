import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from reading import STUDY, report
from rich.console import Console

from emotune.config.load import load_study
from emotune.config.metric import Metric
from emotune.data.datasets.resolve import resolve_datasets
from emotune.execution.monitor.display import ProgressDisplay
from emotune.execution.run.local import run_locally
from emotune.runs.store import RunStore


@pytest.fixture(scope="session")
def finished(small_shards: Path, tmp_path_factory):
    """A study, its runs, and the pool in which they are finished; not to be changed."""
    folder = tmp_path_factory.mktemp("report")
    (folder / "few.yaml").write_text(STUDY.format(data=small_shards))
    study = load_study(folder / "few.yaml")
    runs = study.runs(resolve_datasets(study.datasets))
    with ProgressDisplay(Console(quiet=True), runs) as lines:
        run_locally(runs, RunStore(folder / "runs"), lines, study.resources)
    return study, runs, str(folder / "runs")


@pytest.fixture(scope="session")
def reported(finished, tmp_path_factory):
    """Its report: the study, the page's text, and the folder; not to be changed."""
    return report(finished, tmp_path_factory.mktemp("reported"))


@pytest.fixture(scope="session")
def of_loss(finished, reported, tmp_path_factory):
    """A report of the same runs by their loss, in a folder that had the other report; not to be changed."""
    study, runs, pool = finished
    out = Path(shutil.copytree(reported[2], tmp_path_factory.mktemp("loss") / "report"))
    return report((replace(study, metric=Metric(name="nll", min_effect=0.05)), runs, pool), out)
