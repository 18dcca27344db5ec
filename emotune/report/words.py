"""Numbers as sentences."""

import re
from collections.abc import Sequence

from emotune.analysis.statistics import Across, Comparison, Summary, Verdict
from emotune.metric_config import Metric, Scale

__all__ = ["across", "answer", "difference", "interval", "markdown", "p_value", "selection", "spread", "tested"]

SAYS = {
    Verdict.BETTER: "{a} is better than {b}",
    Verdict.WORSE: "{a} is worse than {b}",
    Verdict.EQUIVALENT: "{a} and {b} are equivalent: the difference is too small to matter",
    Verdict.UNRESOLVED: "{a} against {b}: unresolved",
}
SELECTIONS = {
    "last": "the last epoch",
    "best_val": "the epoch with the highest validation accuracy, of equals the earliest",
}


def answer(comparison: Comparison, metric: Metric, datasets: Sequence[str]) -> str:
    """The verdict in words, then the numbers it rests on."""
    contrast, summary = comparison.contrast, comparison.summary
    says = SAYS[comparison.verdict or Verdict.UNRESOLVED].format(a=contrast.variant, b=contrast.reference)
    if len(datasets) > 1:
        says = f"On {comparison.dataset}: {says}"
    parts = [f"{says}. {difference(summary, metric)}"]
    if comparison.p_holm is not None:
        size = "" if comparison.effect_size is None else f", Hedges' g {comparison.effect_size:+.2f}"
        parts.append(f"Holm-adjusted p {p_value(comparison.p_holm)}{size}.")
    elif summary.n > 1:
        parts.append("The seeds do not differ among themselves, so there is no test.")
    if comparison.verdict is Verdict.EQUIVALENT and comparison.p_equivalence_holm is not None:
        bound = metric.scale.amount(metric.min_effect)
        parts.append(f"That it is {bound} or more is refuted with p {p_value(comparison.p_equivalence_holm)}.")
    if comparison.verdict is Verdict.UNRESOLVED and summary.sd:
        if summary.low > 0 or summary.high < 0:
            parts.append("The interval is for this contrast alone; corrected for all of them, it does not hold.")
        parts.append(_what_would_resolve(comparison, metric))
    if comparison.missing:
        seeds = ", ".join(f"seed {seed} ({why})" for seed, why in comparison.missing.items())
        parts.append(f"Not in it: {seeds}.")
    return " ".join(parts)


def difference(summary: Summary, metric: Metric) -> str:
    """A difference with its interval and number of pairs, and which way is better where that is down."""
    if summary.n == 0:
        return "No pair of runs is finished."
    scale = metric.scale
    mean = f"{scale.signed(summary.mean)} {scale.steps}".rstrip()
    better = "" if scale.higher_is_better else "lower is better; "
    if summary.low is None:
        return f"Difference {mean} in one seed; {better}one seed supports no interval."
    return (
        f"Difference {mean} ({better}95 % t interval {scale.signed(summary.low)} to {scale.signed(summary.high)}, "
        f"{summary.n} paired seeds)."
    )


def across(found: Across, metric: Metric) -> str:
    """What a contrast does on all data sets together, as a description."""
    signed = metric.scale.signed
    return (
        f"{signed(found.mean)} on average of {found.datasets} data sets ({signed(found.lowest)} to "
        f"{signed(found.highest)}); {found.favourable} of {found.datasets} point in favour of {found.contrast.variant}"
    )


def markdown(text: str) -> str:
    r"""A text that Markdown shows as it is.

    >>> print(markdown("a|b <i> *c*"))
    a\|b \<i> \*c\*
    """
    return re.sub(r"([\\`*<|\[\]]|(?<!\w)_|_(?!\w))", r"\\\1", text)  # within a word, a line is one


def spread(summary: Summary, scale: Scale) -> str:
    """A mean with its interval: ``71.2 (68.0 to 74.4)``."""
    if summary.n == 0:
        return "–"
    written = scale.written
    if summary.low is None:
        return f"{written(summary.mean)} (n = 1)"
    return f"{written(summary.mean)} ({written(summary.low)} to {written(summary.high)})"


def interval(summary: Summary, metric: Metric) -> str:
    """``-0.4 to +2.0``; ``none`` where one seed supports none."""
    if summary.low is None:
        return "none"
    return f"{metric.scale.signed(summary.low)} to {metric.scale.signed(summary.high)}"


def p_value(p: float) -> str:
    """``= 0.034``, or ``< 0.001``."""
    return "< 0.001" if p < 0.001 else f"= {p:.3f}" if p < 0.1 else f"= {p:.2f}"


def selection(metric: Metric) -> str:
    """Which epoch's network is tested."""
    return SELECTIONS[metric.select]


def tested(metric: Metric) -> str:
    """How often the test pictures were read."""
    often = "; besides, after each epoch for the test curve, which decides about nothing" if metric.test_curve else ""
    return f"The test pictures were read once per run for these numbers{often}"


def _what_would_resolve(comparison: Comparison, metric: Metric) -> str:
    needed, n = comparison.seeds_needed, comparison.summary.n
    effect = metric.scale.amount(metric.min_effect)
    if needed is None:
        return f"More than a thousand seeds would be needed to find {effect}."
    if needed <= n:
        return f"{n} seeds would usually find {effect}; these did not."
    more = f"{needed - n} more seed{'s' if needed - n > 1 else ''} ({needed} in all)"
    return f"At this spread about {more} would find {effect} with 80 % power, correction included."
