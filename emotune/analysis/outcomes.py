"""What became of a data set's runs: which diverged, learned nothing, or are far from the others of their variant.

A mean over seeds does not show that one variant fails in one seed of five.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from emotune.analysis.learning import Learning, RunLearning
from emotune.analysis.max_t import t_tail
from emotune.analysis.metric_table import metric_table
from emotune.analysis.residuals import fit_variant_and_seed, without_constant
from emotune.config.scale import ROUNDING
from emotune.runs.directory import State

__all__ = ["FarRun", "Outcomes", "outcomes"]

FAR_IN_SD = 4.0
"""The distance, in standard deviations of a run, from which on a run is named."""
BY_CHANCE = 0.01
"""The share of studies in which a run may be named by chance."""


@dataclass(frozen=True)
class FarRun:
    """A run that is far from what the other runs of its variant and of its seed let expect.

    Attributes:
        variant: Its variant.
        seed: Its seed.
        value: Its metric.
        distance: The metric less what is expected.
        in_sd: The distance in standard deviations of the other runs, pooled over all variants.
    """

    variant: str
    seed: int
    value: float
    distance: float
    in_sd: float


@dataclass(frozen=True)
class Outcomes:
    """The runs of one data set that diverged, learned nothing, had not finished learning, or are far from the others.

    Attributes:
        dataset: The data set's name.
        diverged: The seeds in which a variant diverged, by variant; only variants that did.
        finished: The number of finished runs by variant, of all that can learn.
        learning: The runs that have learned something; None if no run that can learn has finished.
        improving: The seeds in which a variant still improved when training ended, by variant; only such variants.
        far: The runs that are far from the others.
    """

    dataset: str
    diverged: Mapping[str, Sequence[int]]
    finished: Mapping[str, int]
    learning: Learning | None
    improving: Mapping[str, Sequence[int]]
    far: Sequence[FarRun]

    @property
    def not_learned(self) -> Mapping[str, Sequence[int]]:
        """The seeds in which a variant has not learned, by variant; only such variants."""
        return _seeds_by_variant([(r.variant, r.seed) for r in self._runs if not r.learned])

    @property
    def collapsed(self) -> Mapping[tuple[str, str], Sequence[int]]:
        """The seeds in which a variant gives one answer to nearly all images, by variant and answer."""
        return _seeds_by_variant([((r.variant, r.answer), r.seed) for r in self._runs if r.answer is not None])

    @property
    def _runs(self) -> Sequence[RunLearning]:
        """The runs variant by variant, in the study's order."""
        runs, order = self.learning.runs if self.learning else (), list(self.finished)
        return sorted(runs, key=lambda run: order.index(run.variant) if run.variant in order else len(order))


def outcomes(
    rows: Sequence[Mapping[str, Any]], dataset: str, seeds: int, column: str, learning: Learning | None = None,
    improving: Collection[str] = (), unable: Collection[str] = (),
) -> Outcomes:  # fmt: skip
    """The outcomes of a data set's runs.

    Args:
        rows: All runs, A/A included, with ``run``, ``variant``, ``dataset``, ``seed`` and ``state``; finished ones also
            have the metric.
        dataset: The data set's name.
        seeds: The study's number of seeds.
        column: The column of the study's metric.
        learning: The variants and runs that have learned something.
        improving: The ids of the runs that still improved (`emotune.analysis.still_improving`).
        unable: The variants that cannot learn, such as class frequencies.
    """
    here = [row for row in rows if row["dataset"] == dataset and row["seed"] < seeds]
    order = list(dict.fromkeys(row["variant"] for row in here))  # the study's: those of its first seed come first
    here = sorted(here, key=lambda row: order.index(row["variant"]))
    done = [row for row in here if row["state"] == State.DONE and row["variant"] not in unable]
    variants = dict.fromkeys(row["variant"] for row in done)
    diverged = [row for row in here if row["state"] == State.DIVERGED]
    return Outcomes(
        dataset=dataset,
        diverged=_seeds_by_variant([(row["variant"], row["seed"]) for row in diverged]),
        finished={v: sum(row["variant"] == v for row in done) for v in variants},
        learning=learning,
        improving=_seeds_by_variant([(row["variant"], row["seed"]) for row in done if row["run"] in improving]),
        far=_far_runs(here, dataset, seeds, column),
    )


def _seeds_by_variant(runs: Iterable[tuple[Any, int]]) -> dict[Any, list[int]]:
    found: dict[Any, list[int]] = {}
    for key, seed in runs:
        found.setdefault(key, []).append(seed)
    return {key: sorted(seeds) for key, seeds in found.items()}


def _far_runs(rows: Sequence[Mapping[str, Any]], dataset: str, seeds: int, column: str) -> list[FarRun]:
    """The runs more than `FAR_IN_SD` away, unless so few runs would often have one by chance.

    A run is compared with the fit of *variant + seed* to all other runs, which is computed from its leverage; chance is
    excluded by the t-test of outliers with Bonferroni's correction (Cook and Weisberg 1982, section 2.2).
    """
    table = metric_table(rows, dataset, seeds, column)
    values = without_constant(table.values)
    fit, far = fit_variant_and_seed(values), []
    runs = np.argwhere(np.isfinite(fit.residuals))
    for variant, seed in runs.tolist():
        free = 1 - fit.leverages[variant, seed]
        if free < ROUNDING or fit.df < 2:
            continue
        distance = float(fit.residuals[variant, seed] / free)
        sd = math.sqrt(max(0.0, fit.squares - distance**2 * free) / (fit.df - 1))
        if sd < ROUNDING or abs(distance) <= FAR_IN_SD * sd:
            continue
        if len(runs) * t_tail(distance / sd * math.sqrt(free), fit.df - 1) < BY_CHANCE:
            value = float(values[variant, seed])
            far.append(FarRun(table.variants[variant], seed, value, distance, abs(distance) / sd))
    return far
