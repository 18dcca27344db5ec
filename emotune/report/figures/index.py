"""The list of the report's figures, each with its caption and its text alternative."""

import math
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import combinations

import pandas as pd

from emotune.analysis import diagnostics
from emotune.analysis.interactions import cell_values
from emotune.analysis.seeds import Summary
from emotune.config.head_training import is_head_alone
from emotune.config.input_spec import InputSpec
from emotune.core.sample_noun import worded
from emotune.report import phrasing
from emotune.report.figures import (
    accuracy,
    calibration,
    classes,
    contrasts,
    curves,
    interactions,
    learning,
    tuning,
)
from emotune.report.figures.attended import attention_figures, entropy_figures
from emotune.report.figures.distributions import distribution_figures
from emotune.report.figures.entry import FigureEntry, for_both_widths
from emotune.report.figures.importance import importance_figures
from emotune.report.figures.layout import seed_count_text
from emotune.report.figures.ratings import rating_figures
from emotune.report.figures.style import variant_colours
from emotune.report.figures.transfer import transfer_figures
from emotune.report.results import StudyResults
from emotune.report.task_words import prior_note, words_of

__all__ = ["draw_figures"]


def draw_figures(
    results: StudyResults,
    titles: Mapping[str, str],
    examples: Mapping[str, Mapping[InputSpec, Mapping[str, bytes]]],
) -> Iterator[FigureEntry]:
    """The figures of the report, one at a time; none if no run has finished.

    Args:
        results: The study's results.
        titles: The data sets' titles by name.
        examples: JPEGs of the images to draw attention maps on, by data set, input of the network, and sample id.
    """
    yield from _contrast_figures(results)
    yield from learning.learning_figures(results, titles)
    yield from transfer_figures(results)
    yield from tuning.tuning_figures(results, titles)
    for name, predictions in results.predictions.items():
        if predictions:
            part = _DatasetFigures(results, name, titles[name])
            yield from part.looks()
            yield from part.interactions()
            yield from part.results()
            yield from part.curves()
            yield from part.answers()
            yield from importance_figures(results, name, titles[name])
            yield from attention_figures(results, name, titles[name], examples.get(name, {}))


def _contrast_figures(results: StudyResults) -> Iterator[FigureEntry]:
    metric, shown = results.study.metric, [c for c in results.comparisons if c.summary.n]
    if not shown:
        return
    units = " or ".join(dict.fromkeys(f"{c.unit}s" for c in shown))
    complete = "paired" if all(c.contrast.pair for c in shown) else "complete"
    pairs = seed_count_text((c.summary.n for c in shown), f"{complete} {units}".removesuffix("s"))
    floor = (
        " Noise floor: the baseline against itself, with a 95 % interval of its own; one estimate of the "
        "difference that arises without any change."
    )
    means = "; ".join(f"{c.contrast} on {c.dataset} {metric.format_signed(c.summary.mean)}, {c.verdict}" for c in shown)
    yield for_both_widths(
        "contrasts",
        partial(contrasts.contrast_forest, results.comparisons, metric, results.noise_floor),
        f"Declared contrasts, {pairs}. Dots: {units}. Bars: means with joint 95 % intervals, from which the verdicts "
        "are read. Grey: region of equivalence, "
        f"±{metric.scale.format_amount(metric.min_effect)}."
        f"{floor if results.noise_floor else ''}",
        f"Forest plot of the declared contrasts, differences in {metric.scale.label}: {means}",
    )
    if results.image_bootstraps:
        undivided = [c for c in results.comparisons if c.unit == "seed"]
        yield for_both_widths(
            "uncertainty",
            partial(contrasts.interval_comparison, undivided, results.image_bootstraps, metric),
            f"Declared contrasts, {pairs}: the 95 % intervals of each alone, for other seeds (its own "
            f"seeds only), other test {worded('images')}, and both.",
            worded(
                "Intervals of each declared contrast over seeds, over images, and over both; the tables list the "
                "numbers"
            ),
        )


