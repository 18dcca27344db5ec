"""The caveats of a verdict: sentences on where another analysis of the same runs would say something else."""

from collections.abc import Sequence
from typing import Any, cast

from emotune.analysis.intraclass import shared_by_seeds
from emotune.analysis.metric_table import metric_table
from emotune.analysis.seeds import Comparison
from emotune.analysis.sensitivity import OtherAnalyses
from emotune.analysis.verdict import RESOLVED, Verdict
from emotune.config.metric import Metric
from emotune.config.model import PaperNetworkConfig
from emotune.config.shown_options import shown_options
from emotune.config.study import Study
from emotune.report import phrasing
from emotune.report.results import StudyResults

__all__ = [
    "OWN_VALUES",
    "aa_changes",
    "aa_paragraphs",
    "aa_sentence",
    "dropped_sentences",
    "noise_floor_sentences",
    "paired_sentence",
    "rounding_sentences",
    "shared_variance_sentences",
]

OWN_VALUES = (
    "These intervals know a contrast's own values alone, which are few and can agree by luck; those of the verdicts "
    "also rest on the spread of all variants, and so can be wider."
)
"""The difference between the intervals of single contrasts and those of the verdicts."""
FEW = 4
"""Up to so many repeats the report says that resolved differences are overstated."""


def paired_sentence(other: OtherAnalyses) -> str:
    """The sentence that paired tests, on a contrast's own values alone, say something else; empty if they do not.

    Args:
        other: The contrast with its other analyses.
    """
    verdict = other.comparison.verdict
    if other.p_holm is None or other.paired_verdict is verdict:
        return ""
    alone = f"the paired t-test on its own values alone, with Holm's correction (p {phrasing.p_value(other.p_holm)})"
    if verdict in RESOLVED:
        return f"This verdict rests on the spread of all variants: {alone}, does not show it."
    if verdict is Verdict.UNRESOLVED and other.paired_verdict in RESOLVED:
        return (
            f"This verdict rests on the spread of all variants, because a few values may agree by luck: {alone}, would "
            "show a difference."
        )
    return ""


def aa_sentence(comparison: Comparison, without: Sequence[Comparison], metric: Metric) -> str:
    """The verdict as it would be if the A/A runs were no part of the spread; empty if it would be the same.

    Args:
        comparison: A contrast as it is judged.
        without: The contrasts judged without the A/A runs; empty without such runs.
        metric: The study's metric.
    """
    verdict = _verdict_without_aa(comparison, without, metric)
    return f"Without the A/A runs in the spread it would be {verdict}." if verdict else ""


def aa_paragraphs(comparisons: Sequence[Comparison], without: Sequence[Comparison], metric: Metric) -> list[str]:
    """The verdicts that depend on the A/A runs, a paragraph for each data set with such verdicts.

    Args:
        comparisons: The contrasts as they are judged.
        without: The same, judged without the A/A runs; empty without such runs.
        metric: The study's metric.
    """
    changed = [(c, verdict) for c in comparisons if (verdict := _verdict_without_aa(c, without, metric))]
    several = len({c.dataset for c in comparisons}) > 1
    paragraphs = []
    for dataset in dict.fromkeys(c.dataset for c, _ in changed):
        others = "; ".join(f"{c.contrast} would be {verdict}" for c, verdict in changed if c.dataset == dataset)
        where = f"On {dataset} this" if several else "This"
        paragraphs.append(f"{where} depends on the A/A runs: without them in the spread, {others}.")
    return paragraphs


def _verdict_without_aa(comparison: Comparison, without: Sequence[Comparison], metric: Metric) -> str:
    """The verdict and its interval without the A/A runs: ``better (+3.2 to +14.3)``; empty if they change nothing."""
    alone = {(c.contrast, c.dataset): c for c in without}.get((comparison.contrast, comparison.dataset))
    if alone is None or alone.verdict is comparison.verdict:
        return ""
    return f"{alone.verdict} ({metric.format_interval(alone.summary.interval)})"


