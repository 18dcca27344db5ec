"""Numbers as text: the sentences of the verdicts, and means, intervals and p values as they are printed."""

import math
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from emotune.analysis.prior import PriorPredictor
from emotune.analysis.seeds import Comparison, Summary, Unit
from emotune.analysis.sensitivity import OtherAnalyses
from emotune.analysis.verdict import ALPHA, Verdict, judge
from emotune.config.epoch_selection import score_in_words, select_by
from emotune.config.metric import Metric
from emotune.config.metric_scales import ALL_SCALES
from emotune.config.scale import ROUNDING, Scale
from emotune.core.sample_noun import worded
from emotune.core.text import listed
from emotune.report.verdict_headlines import dependence_sentences, headline

__all__ = [
    "agreement_sentence",
    "difference_sentence",
    "escape_markdown",
    "mean_and_interval",
    "missing_values_sentence",
    "p_value",
    "prior_origin",
    "seed_list",
    "selection_rule",
    "use_of_test_set",
    "verdict_in_words",
    "verdict_sentences",
]

DASH = "–"
JOINT = "joint 95 % interval"


def verdict_sentences(
    comparison: Comparison, metric: Metric, datasets: Sequence[str], among: Sequence[Comparison] = (),
    *, with_lateness: bool = True,
) -> str:  # fmt: skip
    """The verdict of a contrast, followed by the numbers that it is based on.

    Args:
        comparison: The contrast on one data set.
        metric: The study's metric.
        datasets: The names of all the study's data sets; with several of them the verdict names its own.
        among: All declared contrasts: a main effect is not told without its interactions.
        with_lateness: Whether it says what of its judgement was declared when results were there.
    """
    where = f"On {comparison.dataset}: " if len(datasets) > 1 else ""
    sentences = [
        f"{where}{headline(comparison, metric)}. {difference_sentence(comparison, metric, JOINT)}",
        f"Not confirmatory: {'; '.join(map(str, comparison.late))}." if comparison.late and with_lateness else "",
        _infinite_values(comparison),
        f"Adjusted p {p_value(comparison.p)}." if comparison.p is not None else "",
        *(_edge_reason(comparison) or _reasons(comparison, metric)),
        *dependence_sentences(comparison, among, metric),
    ]
    if comparison.missing:
        seeds = ", ".join(
            f"{seed_list([number], comparison.unit)} ({why})" for number, why in comparison.missing.items()
        )
        sentences.append(f"Excluded: {seeds}.")
    if comparison.counted:
        parts = [f"{seed_list([n], comparison.unit)} ({seed_list(seeds)})" for n, seeds in comparison.counted.items()]
        sentences.append(f"Only the seeds that all of its variants have finished count in {listed(parts)}.")
    return " ".join(filter(None, sentences))


def verdict_in_words(comparison: Comparison) -> str:
    """The verdict in a few words: ``better``; ``equivalent, and not zero`` if the interval excludes zero."""
    verdict = comparison.verdict or Verdict.UNRESOLVED
    not_zero = ", and not zero" if verdict is Verdict.EQUIVALENT and comparison.is_not_zero else ""
    return "; ".join([f"{verdict}{not_zero}", *map(str, comparison.late)])


def _edge_reason(comparison: Comparison) -> list[str]:
    """Why a contrast has no verdict although its interval may give one: a choice on an edge of the search."""
    if comparison.verdict is not Verdict.UNRESOLVED or not comparison.at_edge:
        return []
    which = listed([f"{listed(keys)} of {variant}" for variant, keys in comparison.at_edge.items()])
    return [f"The chosen {which} lies on an edge of the search, so a better value may lie beyond: no verdict."]


