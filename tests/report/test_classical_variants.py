"""A study with networks and classical baselines."""

import json
from pathlib import Path

import pandas as pd
import pytest
from reading import STUDY, Tags, report
from rich.console import Console

from emotune.analysis.architecture import read_architectures
from emotune.analysis.load import load_records
from emotune.config.load import load_study
from emotune.execution.checks.prepare import Preparation
from emotune.execution.monitor.display import ProgressDisplay
from emotune.execution.plan.resolved_study import resolve_study
from emotune.execution.run.local import run_locally
from emotune.runs.store import RunStore

OTHERS = """  constant: {{model.name: constant}}
  colours: {{model.name: svm, model.features: colours, model.c_grid: [1]}}
  regression: {{model.name: logistic, model.features: [colours, emotion_histogram], model.c_grid: [0.01]}}
seeds: 2
contrasts: [attention - alexnet, alexnet - constant, alexnet - colours]
"""


@pytest.fixture(scope="module")
def mixed(small_shards, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mixed")
    text = STUDY.partition("seeds: 2")[0] + OTHERS
    (folder / "mixed.yaml").write_text(text.format(data=small_shards))
    study, pool = load_study(folder / "mixed.yaml"), str(folder / "runs")
    resolved = resolve_study(study, pool)
    runs = resolved.runs
    with Preparation(resolved, runs, "local") as preparation:
        preparation.wait()
    with ProgressDisplay(Console(quiet=True), runs) as lines:
        run_locally(runs, RunStore(pool), lines, study.resources)
    return study, runs, pool


def test_all_runs_finish_and_only_networks_have_flops(mixed):
    _, runs, pool = mixed
    runs = load_records(RunStore(pool).states(runs)).runs
    assert set(runs["state"]) == {"done"}
    by_variant = runs.groupby("variant")[["parameters", "forward_flops"]].first()
    assert by_variant.loc["constant", "parameters"] == 7
    assert by_variant["forward_flops"].isna().to_dict() == {
        "alexnet": False, "attention": False, "tanh": False, "constant": True, "colours": True, "regression": True
    }  # fmt: skip


def test_only_networks_are_compared_with_the_baselines_network(mixed):
    study, runs, pool = mixed
    (entry,) = read_architectures(RunStore(pool), study, runs)["networks"]
    assert set(entry["variants"]) == {"alexnet", "attention", "tanh"}


def test_baselines_have_verdicts_and_costs_but_no_learning_curves(mixed, tmp_path):
    _, text, out = report(mixed, tmp_path / "report")
    page_text = Tags(text).text
    assert "alexnet - constant" in page_text
    assert "alexnet - colours" in page_text
    (curves,) = out.glob("curves-*.svg")
    drawn = curves.read_text()
    assert "attention" in drawn
    assert "colours" not in drawn
    (cost,) = out.glob("cost-*.svg")
    assert "colours" in cost.read_text()


def test_the_report_tells_which_features_matter(mixed, tmp_path):
    study, _, pool = mixed
    _, page, out = report(mixed, tmp_path / "report")
    assert 'id="features"' in page
    figures = {path.name for path in out.glob("importance-*.svg")}
    assert figures == {"importance-scenes-regression.svg"}, "one group has nothing to be compared with"
    table = pd.read_csv(out / "importance.csv")
    groups = table[table["kind"] == "group"]
    assert groups.groupby("variant", sort=False)["columns"].sum().to_dict() == {"colours": 256, "regression": 256 + 64}
    (record,) = [json.loads(path.read_text()) for path in Path(pool).glob("logistic-*s0*/record.json")]
    expected = record["fitted"]["importance"]["groups"]["colours/histogram"]
    (row,) = groups[groups["variant"].eq("regression") & groups["features"].eq("colours/histogram")].to_dict("records")
    assert (row["loss"], row["sd"]) == (expected["loss"], expected["sd"])
    assert "colours/histogram" in (out / "report.md").read_text()
    assert f"{study.name}-importance" in (out / "table.tex").read_text()
    card = (out / "cards" / "regression.md").read_text()
    assert "colours, emotion_histogram" in card
    assert "`fitted.safetensors`" in card
    assert all((run / "fitted.safetensors").exists() for run in Path(pool).glob("logistic-*"))
