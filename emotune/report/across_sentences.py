"""Sentences on a contrast over several data sets."""

from emotune.analysis.across_datasets import AcrossDatasets
from emotune.config.metric import Metric
from emotune.core.text import listed

__all__ = ["across_sentences"]


def across_sentences(across: AcrossDatasets, metric: Metric) -> list[str]:
    """A contrast's mean over the data sets of a study, its spread over them, and whether it differs between them.

    Args:
        across: The contrast over the data sets.
        metric: The study's metric.
    """
    signed, scale, number = metric.format_signed, metric.scale, len(across.datasets)
    mean = f"{signed(across.mean)} {scale.difference_units}".rstrip()
    if across.one_seed:
        why = f"no interval, because {listed(across.one_seed)} {_has(across.one_seed)} one complete seed only"
    elif across.interval:
        why = f"95 % interval {metric.format_interval(across.interval)} for other seeds on the same data sets"
    else:
        why = "without an interval"
    spread = f"By data set it is {signed(across.lowest)} to {signed(across.highest)}, standard deviation "
    spread += scale.format(across.sd)
    if across.seed_sd is not None:
        spread += f" (seeds alone would make {scale.format(across.seed_sd)})"
    sign = f"favours {across.contrast.sides[0]}" if across.contrast.compares_means else "is positive"
    sentences = [
        f"{mean} on average over these {number} data sets ({why}).",
        f"{spread}; the mean {sign} on {across.favourable} of {number}.",
    ]
    if unable := across.not_assessed:
        are = "are" if len(unable) > 1 else "is"
        sentences.append(f"{listed(unable)} {are} among them, where none of its variants is shown to have learned.")
    return sentences + _between(across, metric)


def _between(across: AcrossDatasets, metric: Metric) -> list[str]:
    """Whether the contrast differs between the data sets, from intervals and not from verdicts."""

    def difference(number: int) -> str:
        one = across.between[number]
        more = f"{metric.format_signed(one.difference)} more on {one.larger} than on {one.smaller}"
        return f"{more} ({metric.format_interval((one.low, one.high))})"

    different = [number for number, one in enumerate(across.between) if one.low > 0]
    if different:
        return [f"It differs between data sets: {', '.join(map(difference, different))}."]
    if across.between and all(one.is_within(metric.min_effect) for one in across.between):
        return [f"It is the same on all of them within ±{metric.scale.format_amount(metric.min_effect)}."]
    if across.between:
        return [f"Whether it differs between data sets cannot be told: {difference(0)}."]
    return []


def _has(names: tuple[str, ...]) -> str:
    return "have" if len(names) > 1 else "has"