def _reasons(comparison: Comparison, metric: Metric) -> list[str]:
    """Why a contrast has its verdict, where the interval alone does not say so."""
    summary = comparison.summary
    if comparison.verdict is Verdict.DETERMINISTIC:
        return [worded("Only other test images or other training images could change it.")]
    if comparison.verdict is not Verdict.UNRESOLVED:
        return []
    if summary.n > 1 and summary.interval is None and comparison.paired.sd == 0:
        return [f"Nothing varies across {comparison.unit}s, so there is no interval and no verdict."]
    alone = judge(summary.interval, metric.min_effect, higher_is_better=comparison.higher_is_better)
    if alone is Verdict.UNRESOLVED:
        return []
    if not comparison.joint.supports_verdict:
        return [f"Two {comparison.unit}s of two variants alone give no verdict."]
    side = "" if comparison.contrast.pair else "side "
    happened = [
        (comparison.diverged_alone, "diverged", "did not"),
        (comparison.valueless_alone, f"has no {metric.scale.title}", "has one"),
    ]
    return [
        f"{name} {what} in {seed_list(seeds, comparison.unit)}, where the other {side}{other}: whatever the other "
        f"{comparison.unit}s say, it is called neither better nor equivalent."
        for alone, what, other in happened
        for name, seeds in alone.items()
    ]


def seed_list(seeds: Sequence[int], unit: Unit = "seed") -> str:
    """``seed 2``, or ``seeds 0, 2``; of folds, which count from 1, ``folds 1, 3``."""
    first = 1 if unit == "fold" else 0
    return f"{unit}{'s' if len(seeds) > 1 else ''} {', '.join(str(first + seed) for seed in seeds)}"


def difference_sentence(comparison: Comparison, metric: Metric, kind: str = "95 % interval") -> str:
    """The mean difference with its interval and the number of seeds; for a loss, also that lower is better.

    Args:
        comparison: The contrast on one data set.
        metric: The study's metric.
        kind: The name of the interval.
    """
    summary, scale = comparison.summary, metric.scale
    pair, compares = comparison.contrast.pair, comparison.contrast.compares_means
    if summary.n == 0:
        return (
            "No pair of runs has finished."
            if pair
            else f"There is no {comparison.unit} in which all of its runs have finished."
        )
    single, several = ("Difference", "Mean difference") if compares else ("Value", "Mean value")
    seeds = f"{'paired' if pair else 'complete'} {comparison.unit}s"
    mean = f"{metric.format_signed(summary.mean)} {scale.difference_units}".rstrip()
    direction = "lower is better; " if compares and not scale.higher_is_better else ""
    if math.isnan(summary.mean):
        return f"Both sides have infinite values ({summary.n} {seeds}), so there is no mean difference."
    if math.isinf(summary.mean):
        return f"{several} {mean} ({direction}infinite in at least one {comparison.unit}, so there is no interval)."
    if summary.n == 1:
        return f"{single} {mean} ({direction}only one {seeds.removesuffix('s')}, so there is no interval)."
    if summary.low is None:
        equal = f"equal in all {summary.n} {seeds}, so there is no interval"
        why = f"{summary.n} {seeds}, no interval before the first look" if summary.sd else equal
        return f"{several} {mean} ({direction}{why})."
    return f"{several} {mean} ({direction}{kind} {metric.format_interval(summary.interval)}, {summary.n} {seeds})."


def agreement_sentence(others: Sequence[OtherAnalyses]) -> str:
    """How often the other analyses give the verdicts of the joint interval; empty without contrasts."""
    if not others:
        return ""
    verdicts = [other.comparison.verdict for other in others]
    paired = sum(other.paired_verdict is verdict for other, verdict in zip(others, verdicts, strict=True))
    pooled = sum(other.pooled_verdict is verdict for other, verdict in zip(others, verdicts, strict=True))
    of = f"of {len(others)} comparison{'s' if len(others) > 1 else ''}"
    return (
        f"For {paired} {of}, the paired t-tests corrected by Holm's method give the verdict of the joint interval; for "
        f"{pooled}, the fully pooled interval does."
    )


def missing_values_sentence(metric: Metric, missing: int, done: int, command: str) -> str:
    """A sentence on finished runs that lack the user's own metric; empty if none does.

    Args:
        metric: The study's metric.
        missing: The number of finished runs that lack it.
        done: The number of finished runs.
        command: The command that computes it.
    """
    if not missing:
        return ""
    return (
        f"The metric {metric.scale.title} has not been computed for {missing} of {done} finished runs, which do not "
        f"count for it. This command computes it, without training: {command}"
    )


