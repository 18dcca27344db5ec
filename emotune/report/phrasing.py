"""Numbers as sentences."""

import math
import re
from collections.abc import Sequence

from emotune.analysis.power import ALPHA, PooledSpread, detectable_effects
from emotune.analysis.seeds import AcrossDatasets, Comparison, Summary, Verdict
from emotune.config.metric import ROUNDING, Metric, Scale

__all__ = [
    "across_datasets_sentence",
    "cut_note",
    "detectable_effects_sentence",
    "difference_sentence",
    "escape_markdown",
    "interval",
    "mean_and_interval",
    "p_value",
    "selection_rule",
    "use_of_test_set",
    "verdict_sentences",
]  # fmt: skip

VERDICT_TEMPLATES = {
    Verdict.BETTER: "{a} is better than {b}",
    Verdict.WORSE: "{a} is worse than {b}",
    Verdict.EQUIVALENT: "{a} and {b} are equivalent: the difference is too small to matter",
    Verdict.UNRESOLVED: "{a} against {b}: unresolved",
    Verdict.IDENTICAL: "{a} gives the same answers as {b} in every seed: the variant changes nothing",
    Verdict.DETERMINISTIC: "{a} against {b}: neither depends on the seed",
}
SEED_COUNTS = (3, 5, 10, 20)
"""Numbers of seeds, of which it is said what they find."""
SELECTIONS = {
    "last": "the last epoch",
    "best_val": "the epoch with the highest validation accuracy, of equals the earliest",
}


def verdict_sentences(comparison: Comparison, metric: Metric, datasets: Sequence[str]) -> str:
    """The verdict in words, then the numbers it rests on."""
    contrast, summary = comparison.contrast, comparison.summary
    verdict = comparison.verdict or Verdict.UNRESOLVED
    says = VERDICT_TEMPLATES[verdict].format(a=contrast.variant, b=contrast.reference)
    if len(datasets) > 1:
        says = f"On {comparison.dataset}: {says}"
    parts = [f"{says}. {difference_sentence(summary, metric)}", _infinite(comparison)]
    if verdict is Verdict.DETERMINISTIC:
        parts.append("Only other images, or other training images, could change it.")
    elif comparison.p_holm is not None:
        parts.append(f"Holm-adjusted p {p_value(comparison.p_holm)}.")
    elif summary.sd == 0 and verdict is Verdict.UNRESOLVED:
        parts.append("The seeds do not differ among themselves, so there is no test.")
    if verdict is Verdict.EQUIVALENT and comparison.p_equivalence_holm is not None:
        bound = metric.scale.format_amount(metric.min_effect)
        parts.append(f"That it is {bound} or more is refuted with p {p_value(comparison.p_equivalence_holm)}.")
    if verdict is Verdict.UNRESOLVED and summary.low is not None and (summary.low > 0 or summary.high < 0):
        parts.append("The interval is for this contrast alone; corrected for all of them, it does not hold.")
    if comparison.missing:
        seeds = ", ".join(f"seed {seed} ({why})" for seed, why in comparison.missing.items())
        parts.append(f"Not in it: {seeds}.")
    return " ".join(filter(None, parts))


def difference_sentence(summary: Summary, metric: Metric) -> str:
    """A difference with its interval and number of pairs, and which way is better where that is down."""
    if summary.n == 0:
        return "No pair of runs is finished."
    scale = metric.scale
    mean = f"{metric.format_signed(summary.mean)} {scale.difference_units}".rstrip()
    better = "" if scale.higher_is_better else "lower is better; "
    if math.isnan(summary.mean):
        return f"{summary.n} paired seeds, of which both sides have infinite values, so there is no mean difference."
    if math.isinf(summary.mean):
        return f"Difference {mean} ({better}an infinite value in some seed, so there is no interval)."
    if summary.n == 1:
        return f"Difference {mean} in one seed; {better}one seed supports no interval."
    if summary.low is None:
        return (
            f"Difference {mean} ({better}the same in all {summary.n} paired seeds, so there is no interval over seeds)."
        )
    return f"Difference {mean} ({better}95 % t interval {interval(summary, metric)}, {summary.n} paired seeds)."


