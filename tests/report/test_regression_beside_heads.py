"""A study of heads on a frozen backbone with a logistic regression on the same features, from its file to its page."""

from pathlib import Path

import pandas as pd
import pytest
import torch
from reading import Tags
from trunks import SOURCE, network

from emotune.ablate import main
from emotune.config.load import load_study
from emotune.execution.plan.resolved_study import resolve_study
from emotune.runs.directory import PREDICTIONS

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
seeds: 2
contrasts: [max - mean, mean - logistic]
"""


@pytest.fixture(scope="module")
def place(small_shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the study, its backbone, the backbone's weights, runs and report."""
    folder = tmp_path_factory.mktemp("heads")
    (folder / "trunks.py").write_text(SOURCE)
    torch.save(network().backbone.network.state_dict(), folder / "trunk.pth")
    (folder / "heads.yaml").write_text(STUDY.format(data=small_shards, weights=folder / "trunk.pth"))
    command = [str(folder / "heads.yaml"), "--runs", str(folder / "runs"), "--executor", "local"]
    assert main([*command, "--report", str(folder / "report"), "--model-cards"]) == 0
    return folder


def runs_of(place: Path, variant: str) -> list[str]:
    runs = resolve_study(load_study(place / "heads.yaml"), place / "runs").runs
    return [run.id for run in runs if run.variant == variant]


def test_the_result_is_the_same_for_every_seed_(place: Path):
    first, second = runs_of(place, "logistic")
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


def test_weights_that_do_not_fit_cost_nothing(place: Path, capsys: pytest.CaptureFixture[str]):
    state = network().backbone.network.state_dict()
    torch.save({name: one for name, one in state.items() if "blocks.2" not in name}, place / "half.pth")
    text = (place / "heads.yaml").read_text()
    text = text.replace("name: logistic", f"name: logistic, train.init: {place / 'half.pth'}")
    (place / "half.yaml").write_text(text)
    assert main([str(place / "half.yaml"), "--runs", str(place / "none"), "--executor", "local"]) == 2
    assert "variants.logistic: train.init" in capsys.readouterr().err
    assert not list((place / "none").glob("*/record.json"))