def escape_markdown(text: object) -> str:
    r"""A text whose characters Markdown shows as they are.

    >>> print(escape_markdown("a|b <i> *c*"))
    a\|b \<i> \*c\*
    """
    # An underscore within a word is not markup.
    return re.sub(r"([\\`*<|\[\]]|(?<!\w)_|_(?!\w))", r"\\\1", str(text))


def mean_and_interval(summary: Summary, scale: Scale, *, briefly: bool = False) -> str:
    """A mean with its interval: ``71.2 (68.0 to 74.4)``, ``99.0 (97.1 to 100.0, truncated at 100.0)``.

    Args:
        summary: The mean and the interval.
        scale: The metric's scale.
        briefly: Whether a star stands for "truncated at": ``99.0 (97.1 to 100.0*)``.
    """
    if summary.n == 0:
        return DASH
    mean = scale.format(summary.mean)
    if summary.n == 1:
        return f"{mean} (n = 1)"
    if summary.low is None or summary.high is None:
        return f"{mean} ({'no interval' if summary.sd is None else f'equal in all {summary.n} seeds'})"
    bounds = [scale.format(b) for end, b in zip((summary.low, summary.high), scale.bounds, strict=True) if end == b]
    truncated = ("*" if briefly else f", truncated at {' and '.join(bounds)}") if bounds else ""
    return f"{mean} ({scale.format(summary.low)} to {scale.format(summary.high)}{truncated})"


def p_value(p: float) -> str:
    """``= 0.034`` or ``< 0.001``, with as many digits as it takes to see on which side of 0.05 the value is.

    >>> [p_value(p) for p in (0.04996, 0.05004, 0.05)]
    ['= 0.04996', '= 0.05004', '= 0.050']
    """
    if p < 0.001:
        return "< 0.001"
    text, digits = f"{p:.3f}" if p < 0.1 else f"{p:.2f}", 3
    while (float(text) < ALPHA) != (p < ALPHA) or (float(text) == ALPHA and abs(p - ALPHA) > ROUNDING):
        text, digits = f"{p:.{digits + 1}f}", digits + 1
    return f"= {text}"


def prior_origin(prior: PriorPredictor) -> str:
    """The images whose class frequencies the class prior has, after "class frequencies": ``of training``."""
    return "of training" if prior.from_training else worded("of these test images")


def selection_rule(metric: Metric, patience: Mapping[str, int] = MappingProxyType({})) -> str:
    """The epoch whose network is tested.

    Args:
        metric: The study's metric.
        patience: The number of epochs without a better one after which training ends, of the variants that end early.
    """
    rule = "the last epoch"
    if metric.select == "best_val":
        by = select_by(metric.select, metric.name, metric.task)
        extreme = "highest" if by is None or ALL_SCALES[by].higher_is_better else "lowest"
        score = score_in_words(by, metric.task)
        rule = f"the epoch with the {extreme} validation {score} (the earliest if several are equal)"
    if not patience:
        return rule
    numbers = " or ".join(map(str, sorted(set(patience.values()))))
    epochs = f"{numbers} epoch{'s' * (numbers != '1')}"
    return f"{rule}; the training of {listed(list(patience))} ends after {epochs} without a better one"


def use_of_test_set(metric: Metric) -> str:
    """How often the test images were evaluated, as a sentence without its full stop."""
    sentence = worded("The test images were evaluated once per run for these numbers")
    if metric.test_curve:
        sentence += "; they were also evaluated after each epoch for the test curve, which affects no other number"
    return sentence


def _infinite_values(comparison: Comparison) -> str:
    """The seeds in which a side has an infinite value, which is the worst possible one; empty if there are none."""
    contrast, sentences = comparison.contrast, []
    for variants, worst in ((contrast.positive, math.inf), (contrast.negative, -math.inf)):
        name = " or ".join(variants)
        if seeds := [seed for seed, value in comparison.differences.items() if value == worst]:
            sentences.append(f"{name} has an infinite value in {seed_list(seeds, comparison.unit)}.")
    if sentences:
        sentences.append(worded("It assigned probability 0 to the class of an image."))
    return " ".join(sentences)
