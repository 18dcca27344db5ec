"""A figure of the report with its texts."""

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure

__all__ = ["FigureEntry", "for_both_widths"]


@dataclass(frozen=True)
class FigureEntry:
    """A figure of the report.

    Attributes:
        name: The name of its files, without a suffix.
        figure: The figure.
        caption: The text below it.
        alt: The text alternative for readers who cannot see it.
        narrow: The same for a narrow screen; None: the figure is not wider than that.
    """

    name: str
    figure: Figure
    caption: str
    alt: str
    narrow: Figure | None = None


def for_both_widths(name: str, draw: Callable[..., Figure], caption: str, alt: str) -> FigureEntry:
    """A figure that is drawn once more for a narrow screen.

    Args:
        name: The name of its files, without a suffix.
        draw: The function that draws it, for a narrow screen if it gets ``narrow=True``.
        caption: The text below it.
        alt: The text alternative.
    """
    return FigureEntry(name, draw(), caption, alt, draw(narrow=True))
