"""The results of a study, computed once from its runs: the source of every number, table and figure of the report."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import pandas as pd

from emotune.analysis import diagnostics
from emotune.analysis.across_datasets import AcrossDatasets, across_datasets
from emotune.analysis.divisions import Repeats, division_rows, estimate_on_all, judge_on_all
from emotune.analysis.images import ImageBootstrap, bootstrap_over_images, complete_seeds
from emotune.analysis.learning import Learning, unable_to_learn, with_learning
from emotune.analysis.load import Records, load_records
from emotune.analysis.looks import DatasetLooks
from emotune.analysis.outcomes import Outcomes, outcomes
from emotune.analysis.residuals import PooledSpread, pooled_spread
from emotune.analysis.seeds import Comparison, Summary, summarise
from emotune.analysis.sensitivity import OtherAnalyses, other_analyses
from emotune.analysis.still_improving import still_improving
from emotune.analysis.transfer import Transfer, compute_transfer
from emotune.analysis.tuning import TuningStage, with_edges
from emotune.analysis.verdict import Verdict
from emotune.config.contrast import Contrast
from emotune.config.input_spec import InputSpec
from emotune.config.other_data import TransferTest
from emotune.config.study import Study
from emotune.report.judgement import judged_contrasts, study_repeats, untuned_contrasts
from emotune.runs.declarations import (
    Declaration,
    DeclaredContrast,
    current_declaration,
    dropped_contrasts,
    late_declarations,
    read_declarations,
)
from emotune.runs.directory import State
from emotune.runs.store import RunStates

__all__ = ["StudyResults", "VariantSummary", "compute_results"]

Frames = Mapping[str, Mapping[int, pd.DataFrame]]
"""Predictions by variant and seed."""
COSTS = ("parameters", "forward_flops", "train_s")
"""Columns of ``runs.csv`` that say what a run costs."""


@dataclass(frozen=True)
class VariantSummary:
    """A variant's finished runs on one data set.

    Attributes:
        variant: The variant's name.
        dataset: The data set's name.
        by_seed: The study's metric by seed, None for a seed whose run has not finished; on a divided data set by
            division, in each the mean over its finished seeds.
        summary: The mean of the metric over these, with its interval.
        means: The mean over them of every metric and cost, by column of ``runs.csv``; empty without finished runs.
    """

    variant: str
    dataset: str
    by_seed: Mapping[int, float | None]
    summary: Summary
    means: Mapping[str, float]


@dataclass(frozen=True)
class StudyResults:
    """The results of a study, from which the whole report is written.

    Attributes:
        study: The study.
        datasets: The names of its data sets, in the study's order; each division of a data set is one.
        repeats: The repeats on each data set, seeds or divisions; contrasts are judged on these data sets.
        records: The tables of its runs.
        inputs: How the network of each variant sees images.
        predictions: The predictions of the finished runs by data set, variant and seed; variants without finished runs
            are absent.
        looks: The looks that adaptive seeds have reached on each data set; empty for a fixed number of seeds.
        comparisons: The declared contrasts on every data set; on a divided one, over its divisions.
        other_analyses: The declared contrasts in other analyses, in the same order.
        declared_first: The study's first declaration of what it declares now; None: it is not written.
        dropped: The contrasts that were declared earlier and left out when results were there.
        learning: The variants and runs that have learned, by data set; data sets without finished runs are absent.
        learned_on: The same for the data sets on which contrasts are judged: of a divided one over its divisions.
        outcomes: The runs that diverged, learned nothing, or are far from the others, for each data set.
        exploratory: The undeclared differences: every other variant less the baseline, and less other references.
        without_aa: The declared contrasts as they would be judged if the A/A runs were no part of the spread; empty
            without A/A, and for adaptive seeds.
        noise_floor: The A/A comparison by data set: the baseline against itself under other initial weights and dropout
            masks; empty if the study has no A/A variant.
        image_bootstraps: The declared contrasts with their uncertainty over test images, on data sets that are not
            divided: other divisions test other images. Empty for a metric of the user's own, whose function would have
            to be executed for every draw.
        across_datasets: The declared contrasts over several data sets.
        test_selection_bias: The accuracy that selecting the best test epoch would have added, by variant and data set,
            for runs that were tested after each epoch.
        disagreements: The images that one variant of a difference (declared or A/A) classifies correctly and the other
            wrongly in all seeds, by data set and contrast.
        pooled_spreads: The standard deviation of a seed difference, pooled over all variants and A/A, by data set; data
            sets with too few finished runs are absent, and divided ones.
        transfer: The finished runs on other data sets; None if the study names none.
        tuning: The tuning that chose the options of the runs; None if the study tunes nothing.
        untuned: The declared contrasts with the options that the study declares, if all of these runs are there, too.
    """

    study: Study
    datasets: tuple[str, ...]
    repeats: tuple[Repeats, ...]
    records: Records
    inputs: Mapping[str, InputSpec]
    predictions: Mapping[str, Frames]
    looks: Sequence[DatasetLooks]
    comparisons: Sequence[Comparison]
    other_analyses: Sequence[OtherAnalyses]
    declared_first: Declaration | None
    dropped: Sequence[DeclaredContrast]
    learning: Mapping[str, Learning]
    learned_on: Mapping[str, Learning]
    outcomes: Sequence[Outcomes]
    exploratory: Sequence[Comparison]
    without_aa: Sequence[Comparison]
    noise_floor: Mapping[str, Comparison]
    image_bootstraps: Sequence[ImageBootstrap]
    across_datasets: Sequence[AcrossDatasets]
    test_selection_bias: pd.DataFrame
    disagreements: Mapping[str, Mapping[Contrast, pd.DataFrame]]
    pooled_spreads: Mapping[str, PooledSpread]
    transfer: Transfer | None = None
    tuning: TuningStage | None = None
    untuned: Sequence[Comparison] = ()

    @property
    def judged_on(self) -> tuple[str, ...]:
        """The names of the data sets on which contrasts are judged: all divisions of one are a single one."""
        return tuple(one.dataset for one in self.repeats)

    @property
    def without_metric(self) -> int:
        """The number of finished runs for which the user's own metric has not been computed."""
        return int(self.records.done()[self.study.metric.column].isna().sum()) if self.study.metric.code else 0

    def done(self, dataset: str) -> pd.DataFrame:
        """The rows of a data set's finished runs, without those of the A/A variant."""
        done = self.records.done()
        return done[(done["dataset"] == dataset) & done["variant"].isin(list(self.study.variants))]

    def summaries(self, dataset: str) -> dict[str, Summary]:
        """The study's metric of each variant: mean and interval over seeds."""
        done = self.done(dataset)
        values = {
            variant: done.loc[done["variant"] == variant, self.study.metric.column] for variant in self.study.variants
        }
        bounds = self.study.metric.scale.bounds
        return {variant: summarise(column.dropna().tolist(), bounds) for variant, column in values.items()}

    def variant_summaries(self, dataset: str) -> list[VariantSummary]:
        """Each variant's results and costs on one data set, in the study's order."""
        done, summaries = self.done(dataset), self.summaries(dataset)
        rows = []
        for variant in self.study.variants:
            runs = done[done["variant"] == variant]
            values = dict(zip(runs["seed"], runs[self.study.metric.column], strict=True))
            columns = runs[[*self.study.metric.scales, *COSTS]].astype(float)
            means = {} if runs.empty else {str(name): float(mean) for name, mean in columns.mean().items()}
            planned = int(((runs := self.records.runs)["variant"] == variant).mul(runs["dataset"] == dataset).sum())
            by_seed = {seed: values.get(seed) for seed in range(planned)}
            rows.append(VariantSummary(variant, dataset, by_seed, summaries[variant], means))
        return rows

    def repeated_summaries(self, repeats: Repeats) -> list[VariantSummary]:
        """Each variant's results on what repeats on a data set: by seed, or by division the mean over its seeds."""
        if not repeats.is_divided:
            return self.variant_summaries(repeats.dataset)
        column, bounds = self.study.metric.column, self.study.metric.scale.bounds
        rows = []
        for by_division in zip(*(self.variant_summaries(name) for name in repeats.names), strict=True):
            values = {number: row.means.get(column) for number, row in enumerate(by_division)}
            finite = [value for value in values.values() if value is not None and not math.isnan(value)]
            columns = pd.DataFrame([row.means for row in by_division if row.means])
            rows.append(VariantSummary(
                by_division[0].variant, repeats.dataset, values, summarise(finite, bounds, repeats.overlap),
                {str(name): float(mean) for name, mean in columns.mean().items()},
            ))  # fmt: skip
        return rows


