"""The report's tables: each column is described once, for HTML, Markdown and LaTeX."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from emotune.analysis.architecture import ArchitectureDifference
from emotune.analysis.images import ImageBootstrap
from emotune.analysis.seeds import Comparison
from emotune.analysis.sensitivity import OtherAnalyses
from emotune.config.metric import Metric
from emotune.config.scale import Scale
from emotune.report import phrasing
from emotune.report.dataset_info import DatasetInfo
from emotune.report.example_images import Disagreement
from emotune.report.results import StudyResults, VariantSummary

__all__ = ["Column", "Table", "dataset_column", "disagreement_counts", "excluded_images", "report_tables"]

Format = Literal["html", "md", "tex"]
EVERYWHERE: tuple[Format, ...] = ("html", "md", "tex")
CSS = {"number": "n", "name": "name", "id": "id", "seeds": "seeds", "text": ""}


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: The heading.
        cell: The function that gives a row's text in this column.
        kind: The kind of text, which decides about alignment and line breaks.
        formats: The formats whose tables have this column.
        tex_title: The heading in LaTeX, if it is another one.
    """

    title: str
    cell: Callable[[Any], str]
    kind: Literal["number", "name", "id", "seeds", "text"] = "number"
    formats: tuple[Format, ...] = EVERYWHERE
    tex_title: str = ""

    @property
    def css(self) -> str:
        """The CSS class of the column's cells."""
        return CSS[self.kind]


@dataclass(frozen=True)
class Table:
    """Rows of any type and the columns that turn them into text."""

    columns: Sequence[Column]
    rows: Sequence[Any]

    def columns_in(self, file_format: Format) -> list[Column]:
        """The columns that one format shows."""
        return [column for column in self.columns if file_format in column.formats]


def report_tables(results: StudyResults, networks: Sequence[ArchitectureDifference]) -> dict[str, Table]:
    """The tables of a study's results by name.

    Args:
        results: The study's results.
        networks: The differences of each variant's network from the baseline's; empty if they are unknown.
    """
    metric, study = results.study.metric, results.study
    variants = [row for dataset in results.datasets for row in results.variant_summaries(dataset)]
    several = len(results.datasets) > 1
    return {
        "contrasts": Table(_contrast_columns(metric, several), results.comparisons),
        "intervals": Table(_interval_columns(metric, several), results.comparisons),
        "other_analyses": Table(_other_columns(metric, several), results.other_analyses),
        "exploratory": Table(_exploratory_columns(metric, several), results.exploratory),
        "variants": Table(_variant_columns(metric, study.baseline, several), variants),
        "metrics": Table(_metric_columns(metric, several), [row for row in variants if row.means]),
        "image_intervals": Table(_image_interval_columns(metric, several), results.image_bootstraps),
        "mcnemar": Table(_mcnemar_columns(several), [b for b in results.image_bootstraps if b.mcnemar]),
        "selection_bias": Table(_selection_bias_columns(several), results.test_selection_bias.to_dict("records")),
        "networks": Table(_network_columns(study.baseline), networks),
        "runs": Table(_run_columns(metric), results.records.runs.to_dict("records")),
    }


def excluded_images(dataset: DatasetInfo) -> Table:
    """The images that were excluded from a data set, by problem and class."""

    def of_class(label: str) -> Callable[[str], str]:
        def cell(problem: str) -> str:
            count = dataset.excluded_of(problem, label)
            return f"{count:,}" if count else "·"

        return cell

    columns = [Column("problem", str, "name"), Column("images", lambda problem: f"{dataset.excluded[problem]:,}")]
    return Table([*columns, *(Column(label, of_class(label)) for label in dataset.classes)], list(dataset.excluded))


def disagreement_counts(rows: Sequence[Disagreement], *, several: bool) -> Table:
    """The number of images that only one side of a contrast classifies correctly in all seeds.

    Args:
        rows: One row per contrast, data set and side.
        several: Whether the study has several data sets.
    """
    columns = [
        Column("contrast", lambda row: str(row.contrast), "name"),
        dataset_column(several),
        Column("correct only with", lambda row: row.correct, "name"),
        Column("images", lambda row: f"{row.count:,}"),
    ]
    return Table(columns, rows)


