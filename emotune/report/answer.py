"""The study's answer: what its verdicts say together, in two or three sentences for each data set."""

from collections.abc import Iterable, Mapping, Sequence

from emotune.analysis.seeds import Comparison
from emotune.analysis.verdict import Verdict
from emotune.config.contrast import Contrast
from emotune.config.metric import Metric
from emotune.core.text import listed
from emotune.report.verdict_headlines import headline

__all__ = ["answer"]

RELATIONS: Mapping[Verdict, tuple[str, str]] = {
    Verdict.BETTER: ("is better than", "are better than"),
    Verdict.WORSE: ("is worse than", "are worse than"),
    Verdict.EQUIVALENT: ("is equivalent to", "are each equivalent to"),
    Verdict.IDENTICAL: ("predicts for every image the same as", "predict for every image the same as"),
}
"""The finding, of one variant and of several, before the name of the reference."""


def answer(
    comparisons: Sequence[Comparison], metric: Metric, images: Mapping[str, int], *, complete: bool = True
) -> list[str]:
    """The answer, a paragraph for each data set; none without contrasts.

    Args:
        comparisons: The declared contrasts on all data sets.
        metric: The study's metric.
        images: The number of test images by data set; a data set that is missing has no finished run.
        complete: Whether all runs of the study have finished.
    """
    return [
        _paragraph([c for c in comparisons if c.dataset == dataset], metric, images[dataset], complete=complete)
        for dataset in dict.fromkeys(c.dataset for c in comparisons)
        if dataset in images
    ]


def _paragraph(comparisons: Sequence[Comparison], metric: Metric, images: int, *, complete: bool) -> str:
    counts = sorted({c.summary.n for c in comparisons if c.summary.n} or {0})
    seeds = " to ".join(map(str, dict.fromkeys((counts[0], counts[-1]))))
    plural = "" if counts[-1] == 1 else "s"
    repeats = f"{seeds} {comparisons[0].unit}{plural}"
    where = f"On the {images:,} test images of {comparisons[0].dataset}, in {metric.scale.title} over {repeats}"
    where = where if complete else f"So far, o{where[1:]}"
    verdicts = [c.verdict or Verdict.UNRESOLVED for c in comparisons]
    by_verdict = {v: [c for c, one in zip(comparisons, verdicts, strict=True) if one is v] for v in Verdict}
    found = _findings(by_verdict, metric)
    sentences = [f"{where}, {'; '.join(found) if found else 'no declared contrast is resolved'}."]
    if unresolved := by_verdict[Verdict.UNRESOLVED]:
        sentences.append(f"{_open_questions(unresolved)} cannot be told.")
    if fixed := by_verdict[Verdict.DETERMINISTIC]:
        sentences.append(f"Seeds tell nothing about {_pairs(fixed)}, which do not depend on them.")
    if unable := by_verdict[Verdict.NOT_ASSESSED]:
        sentences.append(f"Nothing is said of {_pairs(unable)}: none of them is shown to have learned anything.")
    if late := [str(c.contrast) for c in comparisons if c.late and c.verdict is not Verdict.UNRESOLVED]:
        sentences.append(f"Not confirmatory, because of what was declared when results were there: {listed(late)}.")
    return " ".join(sentences)


def _findings(by_verdict: Mapping[Verdict, Sequence[Comparison]], metric: Metric) -> list[str]:
    """The findings of the verdicts, a clause for each verdict and reference."""
    clauses = []
    for verdict, (one, several) in RELATIONS.items():
        margin = f" within ±{metric.scale.format_amount(metric.min_effect)}" if verdict is Verdict.EQUIVALENT else ""
        clauses += [
            f"{listed(variants)} {one if len(variants) == 1 else several} {reference}{margin}"
            for reference, variants in _by_reference(by_verdict[verdict]).items()
        ]
    told = [v for v in Verdict if v not in (Verdict.UNRESOLVED, Verdict.DETERMINISTIC, Verdict.NOT_ASSESSED)]
    return clauses + [headline(c, metric) for v in told for c in by_verdict[v] if not _is_told_by_variants(c)]


def _open_questions(comparisons: Sequence[Comparison]) -> str:
    """The unresolved questions: ``Whether dual differs from dual-plain, and mldr from alexnet,``."""
    clauses = [
        f"{listed(variants, 'or')} {'differs ' if not i else ''}from {reference}"
        for i, (reference, variants) in enumerate(_by_reference(comparisons).items())
    ]
    clauses += [_question(c.contrast) for c in comparisons if not _is_told_by_variants(c)]
    comma = "," if len(clauses) > 1 else ""
    return f"Whether {', and '.join(clauses)}{comma}"


def _question(contrast: Contrast) -> str:
    """The question of a contrast that is an effect of factors, or does not compare two means."""
    if contrast.effect is None:
        return f"{contrast} is zero"
    (one, (level, first)), *others = contrast.effect.compared.items()
    if others:
        return f"the effect of {one} depends on {others[0][0]}"
    over = f" on average over {listed(contrast.effect.averaged_over)}" if contrast.effect.averaged_over else ""
    return f"{one} {level} differs from {first}{over}"


def _is_told_by_variants(comparison: Comparison) -> bool:
    """Whether a contrast is a difference of two means that is no effect of factors, which have names of their own."""
    return comparison.contrast.compares_means and comparison.contrast.effect is None


def _by_reference(comparisons: Iterable[Comparison]) -> dict[str, list[str]]:
    """The variants that are compared with each reference, of contrasts that are told by their variants."""
    grouped: dict[str, list[str]] = {}
    for c in comparisons:
        if _is_told_by_variants(c):
            variant, reference = c.contrast.sides
            grouped.setdefault(reference, []).append(variant)
    return grouped


def _pairs(comparisons: Sequence[Comparison]) -> str:
    """The variants of some contrasts: ``alexnet, attention and dual``."""
    return listed(
        dict.fromkeys(variant for c in comparisons for variant in (*c.contrast.positive, *c.contrast.negative))
    )