class _DatasetFigures:
    """The figures of one data set."""

    def __init__(self, results: StudyResults, dataset: str, title: str) -> None:
        self._results, self._dataset, self._title = results, dataset, title
        self._study, self._metric = results.study, results.study.metric
        self._predictions, self._done = results.predictions[dataset], results.done(dataset)
        self._summaries = {v: s for v, s in results.summaries(dataset).items() if s.n}  # an own metric may be missing
        colours = variant_colours(list(self._study.variants))
        self._colours = {variant: colours[variant] for variant in self._predictions}
        self._scope = f"{dataset}, {seed_count_text(map(len, self._predictions.values()))}"

    def looks(self) -> Iterator[FigureEntry]:
        looks = next((one.reached for one in self._results.looks if one.dataset == self._dataset), ())
        if looks:
            yield for_both_widths(
                f"looks-{self._dataset}",
                partial(contrasts.intervals_over_looks, looks, self._metric),
                f"{self._dataset}: means with the joint interval at each look, until the contrast is resolved. All "
                "intervals together cover with 95 % probability. Grey band: region of equivalence.",
                f"Intervals of the declared contrasts on {self._dataset} at each look; the table lists the numbers",
            )

    def interactions(self) -> Iterator[FigureEntry]:
        for one, other in combinations(self._study.factors, 2):
            values = cell_values(self._done, self._study.factors, (one, other), self._metric.column)
            shown = [
                c for c in self._results.comparisons
                if c.dataset == self._dataset and (effect := c.contrast.effect) and set(effect.compared) == {one, other}
            ]  # fmt: skip
            if values.empty or not shown:  # contrasts of a divided data set are not judged in each of its divisions
                continue
            means = values.groupby(["first", "second"], sort=False, as_index=False)["value"].mean()
            cells = zip(means["first"], means["second"], means["value"], strict=True)
            texts = [f"{one} {a}, {other} {b} {self._metric.scale.format(mean)}" for a, b, mean in cells]
            judged = [f"{c.contrast} {self._metric.format_signed(c.summary.mean)}, {c.verdict}" for c in shown]
            yield for_both_widths(
                f"interaction-{one}-{other}-{self._dataset}",
                partial(interactions.interaction_plot, self._title, (one, other), values, shown, self._metric),
                f"{self._dataset}, {seed_count_text([values['seed'].nunique()])}. Lines: means; faint lines are seeds, "
                "without what all variants of a seed share. Where lines are parallel, effects add up. "
                f"{interactions.interval_caption(judged)} Grey: region of equivalence.",
                f"{self._metric.scale.title} on {self._dataset} by {one} and {other}: {'; '.join(texts)}. Interaction: "
                f"{'; '.join(judged)}",
            )

    def results(self) -> Iterator[FigureEntry]:
        if not self._summaries:
            return
        prior = self._results.learning[self._dataset].prior
        constant = prior.metrics.get(self._metric.column, math.nan)
        note = f" {prior_note(prior, phrasing.prior_origin(prior))}"
        scale, scope = self._metric.scale, f"{self._dataset}, {seed_count_text(s.n for s in self._summaries.values())}"
        means = "; ".join(f"{variant} {scale.format(s.mean)}" for variant, s in self._summaries.items())
        shown = self._title, self._done, self._metric, self._summaries, constant, self._colours
        yield for_both_widths(
            f"{self._metric.column}-{self._dataset}",
            partial(accuracy.metric_by_variant, *shown, trivial=words_of(prior).prior),
            f"{scope}, {len(prior.predictions):,} test {worded('images')}. Dots: seeds. Bars: means with 95 % t "
            f"intervals, which must not be compared.{note if not math.isnan(constant) else ''}",
            f"Test {scale.label} of every seed by variant on {self._dataset}; means: {means}",
        )
        costs = _costs(self._done, self._summaries)
        yield for_both_widths(
            f"cost-{self._dataset}",
            partial(accuracy.metric_against_cost, self._title, costs, self._metric, self._colours),
            f"{scope}: means with 95 % t intervals, which must not be compared. {accuracy.cost_notes(costs)}",
            f"Test {scale.label} on {self._dataset} against cost; the table of variants lists the numbers",
        )

    def curves(self) -> Iterator[FigureEntry]:
        epochs = self._results.records.curves
        epochs = epochs[epochs["run"].isin(self._done["run"]) & epochs["variant"].isin(list(self._study.networks))]
        if epochs.empty:
            return
        rated = bool(self._results.records.dimensions.get(self._dataset))
        yield for_both_widths(
            f"curves-{self._dataset}",
            partial(curves.concordance_curves if rated else curves.learning_curves, self._title, epochs, self._colours),
            f"{self._scope}: means with 95 % t intervals; faint lines: seeds. {self._augmentation()}",
            f"{'CCC on' if rated else 'Accuracy on training and'} validation {worded('images')} of {self._dataset} by "
            "epoch, for each variant",
        )
        yield from entropy_figures(self._results, self._dataset, self._title, epochs)

    def _augmentation(self) -> str:
        """A sentence on how training images are seen; those of a head on features in one view always alike."""
        alike = [
            name for name, (model, train) in self._study.variants.items() if is_head_alone(model) and train.views == 1
        ]
        if len(alike) == len(self._study.networks):
            return worded("Training images are seen in their centre crop.")
        exception = f", except those of {', '.join(alike)}" if alike else ""
        return f"Training {worded('images')} are augmented{exception}."

    def answers(self) -> Iterator[FigureEntry]:
        """The figures of what is predicted: classes, distributions, or ratings."""
        shown = self._dataset, self._title, self._predictions
        if dimensions := self._results.records.dimensions.get(self._dataset):
            yield from rating_figures(*shown, dimensions, self._colours)
        else:
            yield from distribution_figures(*shown, self._scope, self._colours)
            yield from self.classes()

    def classes(self) -> Iterator[FigureEntry]:
        baseline = self._study.baseline
        shares = {variant: diagnostics.confusion_shares(frames) for variant, frames in self._predictions.items()}
        if baseline in shares:
            recalls = diagnostics.recalls(self._predictions)
            differences = diagnostics.recall_differences(recalls, baseline)
            yield for_both_widths(
                f"recall-{self._dataset}",
                partial(classes.recall, self._title, recalls, differences, baseline, self._colours),
                f"{self._scope}. Recall of each class, seeds and means, and its difference from {baseline}, "
                "paired by seed, with 95 % t intervals. Exploratory: not corrected for the number of classes.",
                f"Recall of each class by variant on {self._dataset}, and its difference from {baseline}",
            )
        counts = {v: len(frames) for v, frames in self._predictions.items()}
        yield for_both_widths(
            f"confusion-{self._dataset}",
            partial(classes.confusion_matrices, self._title, shares, counts),
            f"{self._scope}. Per cent of each label's test {worded('images')}, over all seeds; each row sums to 100, "
            "and empty cells are below 0.5.",
            f"Confusion matrices on {self._dataset}: {', '.join(shares)}",
        )
        if baseline in shares and len(shares) > 1:
            yield for_both_widths(
                f"confusion-difference-{self._dataset}",
                partial(classes.confusion_differences, self._title, shares, baseline),
                f"{self._scope}. Confusion matrices minus that of {baseline}, in points; empty cells are below 1.",
                f"Confusion matrices on {self._dataset} minus that of {baseline}",
            )
        errors = {str(v): float(mean) for v, mean in self._done.groupby("variant")["ece"].mean()[list(shares)].items()}
        tables = {variant: diagnostics.calibration(frames) for variant, frames in self._predictions.items()}
        error_texts = "; ".join(f"{variant} {error:.1f} points" for variant, error in errors.items())
        yield for_both_widths(
            f"calibration-{self._dataset}",
            partial(calibration.reliability, self._title, tables, self._colours, errors),
            f"{self._scope}. Accuracy by confidence, in bins of 10 points with at least {calibration.FEWEST} "
            "predictions; calibrated networks are on the diagonal. Below: share of predictions, of all bins. ECE: "
            "expected calibration error in points, over 15 bins, mean over seeds.",
            f"Reliability diagrams on {self._dataset}; expected calibration error: {error_texts}",
        )


def _costs(done: pd.DataFrame, summaries: Mapping[str, Summary]) -> pd.DataFrame:
    """Each variant's cost, and the mean of the metric with its interval."""
    rows = [{"variant": v, "mean": s.mean, "low": s.low, "high": s.high} for v, s in summaries.items()]
    costs = done.groupby("variant")[["parameters", "forward_flops", "train_s"]].mean()
    return pd.DataFrame(rows).join(costs, on="variant")
