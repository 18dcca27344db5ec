"""Simulated studies whose settings are chosen by validation: the choice alone resolves no contrast that is not there.

Every variant has the same true accuracy at its best rate. Validation and test images are different ones, and tuning
runs have other seeds than the study's, so that what the choice profits from by luck is not in the study's runs.
"""

import numpy as np
import pytest

from emotune.analysis.joint_interval import joint_intervals

VARIANTS, SEEDS, TUNING_SEEDS, STUDIES = 4, 5, 2, 4000
TRUE = np.array([-2.0, -0.5, 0.0, 0.0, -1.0])
"""The true accuracy of each rate, in standard deviations of a run; two are equally good."""
STAR = np.column_stack([-np.ones(VARIANTS - 1), np.eye(VARIANTS - 1)])
LEAST_OVERSTATED = 0.3
"""By how much the validation of what was chosen overstates it at least, in standard deviations of a run."""


def false_alarms(*, by_test: bool, nested: bool = False) -> tuple[float, float]:
    """The share of studies with a false alarm, in %, and by how much validation overstates what was chosen.

    Args:
        by_test: Whether the first variant alone is chosen by the test accuracy of the study's own runs.
        nested: Whether a rate is chosen in each seed anew.
    """
    rng, alarms, overstated = np.random.default_rng(7), 0, 0.0
    columns = np.arange(SEEDS)
    for _ in range(STUDIES):
        shape = (VARIANTS, len(TRUE), SEEDS if nested else 1, TUNING_SEEDS)
        validation = (TRUE[None, :, None, None] + rng.normal(0, 1, shape)).mean(3)
        # All runs of a seed share a part, as they do in a study that is paired by seed.
        runs = TRUE[None, :, None] + rng.normal(0, 1, (VARIANTS, len(TRUE), SEEDS)) + 2 * rng.normal(0, 1, SEEDS)
        chosen = np.broadcast_to(validation.argmax(1), (VARIANTS, SEEDS)).copy()
        overstated += validation.max(1).mean() - TRUE[validation.argmax(1)].mean()
        if by_test:
            chosen[0] = runs[0].mean(1).argmax()
        values = np.stack([runs[v, chosen[v], columns] for v in range(VARIANTS)])
        true = TRUE[chosen].mean(1)
        truth = true[1:] - true[0] if not nested else np.zeros(VARIANTS - 1)  # over choices, all variants are alike
        found = joint_intervals(values, STAR)
        alarms += any(not one.low <= t <= one.high for one, t in zip(found, truth, strict=True))
    return 100 * alarms / STUDIES, overstated / STUDIES


@pytest.mark.slow
@pytest.mark.parametrize("nested", [False, True])
def test_a_choice_by_validation_does_not_add_false_alarms(nested: bool):
    share, overstated = false_alarms(by_test=False, nested=nested)
    print(f"nested {nested}: {share:.1f} % of studies have a false alarm; validation overstates by {overstated:.2f} sd")
    assert share <= 5.0 + 200 * (0.05 * 0.95 / STUDIES) ** 0.5
    assert overstated > LEAST_OVERSTATED, "the validation of what was chosen is optimistic, the study's runs are not"


@pytest.mark.slow
def test_a_choice_by_the_studys_own_test_images_would_add_them():
    honest, _ = false_alarms(by_test=False)
    share, _ = false_alarms(by_test=True)
    print(f"chosen by test: {share:.1f} %, by validation: {honest:.1f} % of studies have a false alarm")
    assert share > honest + 1.0