def compute_results(
    study: Study, states: RunStates, tests: Sequence[TransferTest] = (), tuning: TuningStage | None = None
) -> StudyResults:
    """Reads a study's runs and computes everything that its report shows.

    Args:
        study: The study.
        states: Its runs, and what their store has of them.
        tests: Its tests on other data sets.
        tuning: The tuning that chose their options; None if the study tunes nothing.

    Raises:
        InputError: the store cannot be reached.
    """
    records = load_records(states, study.metric)
    datasets = tuple(dict.fromkeys(run.dataset.name for run in states.runs))
    rows = cast("list[dict[str, Any]]", records.runs.to_dict("records"))  # column names are strings
    repeats = study_repeats(study, states, records)
    divided = [row for one in repeats if one.is_divided for row in division_rows(rows, one, study.metric.column)]
    undivided = {one.dataset for one in repeats if not one.is_divided}
    done = [row for row in rows if row["state"] == State.DONE]
    judging = study.contrasts, repeats, study.metric
    learned, looks, learned_on, judged = judged_contrasts(study, records, rows, repeats)
    names = {name: one.learned for name, one in learned_on.items()}
    judged = with_edges(judged, tuning, {one.dataset: one.names for one in repeats})
    declared = current_declaration(study, states)
    written = read_declarations(states.store, study.name)
    comparisons = [_with_lateness(c, written, declared) for c in judged]
    others = [row for row in rows if row["variant"] != study.aa]
    without_aa = judge_on_all(others, *judging) if study.aa and not looks else []
    aa = [Contrast.difference(str(study.aa), study.baseline)] if study.aa else []
    aa_comparisons = estimate_on_all(rows, aa, repeats, study.metric)
    predictions = {
        dataset: {v: frames for v in study.variants if (frames := records.predictions_of(v, dataset))}
        for dataset in datasets
    }
    return StudyResults(
        study=study, datasets=datasets, repeats=tuple(repeats), records=records, looks=looks,
        declared_first=next((one for one in written if one.digest == declared.digest), None),
        dropped=dropped_contrasts(written, declared),
        inputs={run.variant: run.input for run in states.runs}, predictions=predictions, comparisons=comparisons,
        other_analyses=other_analyses(comparisons, [*rows, *divided], study.metric),
        learning=learned, learned_on=learned_on,
        outcomes=_outcomes(records, rows, study, datasets, learned),
        exploratory=estimate_on_all(rows, _undeclared_contrasts(study), repeats, study.metric),
        without_aa=with_learning(without_aa, names),
        noise_floor={c.dataset: c for c in aa_comparisons if c.summary.n},
        image_bootstraps=[
            bootstrap for dataset, frames in predictions.items() if dataset in undivided and not study.metric.code
            for bootstrap in bootstrap_over_images(study.contrasts, dataset, frames, study.metric)
        ],
        across_datasets=across_datasets(comparisons),
        test_selection_bias=diagnostics.selection_bias(records.done().query("variant in @study.variants")),
        disagreements={
            d: _disagreements(records, d, [*study.contrasts, *aa]) for d in datasets if d not in records.dimensions
        },
        pooled_spreads={
            dataset: spread for dataset in datasets if dataset in undivided
            if (spread := pooled_spread(done, dataset, study.metric.column)) is not None
        },
        transfer=compute_transfer(study, states, tests, records, repeats, comparisons),
        tuning=tuning, untuned=untuned_contrasts(study, tuning, states),
    )  # fmt: skip


