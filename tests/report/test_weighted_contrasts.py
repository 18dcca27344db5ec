"""A report whose contrasts are no differences of two variants."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from reading import report

from emotune.config.contrast import Contrast

BOTH = Contrast("both readings", {"attention": 0.5, "tanh": 0.5, "alexnet": -1})
CURVATURE = Contrast("curvature", {"attention": 2, "tanh": -1, "alexnet": -1})


@pytest.fixture(scope="module")
def page(finished, tmp_path_factory) -> tuple[str, Path]:
    """The page and its folder; not to be changed."""
    study, runs, pool = finished
    study = replace(study, contrasts=(BOTH, CURVATURE))
    _, text, out = report((study, runs, pool), tmp_path_factory.mktemp("weighted"))
    return text, out


def test_it_has_their_names_and_formulas_in_every_format(page):
    text, out = page
    for shown in (text.replace("−", "-"), (out / "report.md").read_text(), (out / "table.tex").read_text()):
        for contrast in (BOTH, CURVATURE):
            assert contrast.name in shown
            assert contrast.formula in shown.replace("$-$", "-")
    assert (out / "contrasts.csv").read_text().count("both readings") == 1


def test_it_has_no_table_that_needs_two_variants_and_no_empty_section(page):
    text, out = page
    ids = re.findall(r'<section id="(\w+)"', text)
    assert "images" in ids and "sensitivity" in ids and "disagreements" not in ids
    assert 'aria-label="McNemar' not in text
    assert "is better →" not in (out / "contrasts.svg").read_text(), "a sum without two sides has none"
