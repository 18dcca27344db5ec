"""Interaction plots: a line for each level of one factor over the levels of another, and the interval that judges."""

from collections.abc import Sequence

import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from emotune.analysis.seeds import Comparison
from emotune.analysis.verdict import Verdict
from emotune.config.metric import Metric
from emotune.report.figures.layout import axis_limits, draw_title, place_axes, spread_apart, text_width, wrap_name
from emotune.report.figures.style import (
    GRID,
    INK,
    SMALL,
    SOFT,
    STYLE,
    VERDICT_COLOURS,
    VERDICT_MARKERS,
    full_width,
    line_styles,
    markers,
    variant_colours,
)

__all__ = ["interaction_plot", "interval_caption"]

HEIGHT, LEFT, TOP, BOTTOM = 2.3, 0.56, 0.52, 0.5
BETWEEN, RIGHT = 0.75, 0.1
"""Inches from the names of the lines to the axes of the intervals, and from these to the figure's edge."""
UNDER = 0.3
"""Inches between the two pairs of axes of a narrow figure."""
LINE = 0.14


@rc_context(STYLE)
def interaction_plot(
    title: str,
    factors: tuple[str, str],
    values: pd.DataFrame,
    interactions: Sequence[Comparison],
    metric: Metric,
    *,
    narrow: bool = False,
) -> Figure:
    """The means of all combinations of two factors, as lines, and their interactions with joint 95 % intervals.

    The lines have no intervals of their own: comparing these with each other would answer another question. Faint
    lines are seeds, without what all combinations of a seed share.

    Args:
        title: The data set's title.
        factors: The factor of the lines, and that of the horizontal axis.
        values: The values, see `emotune.analysis.interactions.cell_values`.
        interactions: The contrasts of the interaction on this data set.
        metric: The study's metric.
        narrow: Whether the figure is for a narrow screen.
    """
    lines, places = list(dict.fromkeys(values["first"])), list(dict.fromkeys(values["second"]))
    names = {level: wrap_name(f"{factors[0]} {level}", 18) for level in lines}
    ticks = [wrap_name(place, max(6, 36 // len(places))) for place in places]
    below = BOTTOM + LINE * max(text.count("\n") for text in ticks)
    labels = _interval_labels(interactions)
    width, whole = min(max(1.0, 0.45 * len(interactions)), 1.8), full_width(narrow=narrow)
    turned = max(map(text_width, labels), default=0) > width / len(interactions)
    under = max((text_width(label.replace("\n", " ")) for label in labels), default=0) if turned else 0.3
    down = HEIGHT + below + UNDER if narrow else 0.0  # from one pair of axes to the other
    figure = Figure(figsize=(whole, TOP + HEIGHT + max(below, down + under + 0.1)))
    draw_title(figure, title, f"{factors[0]} by {factors[1]}")
    right = max(map(text_width, names.values())) + 0.12 + (0 if narrow else BETWEEN + width) + RIGHT
    axes = place_axes(figure, LEFT, TOP, whole - LEFT - right, HEIGHT, grid="y")
    axes.set(xlim=(-0.3, len(places) - 0.7), xticks=range(len(places)), xlabel=factors[1], ylabel=metric.scale.label)
    axes.set_xticklabels(ticks)
    axes.set_ylim(*axis_limits(values["within"].tolist(), [], metric.min_effect))
    axes.set_title("means; faint: seeds", fontsize=SMALL, color=SOFT, loc="left", pad=5)
    _draw_lines(axes, values, lines, places, names)
    beside = place_axes(figure, LEFT if narrow else whole - width - RIGHT, TOP + down, width, HEIGHT, grid="y")
    _draw_interactions(beside, interactions, metric)
    if labels and turned:
        beside.set_xticks(range(len(labels)), [label.replace("\n", " ") for label in labels], rotation=90)
    elif labels:
        beside.set_xticks(range(len(labels)), labels)
    return figure


def interval_caption(judged: Sequence[str]) -> str:
    """The meaning of the intervals beside the lines.

    Args:
        judged: The interactions with value and verdict.
    """
    if len(judged) == 1:
        return "The interaction, with its joint 95 % interval, alone says whether they do."
    return f"The interactions, with their joint 95 % intervals, alone say whether they do: {'; '.join(judged)}."


def _interval_labels(interactions: Sequence[Comparison]) -> list[str]:
    """The names that tell several interactions apart: the compared levels of the factors in which they differ."""
    compared = [c.contrast.effect.compared if c.contrast.effect else {} for c in interactions]
    factors = [factor for factor in compared[0] if len({one.get(factor) for one in compared}) > 1]
    if not factors:
        return []
    return ["\n".join(f"{wrap_name(a, 12)}\n− {wrap_name(b, 12)}" for a, b in map(one.__getitem__, factors))
            for one in compared]  # fmt: skip


def _draw_lines(
    axes: Axes, values: pd.DataFrame, lines: Sequence[str], places: Sequence[str], names: dict[str, str]
) -> None:
    colours = variant_colours(lines)
    shapes, dashes = markers(colours), line_styles(colours)
    ends = []
    for level in lines:
        of_line = values[values["first"] == level]
        for _, seed in of_line.groupby("seed"):
            heights = seed.set_index("second")["within"].reindex(list(places))
            axes.plot(range(len(places)), heights, color=colours[level], alpha=0.3, linewidth=0.8, gid="seed")
        means = of_line.groupby("second")["value"].mean().reindex(list(places))
        axes.plot(range(len(places)), means, color=colours[level], linewidth=1.8, linestyle=dashes[level],
                  marker=shapes[level], markersize=6, gid="mean")  # fmt: skip
        ends.append(float(means.iloc[-1]))
    low, high = axes.get_ylim()
    per_inch = (high - low) / HEIGHT
    tallest = LINE * max(name.count("\n") + 1 for name in names.values())
    at = spread_apart(ends, tallest * per_inch, low, high)
    for level, height in zip(lines, at, strict=True):
        axes.annotate(names[level], (axes.get_xlim()[1], height), xytext=(4, 0), textcoords="offset points",
                      va="center", color=colours[level], annotation_clip=False)  # fmt: skip


def _draw_interactions(axes: Axes, interactions: Sequence[Comparison], metric: Metric) -> None:
    """The value of each interaction with its joint interval, beside zero and the region of equivalence."""
    shown = [(i, c) for i, c in enumerate(interactions) if c.summary.n]
    ends = [end for _, c in shown for end in c.summary.interval or ()]
    axes.set(xlim=(-0.6, len(interactions) - 0.4), xticks=[])
    axes.set_ylim(*axis_limits([0.0, *(c.summary.mean for _, c in shown), *ends], [], 3 * metric.min_effect))
    axes.axhspan(-metric.min_effect, metric.min_effect, color=GRID, alpha=0.6, linewidth=0, zorder=0)
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.set_title("interaction", fontsize=SMALL, color=SOFT, loc="left", pad=5)
    axes.set_ylabel(", ".join(filter(None, ["difference of differences", metric.scale.difference_units])))
    for i, c in shown:
        verdict = c.verdict or Verdict.UNRESOLVED
        colour = VERDICT_COLOURS[verdict]
        if c.summary.interval:
            axes.plot([i, i], c.summary.interval, color=colour, linewidth=2, gid="interval")
        axes.plot([i], [c.summary.mean], VERDICT_MARKERS[verdict], color=colour, markersize=6)
        if len(interactions) == 1:  # several of these words would touch
            axes.annotate(str(verdict), (i, 0), xycoords=axes.get_xaxis_transform(), xytext=(0, -5), ha="center",
                          va="top", textcoords="offset points", fontsize=SMALL, color=colour, weight="bold",
                          annotation_clip=False)  # fmt: skip