def _outcomes(
    records: Records, rows: Sequence[Mapping[str, Any]], study: Study, datasets: Sequence[str],
    learned: Mapping[str, Learning],
) -> list[Outcomes]:  # fmt: skip
    """The outcomes of the runs on each data set."""
    improving, column, unable = still_improving(records.curves), study.metric.column, unable_to_learn(study)
    return [outcomes(rows, d, study.seeds, column, learned.get(d), improving, unable) for d in datasets]


def _with_lateness(c: Comparison, written: Sequence[Declaration], now: Declaration) -> Comparison:
    """The comparison with what of its judgement was declared when results were there."""
    own = next(one for one in now.contrasts if (one.name, one.dataset) == (str(c.contrast), c.dataset))
    late = late_declarations(written, now, own, equivalent=c.verdict is Verdict.EQUIVALENT)
    return replace(c, late=late)


def _undeclared_contrasts(study: Study) -> list[Contrast]:
    """Every other variant against the baseline and the other references, unless the study declares that contrast."""
    seen = {frozenset(c.pair) for c in study.contrasts if c.pair}
    found = []
    for reference in (study.baseline, *study.references):
        for variant in study.variants:
            pair = frozenset((variant, reference))
            if len(pair) > 1 and pair not in seen:
                seen.add(pair)
                found.append(Contrast.difference(variant, reference))
    return found


def _disagreements(records: Records, dataset: str, contrasts: Sequence[Contrast]) -> dict[Contrast, pd.DataFrame]:
    """The images classified differently by the two variants of a difference, if two seeds have both: one would show
    mere chance.
    """
    frames = {variant: records.predictions_of(variant, dataset) for c in contrasts for variant in c.pair or ()}
    return {
        contrast: diagnostics.disagreements(*(frames[variant] for variant in contrast.pair))
        for contrast in contrasts
        if contrast.pair and len(complete_seeds(contrast, frames)) > 1
    }
