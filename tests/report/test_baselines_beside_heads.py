"""A study of heads on a frozen backbone beside a regression on the same features and prompts, from file to page."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch
from clips import write_clip
from reading import Tags
from trunks import SOURCE, network

from emotune.ablate import main
from emotune.config.load import load_study
from emotune.execution.plan.resolved_study import resolve_study
from emotune.runs.directory import PREDICTIONS, RECORD

pytestmark = pytest.mark.slow

STUDY = """
question: Does a linear head find what a regression finds?
datasets: [{data}]
model: {{backbone: trunks.py:Trunk, tune: head, input: {{side: 64, resize: 72}}}}
train: {{init: {weights}, epochs: 2, batch_size: 16, lr: 0.1}}
baseline: mean
variants:
  mean: {{}}
  max: {{model.head: max}}
  logistic: {{model.name: logistic, model.c_grid: [0.1, 10]}}
  prompts: {{model.name: zero_shot, model.architecture: clip.json, train.init: {clip}, model.names.awe: wonder}}
seeds: 2
contrasts: [max - mean, mean - logistic, mean - prompts]
"""


@pytest.fixture(scope="module")
def place(small_shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the study, its backbone, the backbone's weights, runs and report."""
    folder = tmp_path_factory.mktemp("heads")
    (folder / "trunks.py").write_text(SOURCE)
    torch.save(network().backbone.network.state_dict(), folder / "trunk.pth")
    write_clip(folder)
    weights = {"weights": folder / "trunk.pth", "clip": folder / "clip.safetensors"}
    (folder / "heads.yaml").write_text(STUDY.format(data=small_shards, **weights))
    command = [str(folder / "heads.yaml"), "--runs", str(folder / "runs"), "--executor", "local"]
    assert main([*command, "--report", str(folder / "report"), "--model-cards"]) == 0
    return folder


def runs_of(place: Path, variant: str) -> list[str]:
    runs = resolve_study(load_study(place / "heads.yaml"), place / "runs").runs
    return [run.id for run in runs if run.variant == variant]


@pytest.mark.parametrize("variant", ["logistic", "prompts"])
def test_the_result_is_the_same_for_every_seed(place: Path, variant: str):
    first, second = runs_of(place, variant)
    assert first != second
    of_runs = [pd.read_parquet(place / "runs" / one / PREDICTIONS) for one in (first, second)]
    pd.testing.assert_frame_equal(*of_runs, check_exact=True)


def test_the_report_shows_it_beside_the_heads(place: Path):
    page = Tags((place / "report" / "index.html").read_text()).text
    assert "mean - logistic" in page
    (cost,) = (place / "report").glob("cost-*.svg")
    assert "logistic" in cost.read_text()
    (curves,) = (place / "report").glob("curves-*.svg")
    assert "logistic" not in curves.read_text()
    card = (place / "report" / "cards" / "logistic.md").read_text()
    assert "64×64" in card
    card = (place / "report" / "cards" / "prompts.md").read_text()
    assert "32×32" in card and "a photo that evokes {}" in card
    (run, _) = runs_of(place, "prompts")
    record = json.loads((place / "runs" / run / RECORD).read_text())
    assert record["fitted"]["texts"]["awe"] == ["a photo that evokes wonder"]
    assert record["initialisation"]["digest"]


def test_weights_that_do_not_fit_and_names_of_other_classes_cost_nothing(
    place: Path, capsys: pytest.CaptureFixture[str]
):
    state = network().backbone.network.state_dict()
    torch.save({name: one for name, one in state.items() if "blocks.2" not in name}, place / "half.pth")
    text = (place / "heads.yaml").read_text()
    half = text.replace("name: logistic", f"name: logistic, train.init: {place / 'half.pth'}")
    (place / "half.yaml").write_text(half.replace(str(place / "clip.safetensors"), str(place / "trunk.pth")))
    options = ["--runs", str(place / "none"), "--executor", "local", "--report", str(place / "none-report")]
    assert main([str(place / "half.yaml"), *options]) == 2
    lines = capsys.readouterr().err
    assert "variants.logistic: train.init" in lines
    assert "variants.prompts: train.init" in lines
    (place / "named.yaml").write_text(text.replace("names.awe", "names.aw"))
    assert main([str(place / "named.yaml"), "--plan", *options]) == 2
    assert "variants.prompts: model.names.aw" in capsys.readouterr().err
    assert not list((place / "none").glob("*/record.json"))
