"""The effects that the divisions of a data set can detect, known before anything is trained."""

import math
from collections.abc import Sequence

from emotune.analysis.metric_table import contrast_weights
from emotune.analysis.power import smallest_effect
from emotune.analysis.verdict import ALPHA
from emotune.config.run import DatasetRef
from emotune.config.study import Study
from emotune.core.sample_noun import worded
from emotune.data.datasets.counts import images_in
from emotune.data.datasets.location import is_ready

__all__ = ["division_resolution"]


def division_resolution(study: Study, datasets: Sequence[DatasetRef]) -> list[str]:
    """A line for each divided data set on the effects that its divisions can detect; none without contrasts.

    Training images that divisions share make the mean vary more than so many independent repeats would, and more
    divisions at random hardly help.

    Args:
        study: The study.
        datasets: The data sets as its runs have them.
    """
    groups: dict[tuple[str, str], list[DatasetRef]] = {}
    for ref in datasets:
        if ref.division and is_ready(ref):
            groups.setdefault((ref.whole, ref.division.unit), []).append(ref)
    weights, alpha = contrast_weights(study.contrasts, list(study.variants)), ALPHA / len(study.datasets)
    lines = []
    for (name, unit), refs in groups.items():
        number = len(refs)
        varying = len(study.networks) + bool(study.aa)
        in_sd = smallest_effect(number, varying, weights, alpha)
        if in_sd is None and study.contrasts and (number < 2 or (number == 2 and varying <= 2)):
            lines.append(f"{number} {unit}{'s' * (number > 1)} of {name} give no verdict: ask for more.")
        if in_sd is None:
            continue
        larger = math.sqrt(1 + number * images_in(refs[0], "test") / images_in(refs[0], "train"))
        lines.append(
            f"{number} {unit}s of {name}, which share training {worded('images')}, detect, with 80 % power, effects of "
            f"at least {larger * in_sd:.1f} × the sd of the differences between two variants over {unit}s; more seeds "
            "make that sd smaller as far as it comes from them."
        )
    return lines
