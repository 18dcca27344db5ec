"""The style that all figures share: fonts, colours, markers and line styles.

A dark page replaces the colours `INK`, `SOFT` and `GRID`, so nothing else uses them.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from matplotlib.colors import to_hex, to_rgb

from emotune.analysis.verdict import Verdict

__all__ = [
    "GRID",
    "INK",
    "NARROW",
    "SIZE",
    "SMALL",
    "SOFT",
    "STYLE",
    "VERDICT_COLOURS",
    "VERDICT_MARKERS",
    "WIDTH",
    "full_width",
    "line_styles",
    "markers",
    "variant_colours",
]

INK, SOFT, GRID = "#222222", "#666666", "#dddddd"
WIDTH = 6.5
"""Inches: the text width of a one-column paper."""
NARROW = 3.8
"""Inches: the width of a telephone's screen, for figures that are drawn once more for it."""
SIZE, SMALL = 8.0, 7.0
"""Points."""

STYLE: dict[Any, Any] = {  # matplotlib has a literal type with 300 names for the keys
    "font.family": ["DejaVu Sans"],  # comes with matplotlib, so that figures look the same everywhere
    "font.size": SIZE,
    "text.color": INK,
    "text.parse_math": False,  # a dollar in a name is not mathematics
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.labelsize": SIZE,
    "axes.grid": False,
    "axes.titley": 1.0,  # nothing is above the axes, which matplotlib would otherwise measure in every drawing
    "lines.linewidth": 1.2,
    "xtick.labelsize": SIZE,
    "ytick.labelsize": SIZE,
    "axes.linewidth": 0.7,
    "axes.facecolor": "none",
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "hatch.linewidth": 0.5,
    "lines.solid_capstyle": "butt",
    "svg.fonttype": "path",
    "svg.hashsalt": "emotune",  # fixed ids: the same numbers give the same bytes
}

PALETTE = ("#0072b2", "#d98c00", "#009e73", "#c0609a", "#c64e00", "#aa88ff", "#77aa55", "#775544", "#cc88cc", "#994422")
"""The first five after Okabe and Ito (2008), made dark enough for white paper and light enough for a dark page.
The others are those that colour-blind readers tell apart best from these and from each other."""
MARKERS = "osD^vPX<>p"
DASHES = ((), (5, 1.4), (1.3, 1.1), (5, 1.2, 1.2, 1.2), (8, 2), (3, 1, 1, 1, 1, 1), (2.6, 1.2))

VERDICT_COLOURS = MappingProxyType(
    {
        Verdict.BETTER: "#0072b2",
        Verdict.WORSE: "#d55e00",
        Verdict.POSITIVE: "#0072b2",
        Verdict.NEGATIVE: "#d55e00",
        Verdict.EQUIVALENT: "#009e73",
        Verdict.UNRESOLVED: "#777777",
        Verdict.IDENTICAL: "#777777",
        Verdict.DETERMINISTIC: "#777777",
        Verdict.NOT_ASSESSED: "#777777",
    }
)
VERDICT_MARKERS = MappingProxyType(
    {
        Verdict.BETTER: "^",
        Verdict.WORSE: "v",
        Verdict.POSITIVE: ">",
        Verdict.NEGATIVE: "<",
        Verdict.EQUIVALENT: "s",
        Verdict.UNRESOLVED: "o",
        Verdict.IDENTICAL: "X",
        Verdict.DETERMINISTIC: "p",
        Verdict.NOT_ASSESSED: "x",
    }
)


def full_width(*, narrow: bool) -> float:
    """The width in inches of a figure for the page, or for a narrow screen."""
    return NARROW if narrow else WIDTH


def variant_colours(variants: Sequence[str]) -> dict[str, str]:
    """The colour of each variant, the same in all figures; from the eleventh on the colours repeat, a third darker."""
    return {variant: _variant_colour(i) for i, variant in enumerate(variants)}


def markers(colours: Mapping[str, str]) -> dict[str, str]:
    """The marker of each variant, which tells variants apart in grey print.

    It follows from the colour, so that it is the same in a figure without some of the variants.
    """
    return {variant: MARKERS[i % len(MARKERS)] for variant, i in _variant_numbers(colours).items()}


def line_styles(colours: Mapping[str, str]) -> dict[str, tuple]:
    """The line style of each variant in matplotlib's form; it follows from the colour like `markers`."""
    return {variant: (0, DASHES[i % len(DASHES)] or None) for variant, i in _variant_numbers(colours).items()}


def _variant_colour(i: int) -> str:
    red, green, blue = to_rgb(PALETTE[i % len(PALETTE)])
    shade = (2 / 3) ** (i // len(PALETTE))
    return to_hex((red * shade, green * shade, blue * shade))


def _variant_numbers(colours: Mapping[str, str]) -> dict[str, int]:
    numbers = {_variant_colour(i): i for i in reversed(range(5 * len(PALETTE)))}
    return {variant: numbers.get(colour, i) for i, (variant, colour) in enumerate(colours.items())}
