"""False alarms of joint intervals over divisions of one data set, with classifiers that are really trained on each.

Classifiers (nearest class mean) see features of their own, all equally good, so that every resolved contrast is a false
alarm. In each study the images are drawn anew.
"""

import numpy as np
import pytest

from emotune.analysis.joint_interval import joint_intervals

VARIANTS, FEATURES, IMAGES, STUDIES = 5, 20, 200, 1000
STAR = np.column_stack([-np.ones(VARIANTS - 1), np.eye(VARIANTS - 1)])


def accuracies(rng: np.random.Generator, tested: np.ndarray) -> np.ndarray:
    """The accuracy in % of each variant in each division (k, n).

    Args:
        tested: Whether each image is tested in each division (n, N); it is trained on otherwise.
    """
    signs = rng.choice([-1.0, 1.0], IMAGES)
    features = rng.normal(size=(VARIANTS, IMAGES, FEATURES)) + 0.2 * signs[:, None]
    trained_on = np.where(tested, 0.0, signs)
    scores = np.einsum("nj,vjf,vif->vni", trained_on, features, features, optimize=True)
    correct = (np.sign(scores) == signs) & tested
    return 100 * correct.sum(axis=2) / tested.sum(axis=1)


def divisions(rng: np.random.Generator, folds: int, repeats: int) -> np.ndarray:
    """Whether each image is tested in each of the divisions: k-fold cross-validation, or random splits for 0 folds."""
    if not folds:
        return np.array([rng.permutation(IMAGES) < IMAGES // 5 for _ in range(repeats)])
    return np.concatenate([
        (rng.permutation(IMAGES) % folds)[None] == np.arange(folds)[:, None] for _ in range(repeats)
    ])  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variants", "folds", "repeats", "uncorrected_at_least"),
    [(2, 5, 1, 0.0), (5, 5, 3, 20.0), (5, 0, 10, 20.0)],  # once 5 folds overlap too little to show it in each study
    ids=["2 variants, 5 folds", "5 variants, 3 times 5 folds", "5 variants, 10 random splits"],
)  # fmt: skip
def test_overlapping_training_images_make_false_alarms_unless_the_interval_accounts_for_them(
    variants: int, folds: int, repeats: int, uncorrected_at_least: float
):
    rng, alarms, star = np.random.default_rng(folds + repeats), {0.0: 0, 1 / 4: 0}, STAR[: variants - 1, :variants]
    for _ in range(STUDIES):
        values = accuracies(rng, divisions(rng, folds, repeats))[:variants]
        for overlap in alarms:
            found = joint_intervals(values, star, overlap=overlap)
            alarms[overlap] += any(c.low is not None and not c.low <= 0 <= c.high for c in found)
    uncorrected, corrected = (100 * number / STUDIES for number in alarms.values())
    what = f"{variants} variants, {folds} folds × {repeats}"
    print(f"{what}: {uncorrected:.1f} % of studies have a false alarm, corrected {corrected:.1f} %")
    assert uncorrected > uncorrected_at_least
    assert corrected <= 5.0 + 200 * (0.05 * 0.95 / STUDIES) ** 0.5
