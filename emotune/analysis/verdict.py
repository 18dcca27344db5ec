"""Verdicts, and the rule that reads one off an interval."""

from enum import StrEnum

__all__ = ["ALPHA", "RESOLVED", "Verdict", "judge", "without_sides"]

ALPHA = 0.05
"""The probability of any false verdict in a study, and what an interval may miss."""


class Verdict(StrEnum):
    """The verdict of a declared contrast; for a metric whose low values are good, ``BETTER`` means lower.

    ``POSITIVE`` and ``NEGATIVE`` take the place of better and worse where a contrast does not compare two means, such
    as an interaction or a trend. ``IDENTICAL``: the two sides predict the same class for every image in every seed.
    ``DETERMINISTIC``: neither depends on the seed, so the difference is equal in all seeds, and seeds tell nothing
    about its uncertainty. ``NOT_ASSESSED``: none of its variants is shown to have learned anything
    (`emotune.analysis.learning`), which takes precedence.
    """

    BETTER = "better"
    WORSE = "worse"
    POSITIVE = "positive"
    NEGATIVE = "negative"
    EQUIVALENT = "equivalent"
    UNRESOLVED = "unresolved"
    IDENTICAL = "identical"
    DETERMINISTIC = "deterministic"
    NOT_ASSESSED = "not assessed"


RESOLVED = (Verdict.BETTER, Verdict.WORSE, Verdict.POSITIVE, Verdict.NEGATIVE)
"""The verdicts that say that there is a difference, and which."""


def judge(
    ends: tuple[float, float] | None, min_effect: float, *, higher_is_better: bool, only_variant_diverged: bool = False,
    only_reference_diverged: bool = False,
) -> Verdict:  # fmt: skip
    """The verdict of an interval of the difference variant - reference.

    *Equivalent*: it lies within ± ``min_effect``, with zero in it or without. *Better* or *worse*: it lies on one side
    of zero. A side that diverged in a seed in which the other did not is neither better than the other nor equivalent.

    Args:
        ends: The two ends of the interval; None if there is none, or if it supports no verdict.
        min_effect: The smallest difference that matters.
        higher_is_better: Whether a positive difference favours the variant.
        only_variant_diverged: Whether the variant diverged in a seed in which the reference did not.
        only_reference_diverged: The same of the reference.
    """
    if ends is None:
        return Verdict.UNRESOLVED
    low, high = ends
    if -min_effect < low and high < min_effect:
        return Verdict.UNRESOLVED if only_variant_diverged or only_reference_diverged else Verdict.EQUIVALENT
    if low <= 0 <= high:
        return Verdict.UNRESOLVED
    if (low > 0) == higher_is_better:
        return Verdict.UNRESOLVED if only_variant_diverged else Verdict.BETTER
    return Verdict.UNRESOLVED if only_reference_diverged else Verdict.WORSE


def without_sides(verdict: Verdict, *, higher_is_better: bool) -> Verdict:
    """The verdict of a contrast without two sides, of which one could be better than the other: its sign.

    Args:
        verdict: The verdict as `judge` gives it.
        higher_is_better: Whether a positive value was taken for better.
    """
    if verdict not in (Verdict.BETTER, Verdict.WORSE):
        return verdict
    return Verdict.POSITIVE if (verdict is Verdict.BETTER) == higher_is_better else Verdict.NEGATIVE
