"""A study on distributions from shards to the page: three losses, the training mean, and what is said of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from reading import Tags, report
from rich.console import Console

from emotune.analysis.distribution_metrics import distribution_metrics
from emotune.config.distribution_scales import DISTRIBUTION_SCALES
from emotune.config.labels import EKMAN, MIKELS, POLARITY
from emotune.config.load import load_study
from emotune.core.storage import Folder
from emotune.data.datasets.resolve import resolve_datasets
from emotune.data.manifest import read_manifest
from emotune.execution.monitor.display import ProgressDisplay
from emotune.execution.run.local import run_locally
from emotune.report.dataset_info import DatasetInfo
from emotune.report.distribution_report import measure_sentences
from emotune.report.results import compute_results
from emotune.runs.directory import PREDICTIONS
from emotune.runs.store import RunStore

STUDY = """
question: Which loss predicts votes best?
datasets: [{data}]
task: distributions
model: {{name: alexnet, width: 0.0625, weight_init: he}}
train: {{epochs: 1, batch_size: 8, lr: 0.02, targets: soft}}
baseline: kl
variants:
  kl: {{train.loss: kl}}
  emd: {{train.loss: emd}}
  cnnr: {{train.loss: cnnr}}
  mean: {{model.name: constant}}
seeds: 2
contrasts: [emd - kl, cnnr - kl]
metric: {{name: {metric}, min_effect: 0.05}}
"""


@pytest.fixture(scope="module")
def place(small_shards: Path, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("distributions")
    for metric in ("kl", "cosine"):
        (folder / f"{metric}.yaml").write_text(STUDY.format(data=small_shards, metric=metric))
    return folder


def finished(place: Path, metric: str):
    study = load_study(place / f"{metric}.yaml")
    runs = study.runs(resolve_datasets(study.datasets, study.task))
    with ProgressDisplay(Console(quiet=True), runs) as lines:
        run_locally(runs, RunStore(place / "runs"), lines, study.resources)
    return study, runs, str(place / "runs")


@pytest.fixture(scope="module")
def page(place: Path) -> tuple[str, Path]:
    _, text, out = report(finished(place, "kl"), place / "report")
    return text, out


def test_runs_csv_has_every_measure_as_it_follows_from_the_predictions(place: Path, page: tuple[str, Path]):
    table = pd.read_csv(page[1] / "runs.csv")
    assert len(table) == 8 and (table["state"] == "done").all()
    for row in table.to_dict("records"):
        predictions = pd.read_parquet(place / "runs" / row["run"] / PREDICTIONS)
        expected = distribution_metrics(predictions)
        assert {name: row[name] for name in DISTRIBUTION_SCALES} == pytest.approx(expected, rel=1e-6)
    means = table[table["variant"] == "mean"]
    assert means["kl"].nunique() == 1


def test_the_page_shows_measures_figure_and_worst_images(page: tuple[str, Path]):
    text, out = page
    tags = Tags(text)
    assert "distributions" in {one.get("id") for one in tags.named("section")}
    assert (out / "distributions-scenes.svg").exists() and (out / "distributions-scenes.png").exists()
    rows = [line for line in (out / "report.md").read_text().splitlines() if line.startswith("| training mean")]
    assert len(rows) == 1 and rows[0].count("|") == 2 + len(DISTRIBUTION_SCALES) + 1
    assert text.count("<details") >= 4 and "1e-10" in text
    shown = [one for one in tags.named("img") if one.get("width") == "96"]
    assert len(shown) >= 8 * 4
    assert text.count("<br>predicted: ") == len(shown)


def test_measures_that_classes_do_not_have_are_said_to_be_missing(small_shards: Path):
    manifest = read_manifest(Folder(str(small_shards)))
    classes = {"photos": MIKELS, "faces": EKMAN, "six": (*EKMAN, "neutral"), "tweets": POLARITY}
    said = {}
    for name, names in classes.items():
        counts = {split: dict.fromkeys(names, 1) for split in manifest.counts}
        noisy = {split: dict.fromkeys(names, 0) for split in manifest.counts}
        own = replace(manifest, classes=names, counts=counts, noisy=noisy)
        said[name] = measure_sentences([DatasetInfo(name, "", "all", False, own)])
    assert {name: sum(name in text for text in texts) for name, texts in said.items()} == dict(
        photos=0, faces=1, six=2, tweets=1
    )
    assert sum("surprise and neutral" in text or "surprise, neutral" in text for text in said["six"]) == 1
    assert len(measure_sentences([DatasetInfo("away", "", "all", False, None)])) == 1, "its classes are unknown"


def test_the_training_mean_is_the_constant_model_and_a_run_of_it_has_not_learned(place: Path, page: tuple[str, Path]):
    study, runs, pool = finished(place, "kl")
    results = compute_results(study, RunStore(pool).states(runs))
    learning = results.learning["scenes"]
    of_mean = results.predictions["scenes"]["mean"][0]
    logits = [name for name in of_mean if name.startswith("logit_")]
    np.testing.assert_allclose(learning.prior.predictions[logits], of_mean[logits], atol=1e-6)
    assert learning.prior.task == "distributions" and set(learning.variants) == {"kl", "emd", "cnnr"}
    assert learning.yardsticks == ("kl", "accuracy")


def test_a_metric_of_which_more_is_better_trains_nothing_and_turns_the_direction(place: Path, page: tuple[str, Path]):
    before = sorted(one.name for one in (place / "runs").iterdir() if one.name[0] not in "ds")
    study, runs, pool = finished(place, "cosine")
    assert sorted(one.name for one in (place / "runs").iterdir() if one.name[0] not in "ds") == before
    results = compute_results(study, RunStore(pool).states(runs))
    for comparison in results.comparisons:
        variant, reference = comparison.contrast.pair
        values = {
            name: results.done("scenes").query("variant == @name")["cosine"].mean() for name in (variant, reference)
        }
        assert comparison.summary.mean == pytest.approx(values[variant] - values[reference])
    (bootstrap, *_) = results.image_bootstraps
    assert bootstrap.low is not None and bootstrap.low <= bootstrap.mean <= bootstrap.high
