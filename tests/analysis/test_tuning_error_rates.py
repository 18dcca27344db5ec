"""Simulated studies whose settings are chosen by validation: the choice alone resolves no contrast that is not there.

Every variant has the same true accuracy at its best rate. Validation and test images are different ones, and tuning
runs have other seeds than the study's, so that what the choice profits from by luck is not in the study's runs.
"""

import numpy as np
import pytest

from emotune.analysis.joint_interval import joint_intervals
from emotune.analysis.tuning import Trial, better_half
from emotune.config.rungs import rungs_of
from emotune.config.tuning import Tuning

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


RATES = [0.001, 0.003, 0.01, 0.03, 0.1]
HALVED = Tuning(
    over={"train.lr": RATES, "train.momentum": [*range(VARIANTS)]}, seeds=TUNING_SEEDS, epochs=4, halving=True
)
"""The second option stands for the variant, of whose settings there are as many as rates."""
RUNGS = rungs_of(Tuning(over={"train.lr": RATES}, epochs=4, halving=True), 4)
BEHIND = (4.0, 2.0, 0.0)
"""How far the slow starter is behind in each rung, with every rate, in standard deviations of a run."""


def halved(*, within: bool) -> tuple[float, list[float]]:
    """The share of studies with a false alarm in %, and the mean true accuracy of what was chosen for each variant.

    All variants have the same accuracies after all epochs; the last one starts slowly.

    Args:
        within: Whether settings are halved within each variant, as the product does, or among those of all variants.
    """
    rng, alarms, accuracies = np.random.default_rng(7), 0, []
    for _ in range(STUDIES // 2):
        trials: list[Trial] = []
        left = [(rate, variant) for variant in range(VARIANTS) for rate in range(len(RATES))]
        for number in range(len(RUNGS)):
            if number:
                parts = [[t for t in trials if t.setting[1][1] == v] for v in range(VARIANTS)] if within else [trials]
                kept = [setting for part in parts for setting in better_half(HALVED, part)]
                left = [(RATES.index(rate), variant) for (_, rate), (_, variant) in kept]
            trials = [
                Trial(
                    (("train.lr", RATES[rate]), ("train.momentum", variant)),
                    tuple(rng.normal(TRUE[rate] - BEHIND[number] * (variant == VARIANTS - 1), 1, TUNING_SEEDS)),
                )
                for rate, variant in left
            ]
        means = np.full((VARIANTS, len(RATES)), -np.inf)
        for (rate, variant), trial in zip(left, trials, strict=True):
            means[variant, rate] = trial.mean
        true = np.where(np.isinf(means.max(1)), TRUE.mean(), TRUE[means.argmax(1)])  # by chance if nothing is left
        runs = true[:, None] + rng.normal(0, 1, (VARIANTS, SEEDS)) + 2 * rng.normal(0, 1, SEEDS)
        truth = true[1:] - true[0]
        alarms += any(not one.low <= t <= one.high for one, t in zip(joint_intervals(runs, STAR), truth, strict=True))
        accuracies.append(true)
    return 100 * alarms / len(accuracies), list(np.mean(accuracies, 0))


@pytest.mark.slow
def test_halving_within_variants_favours_none_while_halving_across_them_harms_one_that_starts_slowly():
    share, accuracies = halved(within=True)
    print(f"within: {share:.1f} % of studies have a false alarm; chosen {np.round(accuracies, 3)} sd below the best")
    assert share <= 5.0 + 200 * (0.05 * 0.95 / (STUDIES // 2)) ** 0.5
    assert max(accuracies) - min(accuracies) < 0.05
    _, accuracies = halved(within=False)
    print(f"across: chosen {np.round(accuracies, 3)} sd below the best")
    assert accuracies[-1] < min(accuracies[:-1]) - 0.2
