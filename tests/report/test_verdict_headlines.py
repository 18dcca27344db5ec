"""Main effects and interactions in words: neither is told without the other."""

import re

import pytest
from seed_tables import compare_contrasts, rows

from emotune.analysis.verdict import Verdict
from emotune.config.design.factors import factor_contrasts
from emotune.config.metric import Metric
from emotune.report.phrasing import verdict_sentences

LAYOUT = {
    "attention": {"no": ["n1", "n2"], "yes": ["y1", "y2"]},
    "branches": {"one": ["n1", "y1"], "two": ["n2", "y2"]},
}
SPREAD = (-0.2, 0.0, 0.3, 0.1, -0.1)


def sentences(y2: float, min_effect: float = 1.0, sd: float = 1.0) -> tuple[list[Verdict | None], list[str]]:
    """The verdicts and sentences of a 2×2 with means 50, 60 (attention), 52 (branches) and this one for both."""
    shifts = {"n1": 0, "y1": 1, "n2": 3, "y2": 2}  # variants whose seeds vary independently
    means = {"n1": 50.0, "y1": 60.0, "n2": 52.0, "y2": y2}
    table = rows(**{v: [means[v] + sd * SPREAD[(s + k) % 5] for s in range(5)] for v, k in shifts.items()})
    metric = Metric(min_effect=min_effect)
    compared = compare_contrasts(table, factor_contrasts(LAYOUT), ["d"], 5, metric)
    return [c.verdict for c in compared], [verdict_sentences(c, metric, ["d"], compared) for c in compared]


@pytest.mark.parametrize(
    ("y2", "sd", "interaction", "words"),
    [
        (55.0, 1.0, Verdict.NEGATIVE, "But it depends on branches"),
        (70.0, 1.0, Verdict.POSITIVE, "But it depends on branches"),
        (62.0, 0.5, Verdict.EQUIVALENT, "does not depend on branches by more than 1 point"),
        (61.0, 6.0, Verdict.UNRESOLVED, "Whether it depends on branches cannot be told"),
    ],
)
def test_a_main_effect_says_whether_it_depends_on_the_other_factor(y2, sd, interaction, words):
    verdicts, (attention, branches, both) = sentences(y2, sd=sd)
    assert verdicts[0] is Verdict.BETTER and verdicts[2] is interaction
    assert attention.startswith("attention, averaged over branches: yes is better than no. ")
    assert words in attention and words.replace("branches", "attention") in branches
    (mean,) = re.findall(r"interaction ([+−-]?[\d.]+), [+−-]", attention)
    assert float(mean.replace("−", "-")) == pytest.approx(y2 - 60 - 2, abs=0.05)
    assert both.startswith("attention × branches: ") and mean in both and "complete seeds" in both