def dataset_column(several: bool, of: Callable[[Any], str] = lambda row: row.dataset) -> Column:
    """The data set's name; the page shows it only if the study has several data sets."""
    return Column("data", of, "name", EVERYWHERE if several else ("md", "tex"))


def _contrast_columns(metric: Metric, several: bool) -> list[Column]:
    return [
        Column("contrast", lambda c: str(c.contrast), "name"),
        dataset_column(several),
        *_difference_columns(metric, "joint 95 % interval"),
        Column("p, adjusted", lambda c: _p(c.p), tex_title="$p$, adjusted"),
        Column("verdict", phrasing.verdict_in_words, "text"),
    ]


def _interval_columns(metric: Metric, several: bool) -> list[Column]:
    """What the joint interval of each contrast is made of."""
    digits = f"{{:.{metric.scale.decimals + 1}f}}"
    return [
        Column("contrast", lambda c: str(c.contrast), "name"),
        dataset_column(several),
        Column("n", lambda c: str(c.joint.n)),
        Column("sd, own seeds", lambda c: _number(c.joint.own_sd, digits)),
        Column("sd, all others", lambda c: _number(c.joint.rest_sd, digits)),
        Column("moderated sd", lambda c: _number(c.joint.sd, digits)),
        Column("df", lambda c: phrasing.DASH if c.joint.df is None else str(c.joint.df)),
        Column("quantile", lambda c: _number(c.joint.quantile, "{:.3f}")),
    ]


def _other_columns(metric: Metric, several: bool) -> list[Column]:
    """The other analyses of each contrast."""

    def paired(other: OtherAnalyses) -> str:
        return phrasing.interval(other.comparison.paired, metric)

    def pooled(other: OtherAnalyses) -> str:
        return phrasing.ends(other.pooled, metric)

    return [
        Column("contrast", lambda other: str(other.comparison.contrast), "name"),
        dataset_column(several, lambda other: other.comparison.dataset),
        Column("95 % t interval, own seeds", paired),
        Column("t test, p (Holm)", lambda other: _p(other.p_holm)),
        Column("sign flips, p (Holm)", lambda other: _p(other.p_sign_flip_holm)),
        Column("TOST, p (Holm)", lambda other: _p(other.p_equivalence_holm)),
        Column("verdict of these", lambda other: str(other.paired_verdict), "text"),
        Column("joint 95 % interval, fully pooled", pooled),
        Column("verdict of it", lambda other: str(other.pooled_verdict), "text"),
    ]


def _exploratory_columns(metric: Metric, several: bool) -> list[Column]:
    return [
        Column("contrast", lambda c: str(c.contrast), "name"),
        dataset_column(several),
        *_difference_columns(metric, "95 % interval, uncorrected"),
        Column("p, uncorrected", lambda c: _p(c.p)),
    ]


def _difference_columns(metric: Metric, kind: str) -> list[Column]:
    def mean(comparison: Comparison) -> str:
        return metric.format_signed(comparison.summary.mean)

    return [
        Column("n", lambda c: str(c.summary.n), tex_title="$n$"),
        Column("mean difference", mean),
        Column(kind, lambda c: phrasing.interval(c.summary, metric), tex_title=kind.replace("95 %", r"95\,\%")),
    ]


def _variant_columns(metric: Metric, baseline: str, several: bool) -> list[Column]:
    scale = metric.scale

    def name(row: VariantSummary) -> str:
        return f"{row.variant} (baseline)" if row.variant == baseline else row.variant

    def seeds(row: VariantSummary) -> str:
        return " · ".join(phrasing.DASH if value is None else scale.format(value) for value in row.by_seed.values())

    def cost(column: str, template: str) -> Callable[[VariantSummary], str]:
        return lambda row: _number(row.means.get(column), template)

    def flops(row: VariantSummary) -> str:
        return _number(row.means.get("forward_flops", float("nan")) / 1e9, "{:.3g}")

    return [
        Column("variant", name, "name"),
        dataset_column(several),
        Column(f"by seed{', ' + scale.unit if scale.unit else ''}", seeds, "seeds", ("html", "md")),
        Column("mean (95 % t interval)", lambda row: phrasing.mean_and_interval(row.summary, scale),
               tex_title=r"mean (95\,\% $t$ interval)"),
        Column("sd", lambda row: _number(row.summary.sd, f"{{:.{scale.decimals + 1}f}}")),
        Column("n", lambda row: str(row.summary.n), tex_title="$n$"),
        Column("parameters", cost("parameters", "{:,.0f}")),
        Column("GFLOPs per image", flops),
        Column("training, s", lambda row: _amount(row.means.get("train_s")), formats=("html", "md")),
        Column("images/s", cost("images_per_s", "{:.0f}"), formats=("html",)),
    ]  # fmt: skip


