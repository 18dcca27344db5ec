"""Whether anything was learned on a data set that is divided several times: over its divisions, not in each."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from emotune.analysis.divisions import Repeats
from emotune.analysis.joint_interval import mean_intervals
from emotune.analysis.learning import Learning, mostly_collapsed
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
    its test images has learned, too: the images of several folds are not the same. A variant of which half of the runs
    or more give one answer to nearly all images has not.

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
    runs = [run for _, one in known for run in one.runs]
    variants = list(dict.fromkeys([*asked, *(run.variant for run in runs)]))
    learned = {run.variant for run in runs} - {run.variant for run in runs if not run.learned}  # over test images
    finished: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["state"] == State.DONE:
            finished.setdefault((row["dataset"], row["variant"]), []).append(row)
    for name in compared:
        gains, sign = np.full((len(variants), repeats.number), np.nan), 1 if SCALES[name].higher_is_better else -1
        for number, one in known:
            for index, variant in enumerate(variants):
                if here := finished.get((one.dataset, variant)):
                    gains[index, number] = sign * (np.mean([row[name] for row in here]) - one.prior.metrics[name])
        intervals = mean_intervals(gains, ALPHA / datasets / len(compared), overlap=repeats.overlap)
        learned |= {v for v, gain in zip(variants, intervals, strict=True) if gain.low is not None and gain.low > 0}
    collapsed = {v for v in variants if mostly_collapsed([run for run in runs if run.variant == v])}
    return frozenset(learned & set(asked) - collapsed)
