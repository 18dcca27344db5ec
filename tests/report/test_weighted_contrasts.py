"""A report whose contrasts are no differences of two variants: of factors, and of weights of one's own."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from reading import report

from emotune.config.contrast import Contrast
from emotune.config.model import AttentionConfig
from emotune.report.results import compute_results
from emotune.runs.directory import RECORD
from emotune.runs.store import RunStore

BOTH = Contrast("both readings", {"attention": 0.5, "tanh": 0.5, "alexnet": -1})
FACTORS = {"attention": {"no": ["alexnet", "raw"], "yes": ["attention", "tanh"]},
           "score": {"linear": ["alexnet", "attention"], "tanh": ["raw", "tanh"]}}  # fmt: skip


@pytest.fixture(scope="module")
def page(finished, tmp_path_factory) -> tuple[str, Path]:
    """The page of a 2×2 whose variant ``raw`` has copies of another's runs, and its folder; not to be changed."""
    study, runs, original = finished
    raw = AttentionConfig(width=0.0625, weight_init="he", scale="raw"), study.variants["tanh"][1]
    study = replace(study, contrasts=(BOTH,), variants=dict(study.variants) | {"raw": raw}, factors=FACTORS)
    pool = Path(shutil.copytree(original, tmp_path_factory.mktemp("weighted") / "runs"))
    copies = [run for run in study.runs([runs[0].dataset]) if run.variant == "raw"]
    for copy in copies:
        (run,) = (run for run in runs if (run.variant, run.seed) == ("tanh", copy.seed))
        shutil.copytree(pool / run.id, pool / copy.id)
        record = pool / copy.id / RECORD
        record.write_text(json.dumps(json.loads(record.read_text()) | {"run": copy.id}))
    _, text, out = report((study, [*runs, *copies], str(pool)), pool.parent / "report")
    return text, out


def test_it_has_their_names_and_formulas_in_every_format(page):
    text, out = page
    for shown in (text.replace("−", "-"), (out / "report.md").read_text(), (out / "table.tex").read_text()):
        plain = shown.replace("$-$", "-").replace(r"$\times$", "×")
        for name, formula in (BOTH.name, BOTH.formula), ("attention × score", "alexnet + tanh - raw - attention"):
            assert name in plain and formula in plain
    assert (out / "contrasts.csv").read_text().count("both readings") == 1


def test_it_has_no_table_that_needs_two_variants_and_no_empty_section(page):
    text, out = page
    ids = re.findall(r'<section id="(\w+)"', text)
    assert "images" in ids and "sensitivity" in ids and "disagreements" not in ids
    assert 'aria-label="McNemar' not in text
    assert "is better →" not in (out / "contrasts.svg").read_text(), "an interaction has no sides"


def test_it_shows_how_the_factors_work_together(page):
    text, out = page
    section = re.search(r'<section id="interactions".*?</section>', text, re.S)
    assert section and section[0].count("<figure") == 1
    assert (out / "interaction-attention-score-scenes.svg").exists()
    assert "attention, averaged over score: " in (out / "report.md").read_text()


def test_undeclared_differences_are_from_the_baseline_and_from_other_references(finished):
    study, runs, pool = finished
    results = compute_results(replace(study, references=("tanh",)), RunStore(pool).states(runs))
    assert [c.contrast.pair for c in results.exploratory] == [("tanh", "alexnet"), ("attention", "tanh")]
