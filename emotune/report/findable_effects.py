"""The smallest differences that several numbers of seeds find, in sentences."""

from collections.abc import Mapping, Sequence

from emotune.analysis.metric_table import contrast_weights
from emotune.analysis.power import alike, findable_effects
from emotune.analysis.residuals import PooledSpread
from emotune.analysis.verdict import ALPHA
from emotune.config.metric import Metric
from emotune.config.seeds import look_shares
from emotune.core.text import listed
from emotune.report.results import StudyResults

__all__ = ["findable_effects_sentence", "findable_effects_sentences"]

SEED_COUNTS = (3, 5, 10, 20)
"""Numbers of seeds for which the smallest difference that they find is stated, besides the study's own; not of looks.
"""
MOST_NAMED = 4
"""The number of contrasts that a sentence names; of more it gives the number."""


def findable_effects_sentences(results: StudyResults) -> dict[str, str]:
    """The smallest differences that seeds find, a sentence for each data set whose pooled spread is known.

    Of adaptive seeds they are those that each planned look finds at its share of the 5 %.

    Args:
        results: The study's results.
    """
    study = results.study
    weights = contrast_weights(study.contrasts, list(study.variants))
    shares = dict(zip(study.looks, look_shares(study.looks), strict=True))
    shares = shares or dict.fromkeys(sorted({*SEED_COUNTS, study.seeds}), 1.0)
    sentences = {}
    for dataset, spread in results.pooled_spreads.items():
        effects = {
            number: effect
            for seeds, share in shares.items()
            for number, effect in findable_effects(
                spread.sd, [seeds], spread.variants, weights, ALPHA * share / len(results.judged_on)
            ).items()
        }
        groups = alike(map(str, study.contrasts), weights)
        sentences[dataset] = findable_effects_sentence(spread, effects, study.metric, groups)
    return sentences


def findable_effects_sentence(
    spread: PooledSpread, effects: Mapping[int, float], metric: Metric, groups: Mapping[float, Sequence[str]]
) -> str:
    """The smallest differences, or effects of factors, that several numbers of seeds find at the pooled spread.

    Args:
        spread: The pooled standard deviation of a seed difference.
        effects: The smallest difference of two variants that is found with 80 % power, by number of seeds.
        metric: The study's metric.
        groups: The contrasts by the standard deviation of their seeds, in that of a difference of two variants.
    """
    scale = metric.scale
    sd = f"{scale.format(spread.sd)} {scale.difference_units}".rstrip()
    degrees = "1 degree" if spread.df == 1 else f"{spread.df} degrees"
    text = f"The standard deviation of a seed difference, pooled over all variants, is {sd} ({degrees} of freedom)."
    if not effects:
        return text
    found, out_of_reach = list[str](), list[str]()
    for relative, names in (groups or {1.0: ["any difference"]}).items():
        (fewest, largest), *others = effects.items()
        amount = f"{scale.format(relative * largest)} {scale.difference_units}".rstrip()
        which = f" for {_names(names)}" if groups and list(groups) != [1.0] else ""
        more = "".join(f", {scale.format(relative * effect)} with {number}" for number, effect in others)
        found.append(f"{which} of {amount} with {fewest} seeds{more}")
        if metric.min_effect < relative * min(effects.values()):
            out_of_reach.append(_names(names))
    text += f" At this spread, four of five studies find a true value{';'.join(found)}."
    if not out_of_reach:
        return text
    which = f" for {listed(out_of_reach)}" if len(out_of_reach) < len(groups) else ""
    margin = scale.format_amount(metric.min_effect)
    return f"{text} To find the smallest effect that matters, {margin}, takes more seeds than these{which}."


def _names(names: Sequence[str]) -> str:
    return listed(names, "or") if len(names) <= MOST_NAMED else f"{len(names)} contrasts"
