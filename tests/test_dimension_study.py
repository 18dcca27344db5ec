"""A study of predicted dimensions from shards to report, predictions and cards."""

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from rated import AROUSAL, VALENCE, rated_scenes

from emotune import predict
from emotune.analysis.rating_noise import noise_bound
from emotune.api.results import load_predictor, load_results
from emotune.api.run_study import run_study
from emotune.config.load import load_study
from emotune.config.metric_scales import DIMENSION_METRICS
from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.data.build.shards import write_shards
from emotune.data.manifest import read_manifest
from emotune.execution.plan.resolved_study import resolve_study
from emotune.execution.run.session import ExecutionOptions
from emotune.runs.predictions import mean_concordance

LOCAL = ExecutionOptions(executor="local")
STUDY = """question: Does it learn ratings?
datasets: [{data}]
model: {{name: alexnet, width: 0.04}}
train: {{epochs: 2, lr: 0.01, batch_size: 24, loss: mse}}
baseline: mse
variants:
  mse: {{}}
  ccc: {{train.loss: ccc, train.clip_norm: 1, train.test_crops: 5}}
  constant: {{model.name: constant}}
  ridge: {{model.name: ridge, model.features: [colours, emotion_histogram], model.c_grid: [0.01]}}
seeds: 2
contrasts: [ccc - mse]
metric: {{name: ccc_valence, min_effect: 0.05, select: best_val}}
{more}"""


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("dimension-study")
    write_shards(rated_scenes(64), Folder(str(folder / "data")), allow_thumbnails=True)
    (folder / "rated.yaml").write_text(STUDY.format(data=folder / "data", more=""))
    run_study(folder / "rated.yaml", folder / "runs", folder / "report", options=LOCAL, model_cards=True)
    return folder


def test_records_have_the_concordance_and_the_training_means(place):
    for file in sorted(place.glob("runs/*/record.json")):
        record, predictions = json.loads(file.read_text()), pd.read_parquet(file.parent / "predictions.parquet")
        assert not {"accuracy", "train_by_class"} & set(record)
        true, predicted = (
            np.stack([one.to_unit(predictions[f"{part}_{one.name}"]) for one in (VALENCE, AROUSAL)], axis=1)
            for part in ("true", "predicted")
        )
        assert record["ccc"] == pytest.approx(mean_concordance(true, predicted), abs=1e-5)
        assert 1 < record["train_means"]["valence"] < 7 and 0 < record["train_means"]["arousal"] < 100
        assert predictions["sd_valence"].tolist() == [1.25] * len(predictions)
        assert predictions["sd_arousal"].isna().all()
        lines = [json.loads(line) for line in (file.parent / "metrics.jsonl").read_text().splitlines()]
        assert all({"val_ccc", "val_loss", "train_loss"} <= set(line) and "val_accuracy" not in line for line in lines)
        score = "val_score" if record["model"] == "alexnet" else "val_ccc"  # others have one epoch
        best = max(lines, key=lambda line: line[score])["epoch"]
        assert record["selected_epoch"] == best and "accuracy" not in record["selection"]
        if record["model"] == "constant":
            assert predictions["predicted_valence"].to_numpy() == pytest.approx(record["train_means"]["valence"])
            assert (record["ccc"], record["parameters"]) == (0, 2)


def test_the_report_has_the_measures_of_dimensions_and_no_figure_of_classes(place):
    report = place / "report"
    figures = {file.stem.removesuffix("-rated") for file in report.glob("*.svg")}
    assert {"scatter", "plane", "ccc_valence", "learning", "curves"} <= figures
    assert not {"recall", "confusion", "confusion-difference", "calibration"} & figures
    runs = pd.read_csv(report / "runs.csv")
    assert set(DIMENSION_METRICS) <= set(runs.columns) and "accuracy" not in runs.columns
    assert runs["ccc"].notna().all() and runs["ccc_dominance"].isna().all()
    assert runs.loc[runs["variant"] == "constant", "pearson"].isna().all()
    page, text = (report / "index.html").read_text(), (report / "report.md").read_text()
    assert "highest validation concordance correlation of valence" in text and "different rules" not in page
    for word in ("accuracy", "class prior", "classif"):
        assert word not in text.replace("classical", "")
        assert f">{word}" not in page
    assert "every quarter of valence is in every split" in page and "stratified" not in page
    assert "training mean" in page and "valence (1 to 7)" in text and "dominance" not in text
    for variant in ("mse", "ccc", "constant"):
        card = (report / "cards" / f"{variant}.md").read_text()
        assert "| arousal (0 to 100) |" in card and "recall" not in card and "per class" not in card
        assert "people shown" in card and "evoked in its annotators" not in card


