"""Coverage of the intervals and false verdicts, in simulated studies."""

import numpy as np
import pytest
from seed_tables import compare_contrasts, rows

from emotune.analysis.seeds import summarise
from emotune.analysis.verdict import Verdict
from emotune.config.contrast import Contrast
from emotune.config.metric import Metric

STUDIES = 400


def verdicts(effects: list[float], seeds: int, sd: float, min_effect: float) -> list[list[Verdict]]:
    """The verdicts of each simulated study, for contrasts with a common baseline and these true effects."""
    rng, contrasts = np.random.default_rng(seeds), [Contrast.difference(f"v{k}", "b") for k in range(len(effects))]
    studies = []
    for _ in range(STUDIES):
        shared = 60 + rng.normal(0, 3, seeds)  # what variants of a seed share
        values = {"b": shared + rng.normal(0, sd, seeds)}
        values |= {f"v{k}": shared + effect + rng.normal(0, sd, seeds) for k, effect in enumerate(effects)}
        table = rows(**{variant: numbers.tolist() for variant, numbers in values.items()})
        studies.append(
            [c.verdict for c in compare_contrasts(table, contrasts, ["d"], seeds, Metric(min_effect=min_effect))]
        )
    return studies


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
def test_t_interval_has_its_nominal_coverage(seeds: int):
    samples = np.random.default_rng(seeds).normal(0, 1, (2_000, seeds))
    covered = np.mean([s.low <= 0 <= s.high for s in map(summarise, samples)])
    print(f"S = {seeds}: {100 * covered:.1f} %")
    assert covered == pytest.approx(0.95, abs=3 * (0.95 * 0.05 / 2_000) ** 0.5)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("effects", [[0.0] * 3, [0.0, 0.0, 12.0], [0.0, 12.0, -12.0]], ids=["none", "one", "two"])
def test_false_better_or_worse_in_at_most_5_per_cent_of_studies(seeds: int, effects: list[float]):
    wrong = ({Verdict.BETTER, Verdict.WORSE}, {Verdict.WORSE}, {Verdict.BETTER})  # of no, a positive, a negative effect
    false = np.mean([
        any(verdict in wrong[int(np.sign(effect))] for verdict, effect in zip(study, effects, strict=True))
        for study in verdicts(effects, seeds, 1.0, 0.05)
    ])  # fmt: skip
    print(f"S = {seeds}, effects {effects}: {100 * false:.1f} %")
    assert false <= 0.05 + 3 * (0.05 * 0.95 / STUDIES) ** 0.5


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("effects", [[1.0, -1.0, 1.0], [0.0, 0.0, 1.0]], ids=["all", "one"])
def test_false_equivalence_in_at_most_5_per_cent_of_studies(seeds: int, effects: list[float]):
    studies = verdicts(effects, seeds, 0.1, 1.0)
    false = np.mean([any(v is Verdict.EQUIVALENT and e for v, e in zip(s, effects, strict=True)) for s in studies])
    true = np.mean([s[0] is Verdict.EQUIVALENT for s in studies])
    print(f"S = {seeds}, effects {effects}: {100 * false:.1f} % falsely, the first {100 * true:.1f} %")
    assert false <= 0.05 + 3 * (0.05 * 0.95 / STUDIES) ** 0.5
