"""Forest plots: the differences of the declared contrasts with their intervals and the region of equivalence."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.transforms import ScaledTranslation

from emotune.analysis.looks import Look
from emotune.analysis.seeds import Comparison, Summary
from emotune.analysis.verdict import Verdict
from emotune.config.contrast import Contrast
from emotune.config.metric import Metric
from emotune.report.figures.layout import axis_limits, wrap_name
from emotune.report.figures.style import GRID, INK, SMALL, SOFT, STYLE, VERDICT_COLOURS, VERDICT_MARKERS
from emotune.report.figures.table_plot import TableRow, annotate_above, draw_interval, draw_seeds, table_plot

if TYPE_CHECKING:
    from emotune.analysis.images import ImageBootstrap

__all__ = ["contrast_forest", "interval_comparison", "intervals_over_looks"]

NOISE_FLOOR_LABEL = "noise floor\n(A/A)"


@rc_context(STYLE)
def contrast_forest(
    comparisons: Sequence[Comparison], metric: Metric, aa: Mapping[str, Comparison], *, narrow: bool = False
) -> Figure:
    """The differences of the declared contrasts by data set: every seed, the mean and its joint 95 % interval.

    The grey band is the region of equivalence. The hatched band is the A/A interval, where the study has an A/A
    variant: one estimate of the difference that arises without any change.

    Args:
        comparisons: The declared contrasts.
        metric: The study's metric.
        aa: The comparison of the baseline with itself, by data set.
        narrow: Whether the figure is for a narrow screen.
    """
    rows: list[TableRow] = []
    drawn: list[Comparison | None] = []  # the comparison of each row; None for a heading
    several = len({c.dataset for c in comparisons}) > 1
    for dataset, group in groupby(sorted(comparisons, key=_dataset_order(comparisons)), lambda c: c.dataset):
        if several:
            rows, drawn = [*rows, TableRow(dataset, heading=True)], [*drawn, None]
        for c in group:
            verdict = c.verdict or Verdict.UNRESOLVED
            late = ", declared late" if c.late else ""
            tag = f"{verdict}, n = {c.summary.n}{late}" if c.summary.n else ""
            rows.append(
                TableRow(_contrast_label(c.contrast), _summary_text(c.summary, metric), tag, VERDICT_COLOURS[verdict])
            )
            drawn.append(c)
        if dataset in aa:
            rows.append(
                TableRow(NOISE_FLOOR_LABEL, _summary_text(aa[dataset].summary, metric), f"n = {aa[dataset].summary.n}")
            )
            drawn.append(aa[dataset])
    shown = [c for c in drawn if c]
    values = [v for c in shown for v in (*c.differences.values(), 0)] + [
        -1.4 * metric.min_effect,
        1.4 * metric.min_effect,
    ]
    limits = axis_limits(values, _interval_ends([c.summary for c in shown]), metric.min_effect)
    figure, axes, edges = table_plot(rows, limits, _axis_label(metric), bottom=0.56, narrow=narrow)
    _draw_equivalence_region(axes, metric, sides=all(c.contrast.compares_means for c in comparisons))
    first = edges[0][0]
    for row, comparison, (begin, end) in zip(rows, drawn, edges, strict=True):
        if comparison is None:
            first = end
            continue
        noise = row.label == NOISE_FLOOR_LABEL
        colour = SOFT if noise else row.colour
        marker = "D" if noise else VERDICT_MARKERS[comparison.verdict or Verdict.UNRESOLVED]
        if noise and comparison.summary.interval:
            _draw_noise_floor(axes, comparison.summary.interval, first, end)
        draw_interval(axes, begin + 0.42 * (end - begin), comparison.summary, colour, marker)
        draw_seeds(axes, begin + 0.72 * (end - begin), list(comparison.differences.values()), colour)
        first = end if noise else first
    return figure


@rc_context(STYLE)
def interval_comparison(
    comparisons: Sequence[Comparison],
    image_bootstraps: Sequence["ImageBootstrap"],
    metric: Metric,
    *,
    narrow: bool = False,
) -> Figure:
    """The difference of each contrast with three 95 % intervals of its own: for other seeds, other images, and both.

    Args:
        comparisons: The contrasts with the intervals of their own seeds.
        image_bootstraps: The contrasts with their intervals over images; contrasts that are missing here get only the
            interval over seeds.
        metric: The study's metric.
        narrow: Whether the figure is for a narrow screen.
    """
    others = {(o.contrast, o.dataset): o for o in image_bootstraps}
    rows: list[TableRow] = []
    drawn: list[Summary | None] = []
    several = len({c.dataset for c in comparisons}) > 1
    for c in sorted(comparisons, key=_dataset_order(comparisons)):
        name = _with_minus(str(c.contrast)) + f" on {c.dataset}" * several
        rows.append(TableRow(wrap_name(name, 40 if narrow else 72), heading=True))
        drawn.append(None)
        intervals = [("other seeds", c.paired)]
        if (over := others.get((c.contrast, c.dataset))) is not None:
            n = len(over.seeds)
            intervals.append(("other images", Summary(n, over.mean, None, over.low, over.high)))
            intervals.append(("both", Summary(n, over.mean, None, over.crossed_low, over.crossed_high)))
        for label, summary in intervals:
            rows.append(TableRow(label, _summary_text(summary, metric), least=0.19))
            drawn.append(summary)
    shown = [summary for summary in drawn if summary and summary.n]
    values = [s.mean for s in shown] + [0, -1.4 * metric.min_effect, 1.4 * metric.min_effect]
    limits = axis_limits(values, _interval_ends(shown), 4 * metric.min_effect)
    figure, axes, edges = table_plot(rows, limits, _axis_label(metric), bottom=0.56, narrow=narrow)
    _draw_equivalence_region(axes, metric, sides=all(c.contrast.compares_means for c in comparisons))
    for row, shown_summary, (begin, end) in zip(rows, drawn, edges, strict=True):
        if shown_summary:
            both = row.label == "both"
            draw_interval(
                axes,
                (begin + end) / 2,
                shown_summary,
                INK if both else SOFT,
                "D" if both else "o",
                2.4 if both else 1.2,
            )
    return figure


@rc_context(STYLE)
def intervals_over_looks(looks: Sequence[Look], metric: Metric, *, narrow: bool = False) -> Figure:
    """The joint interval of each contrast at each look of adaptive seeds, until it is resolved.

    Args:
        looks: The looks at one data set that are reached, of which the first has all contrasts.
        metric: The study's metric.
        narrow: Whether the figure is for a narrow screen.
    """
    rows: list[TableRow] = []
    drawn: list[Comparison | None] = []
    for contrast in [c.contrast for c in looks[0].comparisons]:
        rows.append(TableRow(wrap_name(_with_minus(str(contrast)), 40 if narrow else 72), heading=True))
        drawn.append(None)
        for look in looks:
            for c in (c for c in look.comparisons if c.contrast == contrast):
                verdict = c.verdict or Verdict.UNRESOLVED
                text, colour = _summary_text(c.summary, metric), VERDICT_COLOURS[verdict]
                rows.append(TableRow(f"{look.seeds} seeds", text, str(verdict), colour))
                drawn.append(c)
    shown = [c.summary for c in drawn if c and c.summary.n]
    values = [s.mean for s in shown] + [0, -1.4 * metric.min_effect, 1.4 * metric.min_effect]
    limits = axis_limits(values, _interval_ends(shown), 4 * metric.min_effect)
    figure, axes, edges = table_plot(rows, limits, _axis_label(metric), bottom=0.56, narrow=narrow)
    _draw_equivalence_region(axes, metric, sides=all(c.contrast.compares_means for c in looks[0].comparisons))
    for row, one, (begin, end) in zip(rows, drawn, edges, strict=True):
        if one and one.summary.n:
            marker = VERDICT_MARKERS[one.verdict or Verdict.UNRESOLVED]
            draw_interval(axes, (begin + end) / 2, one.summary, row.colour, marker)
    return figure


def _dataset_order(comparisons: Sequence[Comparison]):
    """The sort key that groups comparisons by data set, in the order of their first occurrence."""
    datasets = list(dict.fromkeys(c.dataset for c in comparisons))
    return lambda c: datasets.index(c.dataset)


def _contrast_label(contrast: Contrast) -> str:
    whole = _with_minus(str(contrast))
    if len(whole) <= 24 or contrast.pair is None or contrast.name != contrast.formula:
        return wrap_name(whole, 24)
    variant, reference = contrast.pair
    return f"{wrap_name(variant, 24)}\n− {wrap_name(reference, 22)}"


def _with_minus(text: str) -> str:
    return text.replace(" - ", " − ")


def _summary_text(summary: Summary, metric: Metric) -> str:
    if not summary.n:
        return "no finished pair"
    mean, *ends = (metric.format_signed(x) for x in (summary.mean, summary.low, summary.high) if x is not None)
    return f"{mean} ({ends[0]} to {ends[1]})" if ends else f"{mean} (no interval)"


def _interval_ends(summaries: Sequence[Summary]) -> list[float]:
    return [end for s in summaries for end in s.interval or ()]


def _axis_label(metric: Metric) -> str:
    return "difference in " + ", ".join(filter(None, [metric.scale.title, metric.scale.difference_units]))


def _draw_equivalence_region(axes: Axes, metric: Metric, *, sides: bool) -> None:
    """Draws zero, the region of equivalence, and which side is better, if all contrasts have sides."""
    axes.axvspan(-metric.min_effect, metric.min_effect, color=GRID, alpha=0.6, linewidth=0, zorder=0)
    axes.axvline(0, color=INK, linewidth=0.8, zorder=1)
    annotate_above(axes, 0, f"equivalence (±{metric.min_effect:g})")
    if not sides:
        return
    left, right = ("second is better", "first is better")[:: 1 if metric.scale.higher_is_better else -1]
    below = axes.get_xaxis_transform() + ScaledTranslation(0, -34 / 72, axes.figure.dpi_scale_trans)
    for x, text, ha in ((axes.get_xlim()[0], f"← {left}", "left"), (axes.get_xlim()[1], f"{right} →", "right")):
        axes.text(x, 0, text, transform=below, ha=ha, fontsize=SMALL, color=SOFT)


def _draw_noise_floor(axes: Axes, interval: tuple[float, float], begin: float, end: float) -> None:
    left, right = axes.get_xlim()
    low, high = max(interval[0], left), min(interval[1], right)
    look: dict[str, Any] = {"fill": False, "hatch": "////", "edgecolor": SOFT, "alpha": 0.35, "linewidth": 0}
    axes.add_patch(Rectangle((low, begin), high - low, end - begin, zorder=0.5, **look))
    axes.vlines([low, high], begin, end, color=SOFT, linewidth=0.7, linestyle=(0, (3, 2)), zorder=0.6)
