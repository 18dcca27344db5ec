"""The first sentence of a verdict, and how a main effect depends on other factors."""

from collections.abc import Sequence

from emotune.analysis.seeds import Comparison
from emotune.analysis.verdict import Verdict
from emotune.config.contrast import Contrast
from emotune.config.metric import Metric
from emotune.core.sample_noun import worded
from emotune.core.text import listed

__all__ = ["VERDICT_TEMPLATES", "dependence_clauses", "dependence_sentences", "depends_on", "headline"]

VERDICT_TEMPLATES = {
    Verdict.BETTER: "{variant} is better than {reference}",
    Verdict.WORSE: "{variant} is worse than {reference}",
    Verdict.EQUIVALENT: "{variant} and {reference} are equivalent within ±{margin}",
    Verdict.UNRESOLVED: "{variant} vs. {reference}: unresolved",
    Verdict.IDENTICAL: "{variant} and {reference} predict the same class for every image in every {unit}",
    Verdict.DETERMINISTIC: "{variant} vs. {reference}: neither depends on the {unit}",
    Verdict.NOT_ASSESSED: "{variant} vs. {reference}: neither is shown to have learned, so they are not assessed",
}
"""The first sentence on a difference of two variants, or of the means of several."""
SIGN_TEMPLATES = {
    Verdict.POSITIVE: "{name} is above zero",
    Verdict.NEGATIVE: "{name} is below zero",
    Verdict.EQUIVALENT: "{name} is zero within ±{margin}",
    Verdict.UNRESOLVED: "{name}: unresolved",
    Verdict.IDENTICAL: "{name}: the predictions of its variants cancel for every image in every {unit}",
    Verdict.DETERMINISTIC: "{name}: none of its variants depends on the {unit}",
    Verdict.NOT_ASSESSED: "{name}: none of its variants is shown to have learned, so it is not assessed",
}
"""The first sentence on a contrast without two sides."""
INTERACTION_TEMPLATES = SIGN_TEMPLATES | {
    Verdict.POSITIVE: "{name}: the effect of {one} is higher with {other} {level} than with {other} {first}",
    Verdict.NEGATIVE: "{name}: the effect of {one} is lower with {other} {level} than with {other} {first}",
    Verdict.EQUIVALENT: "{name}: the effects add up within ±{margin}",
    Verdict.UNRESOLVED: "{name}: whether the effect of {one} depends on {other} cannot be told",
}
"""The first sentence on the interaction of two factors."""
DEPENDENCE_TEMPLATES = {
    Verdict.POSITIVE: "but it depends on {other}",
    Verdict.NEGATIVE: "but it depends on {other}",
    Verdict.UNRESOLVED: "and whether it depends on {other} cannot be told",
    Verdict.EQUIVALENT: "and it does not depend on {other} by more than {margin}",
}
"""The clause on a main effect, by the verdict of an interaction; the first says most about a factor of many levels."""


def headline(comparison: Comparison, metric: Metric) -> str:
    """The verdict of a contrast as a sentence without its full stop.

    Args:
        comparison: The contrast on one data set.
        metric: The study's metric.
    """
    contrast, verdict = comparison.contrast, comparison.verdict or Verdict.UNRESOLVED
    margin, unit = metric.scale.format_amount(metric.min_effect), comparison.unit
    if contrast.effect and contrast.effect.is_interaction:
        (one, _), (other, (level, first)) = contrast.effect.compared.items()
        text = worded(INTERACTION_TEMPLATES[verdict]).format(
            name=contrast, one=one, other=other, level=level, first=first, margin=margin, unit=unit
        )
    elif not contrast.compares_means:
        text = worded(SIGN_TEMPLATES[verdict]).format(name=contrast, margin=margin, unit=unit)
    else:
        subject, variant, reference = _compared(contrast)
        text = subject + worded(VERDICT_TEMPLATES[verdict]).format(
            variant=variant, reference=reference, margin=margin, unit=unit
        )
    return f"{text}, and not zero" if verdict is Verdict.EQUIVALENT and comparison.is_not_zero else text


def dependence_sentences(comparison: Comparison, among: Sequence[Comparison], metric: Metric) -> list[str]:
    """Whether a main effect depends on other factors, a sentence for each interaction; empty for other contrasts.

    Args:
        comparison: The contrast on one data set.
        among: All declared contrasts, with the interactions.
        metric: The study's metric.
    """
    sentences = []
    for other in among:
        template = DEPENDENCE_TEMPLATES.get(other.verdict or Verdict.UNRESOLVED)
        if template and depends_on(comparison, other):
            text = _clause(template, comparison, other, metric).removeprefix("and ")
            sentences.append(f"{text[0].upper()}{text[1:]} ({_interaction(other, metric)}).")
    return sentences


def dependence_clauses(comparison: Comparison, among: Sequence[Comparison], metric: Metric) -> list[str]:
    """Whether a main effect depends on other factors, a clause for each of them; empty for other contrasts.

    Args:
        comparison: The contrast on one data set.
        among: All declared contrasts, with the interactions.
        metric: The study's metric.
    """
    rank, found = list(DEPENDENCE_TEMPLATES), dict[str, Comparison]()
    interactions = [c for c in among if depends_on(comparison, c) and (c.verdict or Verdict.UNRESOLVED) in rank]
    for other in sorted(interactions, key=lambda c: rank.index(c.verdict or Verdict.UNRESOLVED)):
        found.setdefault(_other_factor(comparison, other), other)
    return [
        _clause(DEPENDENCE_TEMPLATES[other.verdict or Verdict.UNRESOLVED], comparison, other, metric)
        for other in found.values()
    ]


def depends_on(main: Comparison, other: Comparison) -> bool:
    """Whether the other comparison tells if this main effect depends on another factor: their interaction."""
    effect, interaction = main.contrast.effect, other.contrast.effect
    if effect is None or interaction is None or effect.is_interaction or main.dataset != other.dataset:
        return False
    return interaction.is_interaction and effect.compared.items() <= interaction.compared.items()


def _clause(template: str, main: Comparison, other: Comparison, metric: Metric) -> str:
    return template.format(other=_other_factor(main, other), margin=metric.scale.format_amount(metric.min_effect))


def _other_factor(main: Comparison, other: Comparison) -> str:
    """The factor that an interaction has besides that of the main effect."""
    compared, factors = (c.contrast.effect.compared if c.contrast.effect else {} for c in (main, other))
    return next(factor for factor in factors if factor not in compared)


def _compared(contrast: Contrast) -> tuple[str, str, str]:
    """The subject of a difference of means, with a colon, and its two sides."""
    if contrast.effect:
        ((factor, (level, first)),) = contrast.effect.compared.items()
        over = f", averaged over {listed(contrast.effect.averaged_over)}" if contrast.effect.averaged_over else ""
        return f"{factor}{over}: ", level, first
    return ("" if contrast.name == contrast.formula else f"{contrast}: ", *(contrast.pair or contrast.sides))


def _interaction(comparison: Comparison, metric: Metric) -> str:
    ends = comparison.summary.interval
    if not comparison.summary.n:
        return f"no {comparison.unit} is complete"
    text = f"interaction {metric.format_signed(comparison.summary.mean)}"
    return f"{text}, {metric.format_interval(ends)}" if ends else text
