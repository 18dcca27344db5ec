"""A study on folds, from its file to its report: verdicts over all folds together, and details by fold."""

import csv
from pathlib import Path

import pandas as pd
import pytest
from reading import COMMAND, Tags
from rich.console import Console

from emotune.config.load import load_study
from emotune.data.datasets.resolve import resolve_datasets
from emotune.execution.monitor.display import ProgressDisplay
from emotune.execution.run.local import run_locally
from emotune.report.build import build_report
from emotune.runs.store import RunStore

STUDY = """
question: Does width help?
datasets: [{{data: {data}, folds: 3}}]
model: {{weight_init: he}}
train: {{epochs: 1, batch_size: 24, lr: 0.05}}
baseline: narrow
variants: {{narrow: {{model.width: 0.03125}}, wide: {{model.width: 0.0625}}}}
contrasts: [wide - narrow]
seeds: 1
aa: true
"""


@pytest.fixture(scope="session")
def folded(small_shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report's folder; not to be changed."""
    folder = tmp_path_factory.mktemp("folded")
    (folder / "folded.yaml").write_text(STUDY.format(data=small_shards))
    study = load_study(folder / "folded.yaml")
    runs, store = study.runs(resolve_datasets(study.datasets)), RunStore(folder / "runs")
    with ProgressDisplay(Console(quiet=True), runs) as lines:
        run_locally(runs, store, lines, study.resources)
    return build_report(study, store.states(runs), folder / "report", COMMAND).parent


def test_runs_are_listed_by_fold_and_contrasts_judged_over_the_folds(folded: Path):
    runs = pd.read_csv(folded / "runs.csv")
    assert sorted(set(runs["dataset"])) == ["scenes-fold1of3", "scenes-fold2of3", "scenes-fold3of3"]
    assert (len(runs), runs["test_images"].groupby(runs["variant"]).sum().tolist()) == (9, [160] * 3)
    with (folded / "contrasts.csv").open(newline="") as file:
        (contrast,) = csv.DictReader(file)
    assert (contrast["dataset"], contrast["seeds"]) == ("scenes", "3")
    by_fold = runs.pivot(index="dataset", columns="variant", values="accuracy")
    assert float(contrast["mean"]) == pytest.approx(by_fold["wide"].mean() - by_fold["narrow"].mean())


def test_the_page_says_how_the_data_are_divided_and_what_repeats(folded: Path):
    page = Tags((folded / "index.html").read_text())
    assert "scenes is divided into 3 folds" in page.text
    assert "3 paired folds" in page.text and "paired seed" not in page.text.split("Compare two variants")[0]
    report = (folded / "report.md").read_text()
    assert "scenes is divided into 3 folds" in report
    assert len(list(folded.glob("curves-scenes-fold*.svg"))) == 3
    assert [path.name for path in folded.glob("learning-*.svg")] == ["learning-scenes.svg"]
    header, _, *rows = (line for line in report.split("Gains are over")[0].splitlines()[-20:] if line.startswith("|"))
    assert "shown to have learned" in header and [row.split("|")[1:4] for row in rows] == [
        [" narrow ", " scenes ", " 3 "], [" wide ", " scenes ", " 3 "], [" narrow-aa ", " scenes ", " 3 "],
    ]  # fmt: skip
    assert len(list((folded / "cards").glob("*.md"))) == 2
