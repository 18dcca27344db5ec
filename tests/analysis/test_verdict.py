"""The rule that reads a verdict off an interval."""

import pytest

from emotune.analysis.verdict import Verdict, judge


@pytest.mark.parametrize(
    ("ends", "verdict"),
    [
        ((0.1, 5.0), Verdict.BETTER),
        ((-5.0, -0.1), Verdict.WORSE),
        ((-0.9, 0.9), Verdict.EQUIVALENT),
        ((0.1, 0.9), Verdict.EQUIVALENT),
        ((-1.0, 0.9), Verdict.UNRESOLVED),
        ((0.0, 5.0), Verdict.UNRESOLVED),
        ((-3.0, 4.0), Verdict.UNRESOLVED),
        (None, Verdict.UNRESOLVED),
    ],
)
def test_verdict_of_an_interval(ends: tuple[float, float] | None, verdict: Verdict):
    assert judge(ends, 1.0, higher_is_better=True) is verdict
    mirrored = ends and (-ends[1], -ends[0])
    assert judge(mirrored, 1.0, higher_is_better=False) is verdict


@pytest.mark.parametrize("higher_is_better", [True, False])
def test_a_side_that_alone_diverged_is_never_better(higher_is_better: bool):
    up, down = (2.0, 5.0), (-5.0, -2.0)
    better, worse = (up, down) if higher_is_better else (down, up)

    def verdicts(**diverged: bool) -> list[Verdict]:
        return [judge(e, 1.0, higher_is_better=higher_is_better, **diverged) for e in (better, worse, (-0.5, 0.5))]

    assert verdicts() == [Verdict.BETTER, Verdict.WORSE, Verdict.EQUIVALENT]
    assert verdicts(only_variant_diverged=True) == [Verdict.UNRESOLVED, Verdict.WORSE, Verdict.UNRESOLVED]
    assert verdicts(only_reference_diverged=True) == [Verdict.BETTER, Verdict.UNRESOLVED, Verdict.UNRESOLVED]
