"""The study's answer: what its verdicts say together, in two or three sentences for each data set."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from emotune.analysis.seeds import Comparison
from emotune.analysis.verdict import Verdict
from emotune.config.metric import Metric
from emotune.core.sample_noun import worded
from emotune.core.text import listed
from emotune.report.verdict_headlines import dependence_clauses, depends_on, headline

__all__ = ["answer"]

RELATIONS: Mapping[Verdict, tuple[str, str]] = {
    Verdict.BETTER: ("is better than", "are better than"),
    Verdict.WORSE: ("is worse than", "are worse than"),
    Verdict.EQUIVALENT: ("is equivalent to", "are each equivalent to"),
    Verdict.IDENTICAL: ("predicts for every image the same as", "predict for every image the same as"),
}
"""The finding, of one variant and of several, before the name of the reference."""
RESOLVING = [v for v in Verdict if v not in (Verdict.UNRESOLVED, Verdict.DETERMINISTIC, Verdict.NOT_ASSESSED)]
"""The verdicts that say something about a contrast."""


def answer(
    comparisons: Sequence[Comparison], metric: Metric, images: Mapping[str, Collection[int]], *, complete: bool = True
) -> list[str]:
    """The answer, a paragraph for each data set; none without contrasts.

    Args:
        comparisons: The declared contrasts on all data sets.
        metric: The study's metric.
        images: The number of different test images by data set and, of a divided one, those of its divisions; a data
            set that is missing has no finished run.
        complete: Whether all runs of the study have finished.
    """
    return [
        _paragraph([c for c in comparisons if c.dataset == dataset], metric, images[dataset], complete=complete)
        for dataset in dict.fromkeys(c.dataset for c in comparisons)
        if dataset in images
    ]


def _paragraph(comparisons: Sequence[Comparison], metric: Metric, images: Collection[int], *, complete: bool) -> str:
    counts = sorted({c.summary.n for c in comparisons if c.summary.n} or {0})
    plural = "" if counts[-1] == 1 else "s"
    repeats = f"{_range(counts)} {comparisons[0].unit}{plural}"
    number, *each = images
    tests = f", of which each {comparisons[0].unit} tests {_range(each)}" if each else ""
    of = f"test {worded('images')} of {comparisons[0].dataset}{tests}"
    where = f"On the {number:,} {of}, in {metric.scale.title} over {repeats}"
    where = where if complete else f"So far, o{where[1:]}"
    verdicts = [c.verdict or Verdict.UNRESOLVED for c in comparisons]
    by_verdict = {v: [c for c, one in zip(comparisons, verdicts, strict=True) if one is v] for v in Verdict}
    found, told = _findings(by_verdict, metric), [c for v in RESOLVING for c in by_verdict[v]]
    unresolved = [c for c in by_verdict[Verdict.UNRESOLVED] if not any(depends_on(one, c) for one in told)]
    open_questions = f"it cannot be told {_open_questions(unresolved)}" if unresolved else ""
    if found:
        intervals = " (with joint 95 % intervals)" if any(c.summary.interval for c in told) else ""
        sentences = [f"{where}{intervals}, {'; '.join(found)}."]
        sentences += [f"I{open_questions[1:]}."] if unresolved else []
    else:
        sentences = [f"{where}, {open_questions or 'no declared contrast is resolved'}."]
    if fixed := by_verdict[Verdict.DETERMINISTIC]:
        sentences.append(f"Seeds tell nothing about {_variants(fixed)}, which do not depend on them.")
    if unable := by_verdict[Verdict.NOT_ASSESSED]:
        are = "are not assessed: none of their" if len(unable) > 1 else "is not assessed: none of its"
        sentences.append(f"{listed(str(c.contrast) for c in unable)} {are} variants is shown to have learned.")
    late: dict[str, list[str]] = {}
    for c in (c for c in comparisons if c.late):
        late.setdefault("; ".join(map(str, c.late)), []).append(str(c.contrast))
    for why, names in late.items():
        which = "all contrasts" if len(names) == len(comparisons) > 1 else listed(names)
        sentences.append(f"Not confirmatory ({why}): {which}.")
    return " ".join(sentences)


def _range(counts: Collection[int]) -> str:
    """``3 to 5``, or ``3``."""
    return " to ".join(f"{count:,}" for count in dict.fromkeys((min(counts), max(counts))))


def _findings(by_verdict: Mapping[Verdict, Sequence[Comparison]], metric: Metric) -> list[str]:
    """The findings of the verdicts and how large they are, a clause for each verdict and reference."""
    clauses = []
    for verdict, (one, several) in RELATIONS.items():
        margin = f" within ±{metric.scale.format_amount(metric.min_effect)}" if verdict is Verdict.EQUIVALENT else ""
        for reference, found in _by_reference(by_verdict[verdict]).items():
            variants = listed(f"{c.contrast.sides[0]}{_size(c, metric)}" for c in found)
            clauses.append(f"{variants} {worded(one if len(found) == 1 else several)} {reference}{margin}")
    every = [c for found in by_verdict.values() for c in found]
    for c in (c for v in RESOLVING for c in by_verdict[v] if not _is_told_by_variants(c)):
        depends = "".join(f", {clause}" for clause in dependence_clauses(c, every, metric))
        clauses.append(f"{headline(c, metric)}{_size(c, metric)}{depends}")
    return clauses


def _size(comparison: Comparison, metric: Metric) -> str:
    """The size of a difference: `` (+5.2 points, +1.2 to +9.2)``; empty without an interval."""
    if not (ends := comparison.summary.interval):
        return ""
    mean = f"{metric.format_signed(comparison.summary.mean)} {metric.scale.difference_units}".rstrip()
    return f" ({mean}, {metric.format_interval(ends)})"


def _open_questions(comparisons: Sequence[Comparison]) -> str:
    """The unresolved questions: ``whether dual differs from dual-plain, and whether mldr differs from alexnet``."""
    clauses = [
        f"whether {listed((c.contrast.sides[0] for c in found), 'or')} differs from {reference}"
        for reference, found in _by_reference(comparisons).items()
    ]
    others = [c.contrast for c in comparisons if not _is_told_by_variants(c)]
    effects: dict[tuple[str, ...], list[str]] = {}
    for contrast in others:
        if contrast.effect and not contrast.effect.is_interaction:
            ((factor, (level, first)),) = contrast.effect.compared.items()
            effects.setdefault(contrast.effect.averaged_over, []).append(f"{factor} ({level} - {first})")
    for averaged, names in effects.items():
        over = f" on average over {listed(averaged)}" if averaged else ""
        clauses.append(f"whether {listed(names, 'or')} has an effect{over}")
    clauses += [
        f"whether the effect of {one} depends on {other}"
        for one, other in dict.fromkeys(
            tuple(c.effect.compared) for c in others if c.effect and c.effect.is_interaction
        )
    ]
    clauses += [f"whether {contrast} is zero" for contrast in others if contrast.effect is None]
    *most, last = clauses
    return f"{', '.join(most)}, and {last}" if most else last


def _is_told_by_variants(comparison: Comparison) -> bool:
    """Whether a contrast is a difference of two means that is no effect of factors, which have names of their own."""
    return comparison.contrast.compares_means and comparison.contrast.effect is None


def _by_reference(comparisons: Iterable[Comparison]) -> dict[str, list[Comparison]]:
    """The comparisons with each reference, of contrasts that are told by their variants."""
    grouped: dict[str, list[Comparison]] = {}
    for c in comparisons:
        if _is_told_by_variants(c):
            grouped.setdefault(c.contrast.sides[1], []).append(c)
    return grouped


def _variants(comparisons: Sequence[Comparison]) -> str:
    """The variants of some contrasts: ``alexnet, attention and dual``."""
    return listed(
        dict.fromkeys(variant for c in comparisons for variant in (*c.contrast.positive, *c.contrast.negative))
    )