def detectable_effects_sentence(spread: PooledSpread, metric: Metric, seeds: int, comparisons: int) -> str:
    """What numbers of seeds would find at the spread that all variants show together.

    Args:
        spread: Of a seed difference.
        metric: The study's.
        seeds: The study's number, which is told besides the usual ones.
        comparisons: How many are corrected for.
    """
    written, steps = metric.scale.format, metric.scale.difference_units
    found = detectable_effects(spread, {*SEED_COUNTS, seeds}, ALPHA / max(1, comparisons))
    (least, effect), *more = found.items()
    said = [f"{least} seeds find {written(effect)} {steps}".rstrip(), *(f"{n} find {written(e)}" for n, e in more)]
    corrected = f" and correction for {comparisons} comparisons" if comparisons > 1 else ""
    return (
        f"At the pooled spread of {written(spread.sd)} {steps}".rstrip()
        + f" (standard deviation of a seed difference, {spread.df} degrees of freedom), {', '.join(said)}, "
        f"with 80 % power{corrected}."
    )


def across_datasets_sentence(found: AcrossDatasets, metric: Metric) -> str:
    """What a contrast does on all data sets together, as a description."""
    signed = metric.format_signed
    single = (
        f"; only one seed on {', '.join(found.one_seed)}, where another might say otherwise" if found.one_seed else ""
    )
    return (
        f"{signed(found.mean)} on average of {found.datasets} data sets ({signed(found.lowest)} to "
        f"{signed(found.highest)}); {found.favourable} of {found.datasets} point in favour of {found.contrast.variant}"
        f"{single}"
    )


def escape_markdown(text: str) -> str:
    r"""A text that Markdown shows as it is.

    >>> print(markdown("a|b <i> *c*"))
    a\|b \<i> \*c\*
    """
    return re.sub(r"([\\`*<|\[\]]|(?<!\w)_|_(?!\w))", r"\\\1", text)  # within a word, a line is one


def mean_and_interval(summary: Summary, scale: Scale) -> str:
    """A mean with its interval: ``71.2 (68.0 to 74.4)``, ``99.0 (97.1 to 100.0, cut at the ceiling)``."""
    if summary.n == 0:
        return "–"
    written = scale.format
    if summary.n == 1:
        return f"{written(summary.mean)} (n = 1)"
    if summary.low is None:
        why = "no interval" if summary.sd is None else f"the same in all {summary.n} seeds"
        return f"{written(summary.mean)} ({why})"
    cut = cut_note(summary, scale)
    return f"{written(summary.mean)} ({written(summary.low)} to {written(summary.high)}{', ' if cut else ''}{cut})"


def cut_note(summary: Summary, scale: Scale) -> str:
    """That an interval of values was cut where they end: ``cut at the ceiling``; empty if it was not."""
    both = (("floor", summary.low, scale.bounds[0]), ("ceiling", summary.high, scale.bounds[1]))
    cut = [name for name, end, bound in both if end is not None and end == bound]
    return f"cut at the {' and the '.join(cut)}" if cut else ""


def interval(summary: Summary, metric: Metric) -> str:
    """``-0.4 to +2.0``; ``none`` where the seeds support none."""
    if summary.low is None:
        return "none"
    return f"{metric.format_signed(summary.low)} to {metric.format_signed(summary.high)}"


def p_value(p: float) -> str:
    """``= 0.034``, or ``< 0.001``; with more digits where it must be seen on which side of 0.05 it is.

    >>> [p_value(p) for p in (0.04996, 0.05004, 0.05)]
    ['= 0.04996', '= 0.05004', '= 0.050']
    """
    if p < 0.001:
        return "< 0.001"
    text, digits = f"{p:.3f}" if p < 0.1 else f"{p:.2f}", 3
    while (float(text) < ALPHA) != (p < ALPHA) or (float(text) == ALPHA and abs(p - ALPHA) > ROUNDING):
        text, digits = f"{p:.{digits + 1}f}", digits + 1
    return f"= {text}"


def selection_rule(metric: Metric) -> str:
    """Which epoch's network is tested."""
    return SELECTIONS[metric.select]


def use_of_test_set(metric: Metric) -> str:
    """How often the test images were read."""
    often = "; besides, after each epoch for the test curve, which decides about nothing" if metric.test_curve else ""
    return f"The test images were read once per run for these numbers{often}"


def _infinite(comparison: Comparison) -> str:
    """In which seeds a side has an infinite value, the worst that there is."""
    contrast, said = comparison.contrast, []
    for name, worst in ((contrast.variant, math.inf), (contrast.reference, -math.inf)):
        if seeds := [str(seed) for seed, value in comparison.differences.items() if value == worst]:
            said.append(f"{name} is infinitely worse in seed{'s' if len(seeds) > 1 else ''} {', '.join(seeds)}.")
    return " ".join([*said, "It gave an image's class the probability 0."] if said else [])
