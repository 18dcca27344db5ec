"""The report's tables: their rows, and the columns of those that are not about contrasts."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from emotune.analysis.architecture import ArchitectureDifference
from emotune.config.metric import Metric
from emotune.config.scale import Scale
from emotune.core.sample_noun import worded
from emotune.report import phrasing
from emotune.report.columns import Column, Table, amount_text, dataset_column, heading, number_text
from emotune.report.contrast_columns import (
    contrast_columns,
    exploratory_columns,
    image_interval_columns,
    interval_columns,
    mcnemar_columns,
    other_columns,
)
from emotune.report.dataset_info import DatasetInfo
from emotune.report.distribution_report import measure_table
from emotune.report.division_sentences import unit_names
from emotune.report.example_images import Disagreement
from emotune.report.learning_table import learning_table
from emotune.report.rating_table import rating_columns, rating_rows
from emotune.report.results import StudyResults, VariantSummary
from emotune.report.tuning import tuning_table, untuned_table

__all__ = ["disagreement_counts", "excluded_images", "report_tables"]


def report_tables(results: StudyResults, networks: Sequence[ArchitectureDifference]) -> dict[str, Table]:
    """The tables of a study's results by name.

    Args:
        results: The study's results.
        networks: The differences of each variant's network from the baseline's; empty if they are unknown.
    """
    metric, study = results.study.metric, results.study
    variants = [row for one in results.repeats for row in results.repeated_summaries(one)]
    several = len(results.judged_on) > 1  # a column for the data set
    divided = len(results.datasets) > 1  # a column for the data set, and its division if it has some
    return {
        "contrasts": Table(contrast_columns(metric, several), results.comparisons),
        "learning": learning_table(results.learned_on, several=several),
        "intervals": Table(interval_columns(metric, several), results.comparisons),
        "other_analyses": Table(other_columns(metric, several), results.other_analyses),
        "exploratory": Table(exploratory_columns(metric, several), results.exploratory),
        "ratings": Table(rating_columns(divided), rating_rows(results)),
        "variants": Table(_variant_columns(metric, study.baseline, several, unit_names(results.repeats)), variants),
        "measures": measure_table(results, several=divided),
        "metrics": Table(_metric_columns(metric, several), [row for row in variants if row.means]),
        "image_intervals": Table(image_interval_columns(metric, several), results.image_bootstraps),
        "mcnemar": Table(mcnemar_columns(several), [b for b in results.image_bootstraps if b.mcnemar]),
        "selection_bias": Table(_selection_bias_columns(divided), results.test_selection_bias.to_dict("records")),
        "networks": Table(_network_columns(study.baseline), networks),
        "tuning": tuning_table(results),
        "untuned": untuned_table(results),
        "runs": Table(_run_columns(metric), results.records.runs.to_dict("records")),
    }


def excluded_images(dataset: DatasetInfo) -> Table:
    """The images that were excluded from a data set, by problem and class."""

    def of_class(label: str) -> Callable[[str], str]:
        def cell(problem: str) -> str:
            count = dataset.excluded_of(problem, label)
            return f"{count:,}" if count else "·"

        return cell

    columns = [
        Column("problem", str, "name"),
        Column(worded("images"), lambda problem: f"{dataset.excluded[problem]:,}"),
    ]
    return Table([*columns, *(Column(label, of_class(label)) for label in dataset.classes)], list(dataset.excluded))


def disagreement_counts(rows: Sequence[Disagreement], *, several: bool) -> Table:
    """The number of images that only one side of a contrast classifies correctly in all seeds, both sides in a row.

    Args:
        rows: The first and the second side of each contrast on each data set.
        several: Whether the study has several data sets.
    """
    columns = [
        Column("contrast", lambda sides: str(sides[0].contrast), "name"),
        dataset_column(several, lambda sides: sides[0].dataset),
        Column("correct only with the first", lambda sides: f"{sides[0].count:,}"),
        Column("correct only with the second", lambda sides: f"{sides[1].count:,}"),
    ]
    return Table(columns, list(zip(rows[::2], rows[1::2], strict=True)))


def _variant_columns(metric: Metric, baseline: str, several: bool, by: str) -> list[Column]:
    scale = metric.scale

    def name(row: VariantSummary) -> str:
        return f"{row.variant} (baseline)" if row.variant == baseline else row.variant

    def seeds(row: VariantSummary) -> str:
        return " · ".join(phrasing.DASH if value is None else scale.format(value) for value in row.by_seed.values())

    def cost(column: str, template: str) -> Callable[[VariantSummary], str]:
        return lambda row: number_text(row.means.get(column), template)

    def flops(row: VariantSummary) -> str:
        return number_text(row.means.get("forward_flops", float("nan")) / 1e9, "{:.3g}")

    return [
        Column("variant", name, "name"),
        dataset_column(several),
        Column(f"by {by}{', ' + scale.unit if scale.unit else ''}", seeds, "seeds", ("html", "md")),
        Column("mean (95 % t interval)", lambda row: phrasing.mean_and_interval(row.summary, scale, briefly=True),
               formats=("html",)),
        Column("mean (95 % t interval)", lambda row: phrasing.mean_and_interval(row.summary, scale),
               formats=("md", "tex"), tex_title=r"mean (95\,\% $t$ interval)"),
        Column("sd", lambda row: number_text(row.summary.sd, f"{{:.{scale.decimals + 1}f}}")),
        Column("n", lambda row: str(row.summary.n), tex_title="$n$"),
        Column("parameters", cost("parameters", "{:,.0f}")),
        Column(worded("GFLOPs per image"), flops),
        Column("training, s", lambda row: amount_text(row.means.get("train_s")), formats=("html", "md")),
    ]  # fmt: skip


def _metric_columns(metric: Metric, several: bool) -> list[Column]:
    def value(name: str, scale: Scale) -> Callable[[VariantSummary], str]:
        return lambda row: scale.format(row.means[name])

    return [
        Column("variant", lambda row: row.variant, "name"),
        dataset_column(several),
        *(Column(heading(scale), value(name, scale)) for name, scale in metric.scales.items()),
    ]


def _selection_bias_columns(several: bool) -> list[Column]:
    return [
        Column("variant", lambda row: row["variant"], "name"),
        dataset_column(several, lambda row: row["dataset"]),
        Column("n", lambda row: str(row["n"])),
        Column("selected epoch, %", lambda row: number_text(row["accuracy"], "{:.1f}")),
        Column("best test epoch, %", lambda row: number_text(row["best_test_accuracy"], "{:.1f}")),
        Column("inflation, points", lambda row: number_text(row["inflation"], "{:+.1f}")),
    ]


def _network_columns(baseline: str) -> list[Column]:
    def beside(number: str, more: str, row: ArchitectureDifference) -> str:
        return number if row.variant == baseline else f"{number} ({more})"

    def options(row: ArchitectureDifference) -> str:
        return "baseline" if row.variant == baseline else "; ".join(row.settings)

    return [
        Column("variant", lambda row: row.variant, "name"),
        Column("changed options", options, "text"),
        Column("parameters", lambda row: beside(row.parameters, row.more_parameters, row)),
        Column(worded("FLOPs per image"), lambda row: beside(row.flops, row.more_flops, row)),
    ]


def _run_columns(metric: Metric) -> list[Column]:
    def value(name: str, scale: Scale) -> Callable[[Mapping[str, Any]], str]:
        return lambda run: number_text(run[name], f"{{:.{scale.decimals}f}}")

    return [
        Column("run", lambda run: run["run"], "id"),
        Column("variant", lambda run: run["variant"], "name"),
        Column("state", lambda run: run["state"], "text"),
        Column("seed", lambda run: str(run["seed"])),
        *(Column(heading(scale), value(name, scale)) for name, scale in metric.scales.items()),
        Column("training, s", lambda run: amount_text(run["train_s"])),
    ]