def _metric_columns(metric: Metric, several: bool) -> list[Column]:
    def value(name: str, scale: Scale) -> Callable[[VariantSummary], str]:
        return lambda row: scale.format(row.means[name])

    return [
        Column("variant", lambda row: row.variant, "name"),
        dataset_column(several),
        *(Column(_heading(scale), value(name, scale)) for name, scale in metric.scales.items()),
    ]


def _image_interval_columns(metric: Metric, several: bool) -> list[Column]:
    def between(low: float | None, high: float | None) -> str:
        return "none" if low is None or high is None else f"{metric.format_signed(low)} to {metric.format_signed(high)}"

    def images(row: ImageBootstrap) -> str:
        return f"{row.images:,} ({row.groups:,})"

    return [
        Column("contrast", lambda row: str(row.contrast), "name"),
        dataset_column(several),
        Column("seeds", lambda row: str(len(row.seeds)), formats=("html",)),
        Column("images (groups)", images),
        Column("mean difference", lambda row: metric.format_signed(row.mean)),
        Column("other images, same networks", lambda row: between(row.low, row.high)),
        Column("other seeds and other images", lambda row: between(row.crossed_low, row.crossed_high)),
    ]


def _mcnemar_columns(several: bool) -> list[Column]:
    def seeds(row: ImageBootstrap) -> str:
        return " · ".join(f"{m.only_variant} : {m.only_reference} ({_p(m.p)})" for m in row.mcnemar.values())

    return [
        Column("contrast", lambda row: str(row.contrast), "name"),
        dataset_column(several),
        Column("by seed", seeds, "seeds"),
    ]


def _selection_bias_columns(several: bool) -> list[Column]:
    return [
        Column("variant", lambda row: row["variant"], "name"),
        dataset_column(several, lambda row: row["dataset"]),
        Column("n", lambda row: str(row["n"])),
        Column("selected epoch, %", lambda row: _number(row["accuracy"], "{:.1f}")),
        Column("best test epoch, %", lambda row: _number(row["best_test_accuracy"], "{:.1f}")),
        Column("inflation, points", lambda row: _number(row["inflation"], "{:+.1f}")),
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
        Column("FLOPs per image", lambda row: beside(row.flops, row.more_flops, row)),
    ]


def _run_columns(metric: Metric) -> list[Column]:
    def value(name: str, scale: Scale) -> Callable[[Mapping[str, Any]], str]:
        return lambda run: _number(run[name], f"{{:.{scale.decimals}f}}")

    return [
        Column("run", lambda run: run["run"], "id"),
        Column("variant", lambda run: run["variant"], "name"),
        Column("state", lambda run: run["state"], "text"),
        Column("seed", lambda run: str(run["seed"])),
        *(Column(_heading(scale), value(name, scale)) for name, scale in metric.scales.items()),
        Column("training, s", lambda run: _amount(run["train_s"])),
    ]


def _heading(scale: Scale) -> str:
    return f"{scale.short}, {scale.unit}" if scale.unit else scale.short


def _p(p: float | None) -> str:
    return phrasing.DASH if p is None else phrasing.p_value(p).removeprefix("= ")


def _number(value: float | None, template: str) -> str:
    return phrasing.DASH if value is None or pd.isna(value) else template.format(value)


def _amount(value: float | None) -> str:
    """Three significant digits, and no fractions from a hundred upwards."""
    return _number(value, "{:,.0f}" if value is not None and value >= 100 else "{:.3g}")
