"""Sentences on data sets that a study divides anew, several times."""

from collections.abc import Sequence

from emotune.analysis.divisions import Repeats
from emotune.config.run import Selection
from emotune.core.sample_noun import worded
from emotune.core.text import listed

__all__ = ["assessment_sentences", "division_sentences", "unit_names"]


def unit_names(repeats: Sequence[Repeats], plural: str = "") -> str:
    """The kinds of repeat on the data sets: ``seed``, ``seed or fold``; with ``plural`` an "s" in the plural."""
    return " or ".join(f"{unit}{plural}" for unit in dict.fromkeys(one.unit for one in repeats))


def division_sentences(repeats: Repeats, selection: Selection, seeds: int, *, complete: bool = True) -> str:
    """The sentence on how a data set is divided, and how intervals account for that; empty if seeds repeat.

    Args:
        repeats: The repeats on the data set.
        selection: The data set as the study names it.
        seeds: The study's number of seeds.
        complete: Whether all runs have finished.
    """
    if not repeats.is_divided:
        return ""
    if selection.folds:
        times = f", {selection.split_seeds} times" if selection.split_seeds and selection.split_seeds > 1 else ""
        others = worded("validation images come from the others")
        how = f"into {selection.folds} folds{times}; each is once the test part, {others}"
    else:
        how = f"at random {repeats.number} times, with as many {worded('images')} in each split as in its own"
    finished = "" if complete else " as far as they have finished, in a contrast over those that all its variants have"
    mean = f" In each, a variant's value is the mean over {seeds} seeds{finished}." if seeds > 1 else ""
    text = (
        f"{repeats.dataset} is divided {how}; groups of near-duplicates stay whole.{mean} The unit of replication is "
        f"the {repeats.unit}: verdicts and intervals are about other divisions of the same {worded('images')}."
    )
    if not repeats.overlap:
        return text
    return (
        f"{text} Training {worded('images')} of its {repeats.unit}s overlap, so the variance of a mean over n of them "
        f"is taken to be (1/n + {repeats.overlap:.2f}) times that of one, where {repeats.overlap:.2f} is the number of "
        f"test {worded('images')} per training {worded('image')} (Nadeau and Bengio 2003)."
    )


def assessment_sentences(repeats: Sequence[Repeats]) -> str:
    """The sentence on the contrasts that are assessed, given the variants that have learned.

    Args:
        repeats: The repeats on each data set.
    """
    text = "A contrast of variants that have not learned is not assessed."
    divided = [one for one in repeats if one.is_divided]
    if not divided:
        return text
    units = listed([f"{one.unit}s of {one.dataset}" for one in divided])
    return (
        f"{text} For the {units}, prior and gain are means over all of them, n is their number, and what decides is "
        "not a single one: a variant counts as having learned if this gain is above zero by the same kind of "
        "interval, or if each run is better than the prior."
    )
