"""The first sentence of a verdict: which side of a contrast is better, or what its sign is."""

from emotune.analysis.seeds import Comparison
from emotune.analysis.verdict import Verdict
from emotune.config.metric import Metric

__all__ = ["VERDICT_TEMPLATES", "headline"]

VERDICT_TEMPLATES = {
    Verdict.BETTER: "{variant} is better than {reference}",
    Verdict.WORSE: "{variant} is worse than {reference}",
    Verdict.EQUIVALENT: "{variant} and {reference} are equivalent within ±{margin}",
    Verdict.UNRESOLVED: "{variant} vs. {reference}: unresolved",
    Verdict.IDENTICAL: "{variant} and {reference} predict the same class for every image in every seed",
    Verdict.DETERMINISTIC: "{variant} vs. {reference}: neither depends on the seed",
    Verdict.NOT_ASSESSED: "{variant} vs. {reference}: neither is shown to have learned, so they are not assessed",
}
"""Of a difference of two variants, or of the means of several."""
SIGN_TEMPLATES = {
    Verdict.POSITIVE: "{name} is above zero",
    Verdict.NEGATIVE: "{name} is below zero",
    Verdict.EQUIVALENT: "{name} is zero within ±{margin}",
    Verdict.UNRESOLVED: "{name}: unresolved",
    Verdict.IDENTICAL: "{name}: the predictions of its variants cancel for every image in every seed",
    Verdict.DETERMINISTIC: "{name}: none of its variants depends on the seed",
    Verdict.NOT_ASSESSED: "{name}: none of its variants is shown to have learned, so it is not assessed",
}
"""Of a contrast without two sides."""


def headline(comparison: Comparison, metric: Metric) -> str:
    """The verdict of a contrast as a sentence without its full stop.

    Args:
        comparison: The contrast on one data set.
        metric: The study's metric.
    """
    contrast, verdict = comparison.contrast, comparison.verdict or Verdict.UNRESOLVED
    margin = metric.scale.format_amount(metric.min_effect)
    if not contrast.compares_means:
        text = SIGN_TEMPLATES[verdict].format(name=contrast, margin=margin)
    else:
        variant, reference = contrast.pair or contrast.sides
        text = VERDICT_TEMPLATES[verdict].format(variant=variant, reference=reference, margin=margin)
        text = text if contrast.name == contrast.formula else f"{contrast}: {text}"
    return f"{text}, and not zero" if verdict is Verdict.EQUIVALENT and comparison.is_not_zero else text