def aa_changes(study: Study) -> str:
    """The parts that an A/A run has of its own: ``initial weights``, and dropout masks if there are any."""
    model, _ = study.variants[study.baseline]
    if any(value for name, value in shown_options(model).items() if name.rpartition(".")[2] == "dropout"):
        return "initial weights and dropout masks"
    # The options of the user's own network or of a backbone do not say whether it has dropout layers.
    return "initial weights" if isinstance(model, PaperNetworkConfig) else "initial weights (and dropout masks, if any)"


def noise_floor_sentences(comparison: Comparison, results: StudyResults, *, with_note: bool = True) -> str:
    """The A/A difference, its runs, and whether they decide a verdict.

    Args:
        comparison: The A/A comparison on one data set.
        results: The study's results.
        with_note: Whether it says what the difference is an estimate of.
    """
    study, dataset = results.study, comparison.dataset
    runs = results.records.done().query("variant == @study.aa and dataset == @dataset").sort_values("seed")
    values = " · ".join(map(study.metric.scale.format, runs[study.metric.column]))
    here = [c for c in results.comparisons if c.dataset == dataset]
    same = bool(results.without_aa) and not aa_paragraphs(here, results.without_aa, study.metric)
    sentences = [
        f"Noise floor (A/A) on {dataset}: the baseline compared with itself under other {aa_changes(study)}.",
        phrasing.difference_sentence(comparison, study.metric),
        f"The runs of {study.aa}, by seed: {values}." if values else "",
        "Without them in the spread, the verdicts would be the same." if same else "",
        "This is one estimate of the difference that arises without any change, not a limit below which differences "
        "are noise; its runs are part of the spread of all intervals."
        if with_note
        else "",
    ]
    return " ".join(filter(None, sentences))


def rounding_sentences(repeats: int, units: str, *, any_resolved: bool, any_assessed: bool = True) -> str:
    """The sentences on what other hardware would change, and on what few repeats mean for verdicts.

    Args:
        repeats: The smallest number of repeats after which contrasts are judged.
        units: The kind of repeat: ``seeds``, ``folds``.
        any_resolved: Whether a contrast is resolved.
        any_assessed: Whether a contrast is assessed.
    """
    text = (
        "A seed does not fix a run: other hardware, or another number of threads or workers, rounds differently, which "
        "can change a single run a lot."
    )
    if repeats > FEW or not any_assessed:
        return text
    if not any_resolved:
        return f"{text} With so few {units}, other rounding may give other verdicts."
    return (
        f"{text} With so few {units}, differences that are resolved are overstated, in simulations with three seeds by "
        "half on average, and other rounding may resolve others."
    )


def dropped_sentences(dropped: Sequence[str]) -> str:
    """The sentences on contrasts that were left out when results were there; empty if there are none.

    Args:
        dropped: The names of these contrasts.
    """
    if not dropped:
        return ""
    these, them = ("these contrasts", "them") if len(dropped) > 1 else ("this contrast", "it")
    return (
        f"Left out after results were there: {'; '.join(dropped)}. The study declared {these} before, and the joint "
        f"95 % would have to hold for {them}, too."
    )


def shared_variance_sentences(results: StudyResults) -> dict[str, str]:
    """A sentence on the share of the variance that runs of one seed have in common, by data set with seeds enough.

    Args:
        results: The study's results.
    """
    study, sentences = results.study, {}
    rows = cast("list[dict[str, Any]]", results.records.done().to_dict("records"))  # column names are strings
    for one in results.repeats:
        values = metric_table(rows, one.dataset, study.seeds, study.metric.column).values
        share = None if one.is_divided else shared_by_seeds(values)
        if share is not None:
            sentences[one.dataset] = (
                f"Runs of one seed share {100 * share:.0f} % of the variance between runs of a variant (intraclass "
                "correlation, Shrout and Fleiss 1979); comparisons by seed do without this part."
            )
    return sentences
