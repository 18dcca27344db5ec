"""The columns of the tables of contrasts: joint intervals, other analyses, and uncertainty over test images."""

from emotune.analysis.images import ImageBootstrap
from emotune.analysis.seeds import Comparison
from emotune.analysis.sensitivity import OtherAnalyses
from emotune.config.metric import Metric
from emotune.config.scale import Scale
from emotune.core.sample_noun import worded
from emotune.report import phrasing
from emotune.report.columns import Column, dataset_column, number_text, p_text

__all__ = [
    "contrast_columns",
    "exploratory_columns",
    "image_interval_columns",
    "interval_columns",
    "mcnemar_columns",
    "other_columns",
]  # fmt: skip


def contrast_columns(metric: Metric, several: bool) -> list[Column]:
    return [
        Column("contrast", lambda c: str(c.contrast), "name"),
        dataset_column(several),
        *_difference_columns(metric, "joint 95 % interval"),
        Column("p, adjusted", lambda c: p_text(c.p), tex_title="$p$, adjusted"),
        Column("verdict", phrasing.verdict_in_words, "text"),
    ]


def interval_columns(metric: Metric, several: bool) -> list[Column]:
    """The parts from which the joint interval of each contrast is made."""
    digits = f"{{:.{metric.scale.decimals + 1}f}}"
    return [
        Column("contrast", lambda c: str(c.contrast), "name"),
        dataset_column(several),
        Column("n", lambda c: str(c.joint.n)),
        Column("sd, own values", lambda c: number_text(c.joint.own_sd, digits)),
        Column("sd, all others", lambda c: number_text(c.joint.rest_sd, digits)),
        Column("moderated sd", lambda c: number_text(c.joint.sd, digits)),
        Column("df", lambda c: phrasing.DASH if c.joint.df is None else str(c.joint.df)),
        Column("quantile", lambda c: number_text(c.joint.quantile, "{:.3f}")),
    ]


def other_columns(metric: Metric, several: bool) -> list[Column]:
    """The other analyses of each contrast."""

    def paired(other: OtherAnalyses) -> str:
        return metric.format_interval(other.comparison.paired.interval)

    def pooled(other: OtherAnalyses) -> str:
        return metric.format_interval(other.pooled)

    return [
        Column("contrast", lambda other: str(other.comparison.contrast), "name"),
        dataset_column(several, lambda other: other.comparison.dataset),
        Column("95 % t interval, own values", paired),
        Column("t test, p (Holm)", lambda other: p_text(other.p_holm)),
        Column("sign flips, p (Holm)", lambda other: p_text(other.p_sign_flip_holm)),
        Column("TOST, p (Holm)", lambda other: p_text(other.p_equivalence_holm)),
        Column("verdict of these", lambda other: str(other.paired_verdict), "text"),
        Column("joint 95 % interval, fully pooled", pooled),
        Column("verdict of it", lambda other: str(other.pooled_verdict), "text"),
    ]


def exploratory_columns(metric: Metric, several: bool) -> list[Column]:
    return [
        Column("contrast", lambda c: str(c.contrast), "name"),
        dataset_column(several),
        *_difference_columns(metric.scale, "95 % interval, uncorrected"),
        Column("p, uncorrected", lambda c: p_text(c.p)),
    ]


def _difference_columns(metric: Metric | Scale, kind: str) -> list[Column]:
    """The columns of a difference; a scale writes it without regard to ``min_effect``, where there is no verdict."""

    def interval(c: Comparison) -> str:
        return " to ".join(map(metric.format_signed, c.summary.interval)) if c.summary.interval else "none"

    return [
        Column("n", lambda c: str(c.summary.n), tex_title="$n$"),
        Column("mean difference", lambda c: metric.format_signed(c.summary.mean)),
        Column(kind, interval, tex_title=kind.replace("95 %", r"95\,\%")),
    ]


def image_interval_columns(metric: Metric, several: bool) -> list[Column]:
    def between(low: float | None, high: float | None) -> str:
        return metric.format_interval(None if low is None or high is None else (low, high))

    def images(row: ImageBootstrap) -> str:
        return f"{row.images:,} ({row.groups:,})"

    return [
        Column("contrast", lambda row: str(row.contrast), "name"),
        dataset_column(several),
        Column("seeds", lambda row: str(len(row.seeds)), formats=("html",)),
        Column(worded("images (groups)"), images),
        Column("mean difference", lambda row: metric.format_signed(row.mean)),
        Column(worded("other images, same networks"), lambda row: between(row.low, row.high)),
        Column(worded("other seeds and other images"), lambda row: between(row.crossed_low, row.crossed_high)),
    ]


def mcnemar_columns(several: bool) -> list[Column]:
    def seeds(row: ImageBootstrap) -> str:
        return " · ".join(f"{m.only_variant} : {m.only_reference} ({p_text(m.p)})" for m in row.mcnemar.values())

    return [
        Column("contrast", lambda row: str(row.contrast), "name"),
        dataset_column(several),
        Column("by seed", seeds, "seeds"),
    ]
