"""Counts a data set's runs that diverged or learned nothing, and finds those far from the others of their variant.

A mean over seeds does not show that one variant fails in one seed of five.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from emotune.analysis.max_t import t_tail
from emotune.analysis.metric_table import metric_table
from emotune.analysis.residuals import fit_variant_and_seed, without_constant
from emotune.analysis.verdict import ALPHA
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
    """The runs of one data set that diverged, learned nothing, or are far from the others.

    Attributes:
        dataset: The data set's name.
        diverged: The seeds in which a variant diverged, by variant; only variants that did.
        finished: The number of finished runs by variant, of all that could learn.
        not_learned: The seeds in which a variant is not shown to be better than always answering the most frequent
            class, by variant; only variants with such a seed.
        most_frequent: The accuracy of that answer on the test images, in per cent; NaN if it is unknown.
        far: The runs that are far from the others.
    """

    dataset: str
    diverged: Mapping[str, Sequence[int]]
    finished: Mapping[str, int]
    not_learned: Mapping[str, Sequence[int]]
    most_frequent: float
    far: Sequence[FarRun]


def outcomes(
    rows: Sequence[Mapping[str, Any]], dataset: str, seeds: int, column: str, most_frequent: float,
    unable: Collection[str] = (),
) -> Outcomes:  # fmt: skip
    """The runs of a data set that diverged, learned nothing, or are far from the others.

    Args:
        rows: All runs, A/A included, with ``variant``, ``dataset``, ``seed`` and ``state``; finished ones also have the
            metric, ``accuracy`` in per cent and ``test_images``.
        dataset: The data set's name.
        seeds: The study's number of seeds.
        column: The column of the study's metric.
        most_frequent: The share of the most frequent class among the test images, in per cent; NaN: it is unknown.
        unable: The variants that cannot learn, such as class frequencies.
    """
    here = [row for row in rows if row["dataset"] == dataset and row["seed"] < seeds]
    done = [row for row in here if row["state"] == State.DONE and row["variant"] not in unable]
    variants = dict.fromkeys(row["variant"] for row in done)
    failures = [row for row in done if not _has_learned(row, most_frequent)]
    return Outcomes(
        dataset=dataset,
        diverged=_seeds_by_variant([row for row in here if row["state"] == State.DIVERGED]),
        finished={v: sum(row["variant"] == v for row in done) for v in variants},
        not_learned=_seeds_by_variant(failures) if not math.isnan(most_frequent) else {},
        most_frequent=most_frequent,
        far=_far_runs(here, dataset, seeds, column),
    )


def _seeds_by_variant(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for row in rows:
        found.setdefault(row["variant"], []).append(row["seed"])
    return {variant: sorted(seeds) for variant, seeds in found.items()}


def _has_learned(row: Mapping[str, Any], most_frequent: float) -> bool:
    """Whether the accuracy is above that of the most frequent class, by a one-sided exact binomial test at 5 %."""
    images = int(row["test_images"])
    correct = round(images * row["accuracy"] / 100)
    return bool(special.bdtrc(correct - 1, images, most_frequent / 100) < ALPHA) if correct else False


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
