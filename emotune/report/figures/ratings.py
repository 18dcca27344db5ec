"""Predicted ratings: predictions against ratings with the raters' spread, and the plane of two dimensions."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure

from emotune.analysis.rating_arrays import predicted_of, true_of
from emotune.config.target import Dimension
from emotune.core.sample_noun import worded
from emotune.report.figures.entry import FigureEntry, for_both_widths
from emotune.report.figures.layout import draw_title, place_axes, seed_count_text, wrap_name
from emotune.report.figures.style import INK, SIZE, SMALL, SOFT, STYLE, full_width
from emotune.runs.predictions import SD_PREFIX, concordance

__all__ = ["MOST_PANELS", "rating_figures", "rating_plane", "rating_scatter"]

LEFT, GAP, HEAD, BELOW = 0.56, 0.3, 0.36, 0.42
"""Inches."""
MOST_PANELS = 6
"""Variants that are drawn; the tables list all of them."""
MOST_VECTOR_POINTS = 800
"""More points in all panels of a figure are drawn as pixels: 1,200 vector points would take 220 kB."""
BAND = "#e4e4e4"


def rating_figures(
    name: str,
    title: str,
    frames: Mapping[str, Mapping[int, pd.DataFrame]],
    dimensions: Sequence[Dimension],
    colours: Mapping[str, str],
) -> Iterator[FigureEntry]:
    """The figures of the predicted ratings on one data set.

    Args:
        name: The data set's name.
        title: Its title.
        frames: The predictions by variant and seed, see `emotune.analysis.rating_arrays`.
        dimensions: The dimensions.
        colours: The colours of all variants.
    """
    shown = {variant: frames[variant] for variant in list(frames)[:MOST_PANELS]}
    first = next(iter(next(iter(shown.values())).values()))
    sds = {one.name: _mean_sd(first, one) for one in dimensions}
    texts = ", ".join(f"{sd:.2g} in {one}" for one, sd in sds.items() if sd is not None)
    noise = (
        f" Grey band: one standard deviation of single raters around the diagonal, mean over {worded('images')} "
        f"({texts}); the mean of many raters is less noisy."
        if texts else " The data have no standard deviations of the raters."
    )  # fmt: skip
    left_out = f" The first {len(shown)} of {len(frames)} variants." if len(shown) < len(frames) else ""
    scope = f"{name}, {len(first):,} test {worded('images')}, {seed_count_text(map(len, shown.values()))}"
    yield for_both_widths(
        f"scatter-{name}",
        partial(rating_scatter, title, shown, dimensions, colours),
        f"{scope}: predictions, mean over seeds, against mean ratings. Dotted: predictions that equal the ratings. "
        f"Predictions beyond the scale are at its ends."
        f"{noise} CCC: mean over seeds.{left_out}",
        f"Predicted against mean ratings on {name} of {', '.join(one.name for one in dimensions)}: {', '.join(shown)}",
    )
    if len(dimensions) > 1:
        x, y = dimensions[:2]
        yield for_both_widths(
            f"plane-{name}",
            partial(rating_plane, title, shown, dimensions, colours),
            f"{scope}: the plane of {x.name} and {y.name}. Grey: mean ratings; coloured: predictions, mean over seeds, "
            f"which are less spread than ratings where a network is unsure.{left_out}",
            f"Ratings and predictions on {name} in the plane of {x.name} and {y.name}: {', '.join(shown)}",
        )


@rc_context(STYLE)
def rating_scatter(
    title: str,
    frames: Mapping[str, Mapping[int, pd.DataFrame]],
    dimensions: Sequence[Dimension],
    colours: Mapping[str, str],
    *,
    narrow: bool = False,
) -> Figure:
    """Predictions against mean ratings: a row of panels for each dimension, with a panel for each variant.

    Args:
        title: The data set's title.
        frames: The predictions by variant and seed.
        dimensions: The dimensions.
        colours: The colours of all variants.
        narrow: Whether the figure is for a narrow screen.
    """
    columns, side, head, figure = _grid(title, frames, len(dimensions), narrow=narrow)
    rows_each = -(-len(frames) // columns)
    for d, one in enumerate(dimensions):
        for i, (variant, by_seed) in enumerate(frames.items()):
            row, column = d * rows_each + i // columns, i % columns
            axes = place_axes(
                figure, LEFT + column * (side + GAP), HEAD + row * (side + head + BELOW) + head, side, side
            )
            first = next(iter(by_seed.values()))
            ends = np.array([one.low, one.high])
            if (sd := _mean_sd(first, one)) is not None:
                axes.fill_between(ends, ends - sd, ends + sd, color=BAND, linewidth=0)
            axes.plot(ends, ends, color=SOFT, linewidth=0.9, linestyle=(0, (1.5, 1.5)))
            true, predicted = _on_scale(true_of(first)[:, d], one), _on_scale(_mean_predictions(by_seed)[:, d], one)
            axes.plot(true, predicted, "o", color=colours[variant], alpha=0.45, markersize=2.4, markeredgewidth=0,
                      rasterized=_is_dense(frames, len(dimensions)))  # fmt: skip
            ccc = np.mean([concordance(true_of(frame), predicted_of(frame))[d] for frame in by_seed.values()])
            axes.set(xlim=ends, ylim=ends)
            axes.set_title(_head(variant, f"CCC of {one.name} {ccc:.2f}".replace("-", "−"), side), loc="left",
                           fontsize=SIZE, pad=4, linespacing=1.2)  # fmt: skip
            axes.tick_params(length=0, labelleft=column == 0)
            axes.set_xlabel(f"mean rating of {one.name}", fontsize=SMALL)
            axes.set_ylabel("" if column else "predicted")
    return figure


@rc_context(STYLE)
def rating_plane(
    title: str,
    frames: Mapping[str, Mapping[int, pd.DataFrame]],
    dimensions: Sequence[Dimension],
    colours: Mapping[str, str],
    *,
    narrow: bool = False,
) -> Figure:
    """The plane of the first two dimensions, with mean ratings and predictions: a panel for each variant.

    The arguments are those of `rating_scatter`.
    """
    columns, side, head, figure = _grid(title, frames, 1, narrow=narrow, lines=1)
    x, y = dimensions[:2]
    for i, (variant, by_seed) in enumerate(frames.items()):
        row, column = divmod(i, columns)
        axes = place_axes(figure, LEFT + column * (side + GAP), HEAD + row * (side + head + BELOW) + head, side, side)
        true, predicted = true_of(next(iter(by_seed.values()))), _mean_predictions(by_seed)
        look: dict[str, Any] = {"markersize": 2.4, "markeredgewidth": 0}
        look["rasterized"] = _is_dense(frames, 2)
        axes.plot(_on_scale(true[:, 0], x), _on_scale(true[:, 1], y), "o", color=SOFT, alpha=0.35, **look)
        axes.plot(_on_scale(predicted[:, 0], x), _on_scale(predicted[:, 1], y), "o", color=colours[variant], alpha=0.6,
                  **look)  # fmt: skip
        axes.axvline(x.centre, color=INK, linewidth=0.5)
        axes.axhline(y.centre, color=INK, linewidth=0.5)
        axes.set(xlim=(x.low, x.high), ylim=(y.low, y.high))
        axes.set_title(_head(variant, "", side), loc="left", fontsize=SIZE, pad=4, linespacing=1.2)
        axes.tick_params(length=0, labelleft=column == 0)
        axes.set_xlabel(x.name, fontsize=SMALL)
        axes.set_ylabel("" if column else y.name)
    return figure


def _grid(
    title: str, frames: Mapping[str, object], blocks: int, *, narrow: bool, lines: int = 2
) -> tuple[int, float, float, Figure]:
    """The columns of panels, the side of a panel, the height of its heading in inches, and the empty figure.

    Args:
        title: The data set's title.
        frames: What has a panel in each block.
        blocks: The number of blocks of panels, one below the other.
        narrow: Whether the figure is for a narrow screen.
        lines: The lines of a heading with a short name.
    """
    width = full_width(narrow=narrow)
    columns = min(2 if narrow else 3, max(len(frames), 2))
    side = (width - LEFT - 0.1) / columns - GAP
    names = max(wrap_name(name, int(side / 0.08)).count("\n") for name in frames)
    head = 0.1 + 0.14 * (lines + names)
    rows = blocks * -(-len(frames) // columns)
    figure = Figure(figsize=(width, HEAD + rows * (head + side + BELOW)))
    draw_title(figure, title)
    return columns, side, head, figure


def _is_dense(frames: Mapping[str, Mapping[int, pd.DataFrame]], per_image: int) -> bool:
    """Whether a figure has so many points that they are drawn as pixels.

    Args:
        frames: The predictions by variant and seed.
        per_image: The number of points of an image in all panels of a variant.
    """
    images = len(next(iter(next(iter(frames.values())).values())))
    return images * len(frames) * per_image > MOST_VECTOR_POINTS


def _head(variant: str, note: str, side: float) -> str:
    return "\n".join(filter(None, [wrap_name(variant, int(side / 0.08)), note]))


def _mean_predictions(by_seed: Mapping[int, pd.DataFrame]) -> np.ndarray:
    """The predictions (N, D), mean over the seeds, on scales from -1 to 1."""
    return np.mean([predicted_of(frame) for frame in by_seed.values()], axis=0)


def _on_scale(values: np.ndarray, dimension: Dimension) -> np.ndarray:
    """Ratings on the dimension's own scale; predictions beyond it are at its ends."""
    return np.clip(dimension.from_unit(values), dimension.low, dimension.high)


def _mean_sd(predictions: pd.DataFrame, dimension: Dimension) -> float | None:
    """The mean standard deviation of the raters on the dimension's own scale; None if no image has one."""
    sds = predictions[SD_PREFIX + dimension.name].dropna()
    return None if sds.empty else float(sds.mean() * (dimension.high - dimension.low) / 2)
