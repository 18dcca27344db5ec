"""Verdicts, and the rule that reads one off an interval."""

from enum import StrEnum

__all__ = ["ALPHA", "RESOLVED", "Verdict", "judge", "not_zero"]

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
    ends: tuple[float, float] | None, min_effect: float, *, higher_is_better: bool, compares_means: bool = True,
    only_variant_diverged: bool = False, only_reference_diverged: bool = False,
) -> Verdict:  # fmt: skip
    """The verdict of an interval of the difference variant - reference.

    *Equivalent*: it lies within ± ``min_effect``, with zero in it or without. *Better* or *worse*: it lies on one side
    of zero. A side that diverged in a seed in which the other did not, or finished without a value where the other has
    one, is neither better than the other nor equivalent.

    Args:
        ends: The two ends of the interval; None if there is none, or if it supports no verdict.
        min_effect: The smallest difference that matters.
        higher_is_better: Whether a positive difference favours the variant.
        compares_means: Whether the contrast has two sides, of which one can be better than the other.
        only_variant_diverged: Whether the variant diverged, or has no value, in a seed in which the reference has one.
        only_reference_diverged: The same of the reference.
    """
    if ends is None:
        return Verdict.UNRESOLVED
    low, high = ends
    if -min_effect < low and high < min_effect:
        return Verdict.UNRESOLVED if only_variant_diverged or only_reference_diverged else Verdict.EQUIVALENT
    if low <= 0 <= high:
        return Verdict.UNRESOLVED
    if only_variant_diverged if (low > 0) == higher_is_better else only_reference_diverged:
        return Verdict.UNRESOLVED
    return not_zero(positive=low > 0, higher_is_better=higher_is_better, compares_means=compares_means)


def not_zero(*, positive: bool, higher_is_better: bool, compares_means: bool) -> Verdict:
    """The verdict of a contrast that is not zero: which side is better, or without two sides its sign.

    Args:
        positive: Whether it is above zero.
        higher_is_better: Whether a positive difference favours the variant.
        compares_means: Whether the contrast has two sides, of which one can be better than the other.
    """
    if not compares_means:
        return Verdict.POSITIVE if positive else Verdict.NEGATIVE
    return Verdict.BETTER if positive == higher_is_better else Verdict.WORSE
