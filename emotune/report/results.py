"""What a study's runs say, computed once: figures, page, Markdown and LaTeX all take it from here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from emotune.analysis import diagnostics
from emotune.analysis.images import ImageBootstrap, bootstrap_over_images
from emotune.analysis.load import Records, load_records
from emotune.analysis.power import PooledSpread, pooled_spread
from emotune.analysis.seeds import (
    AcrossDatasets,
    Comparison,
    Summary,
    across_datasets,
    compare_contrasts,
    estimate_differences,
    summarise,
)
from emotune.config.run import RunConfig
from emotune.config.study import Contrast, Study
from emotune.runs.directory import State

__all__ = ["StudyResults", "compute_results"]

Frames = Mapping[str, Mapping[int, pd.DataFrame]]
"""Predictions by variant and seed."""


@dataclass(frozen=True)
class StudyResults:
    """The numbers of a report.

    Attributes:
        study: The study.
        datasets: Names, in the study's order.
        records: What the runs left behind.
        predictions: By data set, variant and seed; only of variants that have finished runs.
        comparisons: The declared contrasts on every data set.
        exploratory: Variants against the baseline that were not declared.
        noise_floor: The A/A comparison by data set: the baseline against itself under other initial weights and dropout
            masks; empty if the study has no A/A variant.
        image_bootstraps: The declared contrasts' second uncertainty.
        across_datasets: Declared contrasts over several data sets, as description.
        test_selection_bias: By variant and data set, the accuracy that selecting the best test epoch would have added,
            for runs that were tested after each epoch.
        disagreements: By data set and contrast (declared or A/A), the images that one side classifies correctly
            and the other wrongly in all seeds.
        pooled_spreads: By data set, the standard deviation of a seed difference, pooled over all variants and A/A; data
            sets with too few finished runs are absent.
    """

    study: Study
    datasets: tuple[str, ...]
    records: Records
    predictions: Mapping[str, Frames]
    comparisons: Sequence[Comparison]
    exploratory: Sequence[Comparison]
    noise_floor: Mapping[str, Comparison]
    image_bootstraps: Sequence[ImageBootstrap]
    across_datasets: Sequence[AcrossDatasets]
    test_selection_bias: pd.DataFrame
    disagreements: Mapping[str, Mapping[Contrast, pd.DataFrame]]
    pooled_spreads: Mapping[str, PooledSpread]

    def done(self, dataset: str) -> pd.DataFrame:
        """Rows of a data set's finished runs of the study's own variants."""
        done = self.records.done()
        return done[(done["dataset"] == dataset) & done["variant"].isin(list(self.study.variants))]

    def summaries(self, dataset: str) -> dict[str, Summary]:
        """The study's metric by variant."""
        done = self.done(dataset)
        values = {
            variant: done.loc[done["variant"] == variant, self.study.metric.name] for variant in self.study.variants
        }
        bounds = self.study.metric.scale.bounds
        return {variant: summarise(column.dropna().tolist(), bounds) for variant, column in values.items()}


def compute_results(study: Study, runs: Sequence[RunConfig], pool: str) -> StudyResults:
    """Reads the runs and compares them.

    Args:
        study: The study.
        runs: Its runs.
        pool: Where their directories are.

    Raises:
        InputError: the pool cannot be reached.
    """
    records = load_records(runs, pool)
    datasets = tuple(dict.fromkeys(run.dataset.name for run in runs))
    rows = records.runs.to_dict("records")
    common: tuple[Any, ...] = (datasets, study.seeds, study.metric)
    done = [row for row in rows if row["state"] == State.DONE]
    comparisons = compare_contrasts(rows, study.contrasts, *common)
    aa = [Contrast(study.aa, study.baseline)] if study.aa else []
    floors = estimate_differences(rows, aa, *common)
    predictions = {
        dataset: {v: frames for v in study.variants if (frames := records.predictions_of(v, dataset))}
        for dataset in datasets
    }
    return StudyResults(
        study=study, datasets=datasets, records=records, predictions=predictions, comparisons=comparisons,
        exploratory=estimate_differences(rows, _undeclared_contrasts(study), *common),
        noise_floor={floor.dataset: floor for floor in floors if floor.summary.n},
        image_bootstraps=[
            found for dataset, frames in predictions.items()
            for found in bootstrap_over_images(
                _contrasts_with_pairs(study.contrasts, frames), dataset, frames, study.metric
            )
        ],
        across_datasets=across_datasets(comparisons),
        test_selection_bias=diagnostics.selection_bias(records.done().query("variant in @study.variants")),
        disagreements={
            dataset: _disagreements(
                [*study.contrasts, *aa], frames | {c.variant: records.predictions_of(c.variant, dataset) for c in aa}
            )
            for dataset, frames in predictions.items()
        },
        pooled_spreads={
            dataset: spread for dataset in datasets
            if (spread := pooled_spread(done, dataset, study.metric.name)) is not None
        },
    )  # fmt: skip


def _undeclared_contrasts(study: Study) -> list[Contrast]:
    """Every other variant against the baseline."""
    declared = {side for c in study.contrasts for side in ((c.variant, c.reference), (c.reference, c.variant))}
    return [
        Contrast(variant, study.baseline)
        for variant in study.variants
        if variant != study.baseline and (variant, study.baseline) not in declared
    ]


def _disagreements(contrasts: Sequence[Contrast], frames: Frames) -> dict[Contrast, pd.DataFrame]:
    """Of the contrasts with two complete pairs: what one pair says, chance says too."""
    return {
        c: diagnostics.disagreements(frames[c.variant], frames[c.reference])
        for c in _contrasts_with_pairs(contrasts, frames)
        if len(frames[c.variant].keys() & frames[c.reference].keys()) > 1
    }


def _contrasts_with_pairs(contrasts: Sequence[Contrast], frames: Frames) -> list[Contrast]:
    """Those contrasts that have a seed with both runs."""
    return [c for c in contrasts if frames.get(c.variant, {}).keys() & frames.get(c.reference, {}).keys()]
