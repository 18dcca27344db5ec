"""Sections that only some studies have, from run folders that were changed by hand."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from reading import Tags, relist, report

from emotune.config.ablate_command import AblateCommand
from emotune.config.metric import Metric
from emotune.config.study import Study
from emotune.report.build import build_report
from emotune.runs.directory import METRICS, RECORD
from emotune.runs.registry import Registry
from emotune.runs.store import RunStore


def change(folder: Path, file: str, **values: Any) -> None:
    (folder / file).write_text(json.dumps(json.loads((folder / file).read_text()) | values))


def section(page: str, name: str) -> str:
    found = re.search(rf'<section id="{name}".*?</section>', page, re.S)
    return " ".join(Tags(found[0]).text.split()) if found else ""


@pytest.fixture(scope="module")
def changed(finished, tmp_path_factory) -> tuple[Study, str, Path]:
    """A report as of runs of which three were trained with uncommitted changes, all tested their epochs, and the
    baseline was also compared with itself: the study, the page's text, and the folder; not to be changed.
    """
    study, runs, original = finished
    study = replace(study, aa=f"{study.baseline}-aa")
    pool = Path(shutil.copytree(original, tmp_path_factory.mktemp("changed") / "runs"))
    twins = [run for run in study.runs([runs[0].dataset]) if run.variant == study.aa]
    for twin in twins:
        (run,) = (run for run in runs if (run.variant, run.seed) == (study.baseline, twin.seed))
        shutil.copytree(pool / run.id, pool / twin.id)
        change(pool / twin.id, RECORD, run=twin.id)
    git = {"commit": "c" * 40, "dirty": True, "diff": "0123456789abcdef"}
    for run in runs[:3]:
        origins = json.loads((pool / run.id / RECORD).read_text())["origins"]
        change(pool / run.id, RECORD, origins=[origin | {"git": git} for origin in origins])
        (pool / run.id / "origin-01234567.diff").write_text("+    lr = 0.1 if <odd> else 0.2\n")
    for run in runs:
        *before, last = (pool / run.id / METRICS).read_text().splitlines()
        last = json.dumps(json.loads(last) | {"test_accuracy": 99.0})
        (pool / run.id / METRICS).write_text("".join(f"{line}\n" for line in (*before, last)))
        relist(pool / run.id)
    study = replace(study, metric=Metric(test_curve=True))
    return report((study, [*runs, *twins], str(pool)), pool.parent / "report")


def test_uncommitted_changes_are_shown_once(changed):
    _, page, _ = changed
    assert page.count("+    lr = 0.1 if &lt;odd&gt; else 0.2") == 1
    assert re.search(r"cccccccccc [a-z ]+ \(3\)", section(page, "reproduce"))


def test_best_test_epoch_is_shown_beside_the_selected_one(changed):
    study, page, out = changed
    assert section(page, "selection").count("99.0+") == len(study.variants)
    assert "inflation" in (out / "report.md").read_text()


def test_aa_is_the_noise_floor_and_not_a_variant(changed):
    study, page, out = changed
    assert "A/A) on scenes" in section(page, "verdicts")
    assert "Noise floor: the baseline against itself" in section(page, "verdicts")
    assert f"{study.aa}" not in section(page, "variants") + section(page, "exploratory") + section(page, "compare")
    assert section(page, "runs").count(study.aa) == study.seeds, "its runs are listed"
    assert "A/A) on scenes" in (out / "report.md").read_text()


def test_networks_are_listed_unless_they_belong_to_another_study(finished, tmp_path: Path):
    from emotune.execution.checks.architecture import describe

    study, runs, _ = finished
    store = RunStore(tmp_path / "runs")  # nothing has been trained, which makes no difference to networks
    Registry(store.url).write_networks(study, runs, describe(study, {"scenes": 8}))
    page = build_report(study, store.states(runs), tmp_path / "out", AblateCommand()).read_text()
    networks = section(page, "networks")
    assert "model.score tanh" in networks
    assert "(+17)" in networks, "the parameters of one attention map over 16 channels"
    other = replace(study, variants=dict(list(study.variants.items())[:2]))
    page = build_report(other, store.states(runs[:2]), tmp_path / "other", AblateCommand()).read_text()
    assert not section(page, "networks")


def test_images_classified_differently_are_counted_and_shown(reported):
    _, page, _ = reported
    text = re.search(r'<section id="disagreements".*?</section>', page, re.S)[0]
    assert text.count("data:image/jpeg;base64,") == text.count("<li>")
    assert "alexnet" in text
