"""False alarms, coverage and power of the joint interval in simulated studies: four contrasts with one baseline.

The figures beside the scenarios are those of an independent simulation, which are right to a few tenths of a point.
"""

import numpy as np
import pytest

from emotune.analysis.joint_interval import joint_intervals

VARIANTS, STUDIES = 5, 5000
STAR = np.column_stack([-np.ones(VARIANTS - 1), np.eye(VARIANTS - 1)])
WITHIN = 1.0
"""Points by which a share may differ from the figure, besides two Monte-Carlo standard errors."""


def simulate(seeds: int, sds: list[float], effect: float = 0.0) -> tuple[float, float]:
    """The share of studies with any interval without its true difference, and with a resolved first contrast, in %.

    Args:
        seeds: The number of seeds.
        sds: The standard deviation of each variant's runs.
        effect: The true difference of the first contrast, in standard deviations of a seed difference.
    """
    rng, missed, resolved = np.random.default_rng(seeds), 0, 0
    true = effect * 2**0.5 * np.eye(VARIANTS - 1)[0]
    for _ in range(STUDIES):
        values = rng.normal(0, 3, seeds) + np.array(sds)[:, None] * rng.normal(0, 1, (VARIANTS, seeds))
        values[1] += true[0]
        found = joint_intervals(values, STAR)
        missed += any(not c.low <= t <= c.high for c, t in zip(found, true, strict=True))
        resolved += found[0].low > 0
    return 100 * missed / STUDIES, 100 * resolved / STUDIES


def is_near(share: float, figure: float) -> bool:
    return abs(share - figure) <= WITHIN + 200 * (figure / 100 * (1 - figure / 100) / STUDIES) ** 0.5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sds", "figure"),
    [([1, 1, 1, 1, 1], 2.3), ([1, 1, 1, 1, 3], 3.7), ([3, 1, 1, 1, 1], 6.9)],
    ids=["equal", "one variant 3 times", "baseline 3 times"],
)
def test_false_alarms_and_coverage_with_three_seeds(sds: list[float], figure: float):
    missed, _ = simulate(3, sds)
    print(f"S = 3, sds {sds}: {missed:.1f} % of studies have a false alarm")
    assert is_near(missed, figure)


@pytest.mark.slow
@pytest.mark.parametrize(("seeds", "effect"), [(3, 3.3), (5, 1.8), (10, 1.16)])
def test_power_is_80_per_cent_at_the_stated_effects(seeds: int, effect: float):
    missed, resolved = simulate(seeds, [1.0] * VARIANTS, effect)
    print(f"S = {seeds}, effect {effect} sd: power {resolved:.1f} %, joint coverage {100 - missed:.1f} %")
    assert is_near(resolved, 80.0)
    assert missed <= 5.0
