"""What is said about other data sets follows from intervals, and is in every format of the report."""

from types import SimpleNamespace
from typing import Any

import pytest

from emotune.analysis.verdict import Verdict
from emotune.config.metric import Metric
from emotune.report.transfer_report import holds

V = Verdict


def said(own: Verdict, there: Verdict) -> str:
    contrast: Any = SimpleNamespace(own=SimpleNamespace(verdict=own), there=SimpleNamespace(verdict=there))
    return holds(contrast, Metric(min_effect=1.5))


def test_a_difference_holds_where_it_is_shown_again():
    assert said(V.BETTER, V.BETTER) == said(V.WORSE, V.WORSE) == said(V.POSITIVE, V.POSITIVE)
    assert said(V.BETTER, V.WORSE) == said(V.NEGATIVE, V.POSITIVE) != said(V.BETTER, V.BETTER)
    assert len({said(V.BETTER, there) for there in (V.BETTER, V.WORSE, V.EQUIVALENT, V.UNRESOLVED)}) == 4


@pytest.mark.parametrize("own", [V.EQUIVALENT, V.UNRESOLVED, V.NOT_ASSESSED])
def test_what_the_own_test_does_not_show_cannot_hold(own: Verdict):
    assert "hold" not in said(own, V.BETTER) and "better" in said(own, V.BETTER)


def test_an_equivalence_names_its_margin_and_nothing_is_said_where_nothing_was_learned():
    assert "1.5" in said(V.BETTER, V.EQUIVALENT) and "1.5" in said(V.UNRESOLVED, V.EQUIVALENT)
    assert said(V.BETTER, V.NOT_ASSESSED) == said(V.UNRESOLVED, V.NOT_ASSESSED)
