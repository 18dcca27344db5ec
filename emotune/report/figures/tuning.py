"""The figures of tuning: validation by the values of a tuned option, for every variant."""

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from emotune.analysis.validation_curves import CurvePoint, validation_curve
from emotune.config.scale import Scale
from emotune.config.types import as_in_study
from emotune.report.figures.entry import FigureEntry, for_both_widths
from emotune.report.figures.layout import (
    LEGEND_ROW_HEIGHT,
    axis_limits,
    draw_legend,
    draw_title,
    legend_rows,
    place_axes,
)
from emotune.report.figures.style import INK, STYLE, full_width, line_styles, markers, variant_colours
from emotune.report.results import StudyResults
from emotune.report.tuning import validation_scale

__all__ = ["tuning_figures", "validation_by_option"]

HEIGHT, LEFT, RIGHT = 2.2, 0.6, 0.15
MOST_LABELS = 7
"""The number of values that are labelled each; more are drawn on an axis of numbers."""
SPREAD = 0.5
"""The share of the distance between two values over which variants are spread, so that none hides another."""


def tuning_figures(results: StudyResults, titles: Mapping[str, str]) -> Iterator[FigureEntry]:
    """A figure for each tuned option and data set; none if the study tunes nothing.

    Args:
        results: The study's results.
        titles: The titles of the data sets and of their divisions, by name.
    """
    stage = results.tuning
    if stage is None:
        return
    colours, scale = variant_colours(list(results.study.variants)), validation_scale(stage.tune)
    for repeats in results.repeats:
        title = titles[repeats.names[0]].replace(repeats.names[0], repeats.dataset)
        for key in stage.tune.over:
            points = validation_curve(stage, repeats.names, key)
            if not any(point.values for point in points):
                continue
            others = ", each with the best values of the other tuned options" if len(stage.tune.over) > 1 else ""
            best = {p.variant: as_in_study(p.value) for p in points if p.chosen}
            yield for_both_widths(
                f"tuning-{key.replace('.', '-')}-{repeats.dataset}",
                partial(validation_by_option, title, key, points, scale, colours),
                f"{repeats.dataset}: {scale.title} of the tuning runs by {key}{others}. Small dots: runs; lines: "
                f"means; rings: chosen. A value at which a run diverged has no mean.{_left_out(points)}",
                f"{scale.title} by {key} on {repeats.dataset}; chosen: "
                f"{'; '.join(f'{variant} {value}' for variant, value in best.items())}",
            )


def _left_out(points: Sequence[CurvePoint]) -> str:
    if all(point.is_final for point in points):
        return ""
    return " Hollow: settings that were left out after fewer epochs, which their values are of."


@rc_context(STYLE)
def validation_by_option(
    title: str,
    key: str,
    points: Sequence[CurvePoint],
    scale: Scale,
    colours: Mapping[str, str],
    *,
    narrow: bool = False,
) -> Figure:
    """The validation of each variant at each value of an option: every tuning run, the mean, and what was chosen.

    Args:
        title: The data set's title.
        key: The option's dotted key.
        points: The variants at the values of the option, see `validation_curve`.
        scale: The scale of the validation.
        colours: The colours of all variants.
        narrow: Whether the figure is for a narrow screen.
    """
    shown = {variant: colours[variant] for variant in colours if any(p.variant == variant for p in points)}
    width = full_width(narrow=narrow)
    rows = legend_rows(shown, width - LEFT)
    top = 0.36 + LEGEND_ROW_HEIGHT * len(rows) + 0.08
    figure = Figure(figsize=(width, top + HEIGHT + 0.5))
    draw_title(figure, title)
    draw_legend(figure, 0.32, LEFT, shown, markers(shown))
    axes = place_axes(figure, LEFT, top, width - LEFT - RIGHT, HEIGHT, grid="y")
    positions = _place_values(axes, points)
    for place, variant in enumerate(shown):
        own = [p for p in points if p.variant == variant]
        shift = SPREAD * ((place + 0.5) / len(shown) - 0.5) if positions else 0.0
        _draw_variant(axes, own, [_position(p.value, positions, shift) for p in own], shown, variant)
    values = [value for p in points for value in p.values]
    axes.set_ylim(*axis_limits(values, [], 4.0 if scale.unit == "%" else 0.05, scale.bounds))
    axes.set_ylabel(scale.label)
    axes.set_xlabel(key)
    return figure


def _place_values(axes: Axes, points: Sequence[CurvePoint]) -> dict[Any, int]:
    """Makes the axis of the option's values; gives the place of each if they stand side by side, else nothing."""
    values = list(dict.fromkeys(p.value for p in points))
    are_numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    if are_numbers and len(values) > MOST_LABELS:
        if min(values) > 0 and max(values) / min(values) > 10:
            axes.set_xscale("log")
        return {}
    positions = {value: place for place, value in enumerate(sorted(values) if are_numbers else values)}
    axes.set_xticks(list(positions.values()), [as_in_study(value) for value in positions])
    axes.set_xlim(-0.5, len(positions) - 0.5)
    return positions


def _position(value: Any, positions: Mapping[Any, int], shift: float) -> float:
    return positions[value] + shift if positions else float(value)


def _draw_variant(
    axes: Axes, own: Sequence[CurvePoint], x: Sequence[float], colours: Mapping[str, str], variant: str
) -> None:
    colour, marker = colours[variant], markers(colours)[variant]
    dots = [(at, value) for at, point in zip(x, own, strict=True) for value in point.values]
    if dots:
        axes.plot(*np.array(dots).T, "o", color=colour, alpha=0.45, markersize=2.5, gid="seeds", zorder=2)
    means = [point.mean if point.is_final else math.nan for point in own]
    axes.plot(x, means, color=colour, linestyle=line_styles(colours)[variant], marker=marker, markersize=4.5,
              linewidth=1.1, gid="mean", zorder=3)  # fmt: skip
    left_out = [(at, p.mean) for at, p in zip(x, own, strict=True) if not p.is_final and not math.isnan(p.mean)]
    if left_out:
        axes.plot(*np.array(left_out).T, marker, color=colour, markerfacecolor="none", markersize=4.5, gid="left-out",
                  zorder=3)  # fmt: skip
    rings = [(at, p.mean) for at, p in zip(x, own, strict=True) if p.chosen >= 0.5 and not math.isnan(p.mean)]
    if rings:
        axes.plot(*np.array(rings).T, "o", markerfacecolor="none", markeredgecolor=INK, markersize=10,
                  markeredgewidth=1.0, gid="chosen", zorder=4)  # fmt: skip
