"""Whether anything was learned on a data set that is divided several times: over its divisions, not in each."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from emotune.analysis.divisions import Repeats
from emotune.analysis.joint_interval import mean_intervals
from emotune.analysis.learning import Learning
from emotune.analysis.verdict import ALPHA
from emotune.config.metric import SCALES
from emotune.runs.directory import State

__all__ = ["learned_over_divisions"]


def learned_over_divisions(
    rows: Sequence[Mapping[str, Any]], repeats: Repeats, by_division: Mapping[str, Learning], datasets: int
) -> frozenset[str]:
    """The names of the variants that are better than the class prior on a divided data set.

    In each division a variant's gain over the prior of that division is the mean over its seeds. The interval of the
    mean gain is that of `emotune.analysis.joint_interval.mean_intervals`. A variant of which each run is better over
    its test images has learned, too: the images of several folds are not the same.

    Args:
        rows: The runs of all variants, with the yardsticks if they have finished.
        repeats: The data set.
        by_division: The variants that have learned, by division; divisions without finished runs are absent.
        datasets: The number of the study's data sets, each of which has an equal share of the 5 %.
    """
    known = [(number, by_division[name]) for number, name in enumerate(repeats.names) if name in by_division]
    if not known:
        return frozenset()
    compared, asked = known[0][1].yardsticks, known[0][1].variants
    variants = list(dict.fromkeys([*asked, *(run.variant for _, one in known for run in one.runs)]))
    learned: set[str] = set()
    for name in compared:
        gains, sign = np.full((len(variants), repeats.number), np.nan), 1 if SCALES[name].higher_is_better else -1
        for number, one in known:
            here = [row for row in rows if row["dataset"] == one.dataset and row["state"] == State.DONE]
            for index, variant in enumerate(variants):
                values = [row[name] for row in here if row["variant"] == variant]
                gains[index, number] = sign * (np.mean(values) - one.prior.metrics[name]) if values else np.nan
        intervals = mean_intervals(gains, ALPHA / datasets / len(compared), overlap=repeats.overlap)
        for variant, gain in zip(variants, intervals, strict=True):
            runs = [run for _, one in known for run in one.runs if run.variant == variant]
            over_images = bool(runs) and all(run.learned for run in runs)
            if over_images or (gain.low is not None and gain.low > 0):
                learned.add(variant)
    return frozenset(learned & set(asked))
