"""Sections that only some studies have, from run folders that were changed by hand."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from reading import Tags, relist

from emotune.config.ablate_command import AblateCommand
from emotune.config.metric import Metric
from emotune.report.build import build_report
from emotune.runs.directory import METRICS, RECORD
from emotune.runs.registry import Registry
from emotune.runs.store import RunStore


@pytest.fixture
def pool(finished, tmp_path: Path) -> Path:
    """A pool to be changed."""
    return Path(shutil.copytree(finished[2], tmp_path / "runs"))


def changed(folder: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    record = json.loads((folder / RECORD).read_text())
    (folder / RECORD).write_text(json.dumps(record | change(record)))


def section(page: Path, name: str) -> str:
    found = re.search(rf'<section id="{name}".*?</section>', page.read_text(), re.S)
    return " ".join(Tags(found[0]).text.split()) if found else ""


def test_uncommitted_changes_are_shown_once(finished, pool: Path, tmp_path: Path):
    study, runs, _ = finished
    git = {"commit": "c" * 40, "dirty": True, "diff": "0123456789abcdef"}
    for run in runs[:3]:
        changed(pool / run.id, lambda record: {"origins": [one | {"git": git} for one in record["origins"]]})
        (pool / run.id / "origin-01234567.diff").write_text("+    lr = 0.1 if <odd> else 0.2\n")
    page = build_report(study, RunStore(pool).states(runs), tmp_path / "out", AblateCommand())
    assert page.read_text().count("+    lr = 0.1 if &lt;odd&gt; else 0.2") == 1
    assert re.search(r"cccccccccc [a-z ]+ \(3\)", section(page, "reproduce"))


def test_best_test_epoch_is_shown_beside_the_selected_one(finished, pool: Path, tmp_path: Path):
    study, runs, _ = finished
    for run in runs:
        lines = [json.loads(line) for line in (pool / run.id / METRICS).read_text().splitlines()]
        lines[-1]["test_accuracy"] = 99.0
        (pool / run.id / METRICS).write_text("".join(json.dumps(line) + "\n" for line in lines))
        relist(pool / run.id)
    study = replace(study, metric=Metric(test_curve=True))
    page = build_report(study, RunStore(pool).states(runs), tmp_path / "out", AblateCommand())
    assert section(page, "selection").count("99.0+") == len(study.variants)
    assert "inflation" in (page.parent / "report.md").read_text()


def test_aa_is_the_noise_floor_and_not_a_variant(finished, pool: Path, tmp_path: Path):
    study, runs, _ = finished
    study = replace(study, aa=f"{study.baseline}-aa")
    data = runs[0].dataset
    for run, twin in ((r, t) for t in study.runs([data]) if t.variant == study.aa for r in runs if r.seed == t.seed):
        if run.variant == study.baseline:
            shutil.copytree(pool / run.id, pool / twin.id)
            changed(pool / twin.id, lambda _, twin=twin: {"run": twin.id})
    page = build_report(study, RunStore(pool).states(study.runs([data])), tmp_path / "out", AblateCommand())
    assert "A/A) on scenes" in section(page, "verdicts")
    assert "A/A interval" in section(page, "verdicts")
    assert f"{study.aa}" not in section(page, "variants") + section(page, "exploratory") + section(page, "compare")
    assert section(page, "runs").count(study.aa) == study.seeds, "its runs are listed"
    assert "A/A) on scenes" in (page.parent / "report.md").read_text()


def test_networks_are_listed_unless_they_belong_to_another_study(finished, pool: Path, tmp_path: Path):
    from emotune.execution.checks.architecture import describe

    study, runs, _ = finished
    Registry(str(pool)).write_networks(study, runs, describe(study, {"scenes": 8}))
    page = build_report(study, RunStore(pool).states(runs), tmp_path / "out", AblateCommand())
    networks = section(page, "networks")
    assert "model.score tanh" in networks
    assert "(+17)" in networks, "the parameters of one attention map over 16 channels"
    other = replace(study, variants=dict(list(study.variants.items())[:2]))
    assert not section(
        build_report(other, RunStore(pool).states(runs[:2]), tmp_path / "other", AblateCommand()), "networks"
    )


def test_images_classified_differently_are_counted_and_shown(reported):
    _, page, _ = reported
    text = re.search(r'<section id="disagreements".*?</section>', page, re.S)[0]
    assert text.count("data:image/jpeg;base64,") == text.count("<li>")
    assert "alexnet" in text
