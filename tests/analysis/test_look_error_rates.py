"""False alarms, runs and power of adaptive seeds in simulated studies: four contrasts with one baseline.

The figures beside the scenarios are those of an independent simulation, which are right to a point.
"""

import numpy as np
import pandas as pd
import pytest
from seed_tables import rows

from emotune.analysis.learning import Learning, RunLearning, VariantLearning
from emotune.analysis.looks import looks_on
from emotune.analysis.prior import PriorPredictor
from emotune.analysis.verdict import Verdict
from emotune.config.contrast import Contrast
from emotune.config.metric import Metric

NAMES, PLANNED = ("base", "a", "b", "c", "d"), (5, 10, 20)
STAR = [Contrast.difference(name, "base") for name in NAMES[1:]]
FALSE = (Verdict.BETTER, Verdict.WORSE)
WITHIN = 2.0
"""Points by which a share may differ from the figure, besides two Monte-Carlo standard errors."""


def simulate(effect: float, studies: int) -> tuple[float, float, float]:
    """The share of studies with a false alarm in %, the mean number of runs, and the share that resolves all in %.

    Args:
        effect: The true difference of all contrasts, in standard deviations of a seed difference, which is also the
            smallest effect of interest.
        studies: The number of studies.
    """
    sd, rng, metric = 2**0.5, np.random.default_rng([19, int(effect)]), Metric(min_effect=2**0.5)
    alarms, runs, complete = 0, 0, 0
    for _ in range(studies):
        values = 60 + rng.normal(0, 3, 20) + rng.normal(0, 1, (5, 20))
        values[1:] += effect * sd
        found = looks_on(rows(**dict(zip(NAMES, values.tolist(), strict=True))), STAR, "d", PLANNED, metric)
        alarms += any(c.verdict in FALSE for c in found.comparisons) if not effect else False
        runs += sum(found.seeds.values())
        complete += not found.open
    return 100 * alarms / studies, runs / studies, 100 * complete / studies


@pytest.mark.slow
@pytest.mark.parametrize(
    ("effect", "studies", "runs", "complete"), [(0.0, 700, 97, 62), (1.0, 200, 81, 81), (2.0, 100, 38, 100)]
)
def test_false_alarms_runs_and_power(effect: float, studies: int, runs: float, complete: float):
    alarms, mean_runs, resolved = simulate(effect, studies)
    print(f"effect {effect} sd: false alarms {alarms:.1f} %, {mean_runs:.1f} runs, all resolved {resolved:.1f} %")
    error = 200 * (complete / 100 * (1 - complete / 100) / studies) ** 0.5
    assert alarms <= 5.0
    assert abs(mean_runs - runs) <= WITHIN
    assert abs(resolved - complete) <= WITHIN + error


@pytest.mark.slow
def test_nobody_is_said_to_have_learned_at_any_look_who_has_not():
    """All variants are as good as the class prior, and lucky runs keep all contrasts open to the last look."""
    rng, studies, said = np.random.default_rng(5), 300, 0
    runs = [RunLearning(variant, seed, learned=True) for variant in NAMES for seed in range(20)]
    asked = {variant: VariantLearning(variant, 0, {}, learned=False) for variant in NAMES}
    learning = Learning("d", PriorPredictor(pd.DataFrame(), "joy", {"accuracy": 12.5}), ("accuracy",), asked, runs)
    for _ in range(studies):
        values = 12.5 + rng.normal(0, 1, (5, 20))
        table = rows(**dict(zip(NAMES, values.tolist(), strict=True)))
        found = looks_on(table, STAR, "d", PLANNED, Metric(min_effect=0.5), 1.0, learning)
        assert len(found.reached) == 3 or not found.open
        said += any(one.learned for one in found.learning.values())
    print(f"said to have learned in {100 * said / studies:.1f} % of studies")
    assert said <= 0.05 * studies + 2 * (0.05 * 0.95 * studies) ** 0.5