def test_the_report_tells_which_features_regressions_need_and_which_images_are_predicted_worst(place):
    report = place / "report"
    losses = pd.read_csv(report / "importance.csv")
    (record,) = [json.loads(path.read_text()) for path in place.glob("runs/ridge-*s0*/record.json")]
    assert losses["ccc"].unique() == pytest.approx([record["fitted"]["importance"]["ccc"]])
    assert losses["columns"].max() == 256 and "accuracy" not in losses.columns
    assert (report / "importance-rated-ridge.svg").is_file()
    page, text = (report / "index.html").read_text(), (report / "report.md").read_text()
    assert "CCC lost" in page and "CCC lost" in text

    test = pd.read_parquet(next(place.glob("runs/alexnet-*s0*/predictions.parquet")))
    start = page.index("predicted worst")
    shown = [sample for sample in test["sample_id"] if sample in page[start:]]
    assert len(shown) >= 8 and page[start:].count("predicted: valence ") == 8 * 4
    assert page[start:].count("data:image/jpeg;base64,") == 8 * 4


def test_the_report_says_what_the_noise_of_raters_leaves_to_be_reached(place):
    manifest = read_manifest(Folder(str(place / "data")))
    assert manifest.rating_errors == pytest.approx({"valence": 1.25**2 / 20})
    test = pd.read_parquet(next(place.glob("runs/alexnet-*s0*/predictions.parquet")))
    bound = noise_bound(test["true_valence"].to_numpy(), 1.25**2 / 20)
    for text in ((place / "report" / "index.html").read_text(), (place / "report" / "report.md").read_text()):
        sentence = text[text.index("happened to rate") :][:400]
        for number in (f"{bound.ccc:.3f}", f"{bound.pearson:.3f}", f"{bound.rmse:.2f}", f"{bound.reliability:.3f}"):
            assert number in sentence
        assert "arousal" not in sentence


def test_results_are_on_the_dimensions_own_scales(place):
    found = load_results(place / "rated.yaml", place / "runs").predictions
    assert found["true_arousal"].between(0, 100).all() and found["true_arousal"].max() > 7
    assert found["true_valence"].between(1, 7).all()


def test_images_get_ratings_on_the_dimensions_own_scales(place, tmp_path, capsys):
    Image.effect_noise((300, 280), 60).convert("RGB").save(tmp_path / "a.png")
    run = next(file.parent for file in place.glob("runs/alexnet-*/record.json"))
    predictor = load_predictor(run, "cpu")
    found = predictor.predict([tmp_path / "a.png"])
    assert found.ratings.shape == (1, 2) and found.probabilities.shape == (1, 0) and found.labels == []
    command = [str(run), str(tmp_path / "a.png"), "--device", "cpu"]
    assert predict.main([*command, "--csv", "--out", str(tmp_path / "out")]) == 0
    (row,) = csv.DictReader(capsys.readouterr().out.splitlines())
    assert list(row) == ["image", "valence", "arousal"]
    assert [float(row[name]) for name in ("valence", "arousal")] == pytest.approx(found.ratings[0].tolist(), rel=1e-4)
    assert (tmp_path / "out" / "a.png").is_file()
    assert predict.main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ratings"]["arousal"] == pytest.approx(found.ratings[0, 1], rel=1e-4)
    assert predict.main(command) == 0
    assert f"{found.ratings[0, 1]:.2f}" in capsys.readouterr().out


def test_the_same_command_does_nothing_and_report_only_gives_the_same(place):
    before = (place / "report" / "runs.csv").read_bytes()
    assert all(
        status.state == "done"
        for status in resolve_study(place / "rated.yaml", place / "runs").plan().statuses.values()
    )
    run_study(place / "rated.yaml", place / "runs", place / "report", options=LOCAL)
    assert (place / "report" / "runs.csv").read_bytes() == before


@pytest.mark.parametrize(("old", "new", "key"), [
    ("loss: mse", "loss: cross_entropy", r"variants\.mse: train\.loss: "),
    ("ccc_valence, min_effect: 0.05", "accuracy", r"metric\.name: "),
    ("ccc_valence", "ccc_dominance", r"metric\.name: "),
    ("seeds: 2", "seeds: 2\ntask: classes", "task: classes"),
    ("seeds: 2", "seeds: 2\ntest_on: [scenes]", "test_on: "),
])  # fmt: skip
def test_what_dimensions_cannot_have_is_refused_before_anything_is_trained(place, tmp_path, old, new, key):
    study = tmp_path / "wrong.yaml"
    study.write_text(STUDY.format(data=place / "data", more="").replace(old, new, 1))
    with pytest.raises(InputError, match=key):
        resolve_study(load_study(study), tmp_path / "runs")
