"""Reliability diagrams: accuracy by confidence."""

from collections.abc import Mapping

import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure

from emotune.report.figures.layout import draw_title, place_axes, wrap_name
from emotune.report.figures.style import SIZE, SMALL, SOFT, STYLE, full_width, markers

__all__ = ["reliability"]

FEWEST = 10
"""Images of a bin whose accuracy is drawn: that of one or two images is 0 or 100 %."""
LEFT, GAP, SPLIT, SHARE = 0.56, 0.24, 0.13, 0.36
"""Inches; SHARE is the height of the histogram of confidence."""


@rc_context(STYLE)
def reliability(
    title: str,
    tables: Mapping[str, pd.DataFrame],
    colours: Mapping[str, str],
    ece: Mapping[str, float],
    *,
    narrow: bool = False,
) -> Figure:
    """Accuracy by confidence of each variant, with the diagonal of a calibrated network and a histogram of confidence.

    Args:
        title: The data set's title.
        tables: A row for each bin by variant: ``confidence``, ``accuracy`` and ``share`` of images in per cent, and the
            number of ``images``; the accuracy of fewer than `FEWEST` is not drawn.
        colours: The colours of all variants.
        ece: The expected calibration error of each variant, in points.
        narrow: Whether the figure is for a narrow screen.
    """
    shapes, columns = markers(colours), 4 if -len(tables) % 4 <= -len(tables) % 3 else 3
    columns = 2 if narrow else columns
    side = (full_width(narrow=narrow) - LEFT - 0.08) / columns - GAP
    heads = {v: f"{wrap_name(v, int(side / 0.07))}\nECE {ece[v]:.1f} points" for v in tables}
    head = 0.08 + 0.135 * max((text.count("\n") + 1 for text in heads.values()), default=1)
    each, rows = head + side + SPLIT + SHARE + 0.22, -(-len(tables) // columns)
    figure = Figure(figsize=(full_width(narrow=narrow), 0.34 + rows * each + 0.22))
    draw_title(figure, title, "dotted: calibrated; above: under-confident, below: over-confident")
    most = max((table["share"].max() for table in tables.values()), default=100)
    for i, (variant, table) in enumerate(tables.items()):
        x, y = LEFT + i % columns * (side + GAP), 0.34 + i // columns * each + head
        first, below, confidence = i % columns == 0, i + columns < len(tables), table["confidence"]
        axes = place_axes(figure, x, y, side, side, grid="both")
        axes.plot([0, 100], [0, 100], color=SOFT, linewidth=0.9, linestyle=(0, (1.5, 1.5)))
        known = table[table["images"] >= FEWEST]
        axes.vlines(known["confidence"], known["confidence"], known["accuracy"], color=colours[variant], linewidth=2.4,
                    alpha=0.25)  # fmt: skip
        axes.plot(known["confidence"], known["accuracy"], color=colours[variant], marker=shapes[variant],
                  markersize=3.8, linewidth=1.2, clip_on=False)  # fmt: skip
        axes.set(xlim=(0, 100), ylim=(0, 100), xticks=[0, 50, 100], yticks=[0, 50, 100])
        axes.tick_params(length=0, labelbottom=False, labelleft=first)
        axes.set_title(heads[variant], loc="left", fontsize=SIZE, pad=4, linespacing=1.2)
        shares = place_axes(figure, x, y + side + SPLIT, side, SHARE)
        shares.bar(confidence, table["share"], width=5, color=colours[variant], alpha=0.7, linewidth=0)
        shares.set(xlim=(0, 100), ylim=(0, most), xticks=[0, 50, 100], yticks=[0, round(most)])
        shares.tick_params(labelsize=SMALL, labelleft=first, labelbottom=True)
        if first:
            axes.set_ylabel("accuracy, %")
            shares.set_ylabel("share, %", fontsize=SMALL)
            for panel in (axes, shares):
                panel.yaxis.set_label_coords(-0.4 / side, 0.5)
        if not below:
            shares.set_xlabel("confidence, %")
    return figure
