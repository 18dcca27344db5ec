"""Label spaces: the emotion classes, their order and polarity, and their colours in figures.

Files always contain class names, never only indices, because public repositories disagree on the order.
"""

from collections.abc import Iterable
from types import MappingProxyType

__all__ = ["COLOURS", "EKMAN", "LABEL_SPACES", "MIKELS", "NEGATIVE", "POLARITY", "POSITIVE", "has_polarity"]

MIKELS: tuple[str, ...] = ("amusement", "anger", "awe", "contentment", "disgust", "excitement", "fear", "sadness")
"""Mikels et al. (2005), "Emotional category data on images from the IAPS": eight categories, in alphabetical order."""

EKMAN: tuple[str, ...] = ("anger", "disgust", "fear", "joy", "sadness", "surprise")
"""Ekman (1992), "An argument for basic emotions": six categories, in alphabetical order."""

POLARITY: tuple[str, ...] = ("negative", "positive")
"""Two classes of sentiment."""

LABEL_SPACES = MappingProxyType({"mikels": MIKELS, "ekman": EKMAN, "polarity": POLARITY})

POSITIVE: frozenset[str] = frozenset({"amusement", "awe", "contentment", "excitement", "joy", "positive"})
NEGATIVE: frozenset[str] = frozenset({"anger", "disgust", "fear", "sadness", "negative"})
"""Four of Mikels' eight classes are positive and four are negative. Ekman's surprise is neither, so his label space has
no polarity.
"""

COLOURS = MappingProxyType(
    {
        "amusement": "#e69f00",
        "anger": "#c1272d",
        "awe": "#56b4e9",
        "contentment": "#5aa02c",
        "disgust": "#8c6d31",
        "excitement": "#d55e9b",
        "fear": "#5e4b8b",
        "sadness": "#4477aa",
    }
)
"""Colours of Mikels' classes in figures; other classes have the colours of the plotting library."""


def has_polarity(classes: Iterable[str]) -> bool:
    """Whether every class is positive or negative, and both occur.

    >>> has_polarity(MIKELS), has_polarity(EKMAN)
    (True, False)
    """
    names = set(classes)
    return names <= POSITIVE | NEGATIVE and bool(names & POSITIVE) and bool(names & NEGATIVE)
