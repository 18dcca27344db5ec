"""Label spaces: which emotions there are, in which order, and in which colour they are drawn.

Class names are stored everywhere, never only indices: repositories of this field disagree on the order.
"""

from collections.abc import Iterable
from types import MappingProxyType

__all__ = ["COLOURS", "EKMAN", "LABEL_SPACES", "MIKELS", "NEGATIVE", "POLARITY", "POSITIVE", "has_polarity"]

MIKELS: tuple[str, ...] = ("amusement", "anger", "awe", "contentment", "disgust", "excitement", "fear", "sadness")
"""Mikels et al. (2005), "Emotional category data on images from the IAPS": eight categories, in alphabetical order."""

EKMAN: tuple[str, ...] = ("anger", "disgust", "fear", "joy", "sadness", "surprise")
"""Ekman (1992), "An argument for basic emotions": six, in alphabetical order."""

POLARITY: tuple[str, ...] = ("negative", "positive")
"""Sentiment in two classes."""

LABEL_SPACES = MappingProxyType({"mikels": MIKELS, "ekman": EKMAN, "polarity": POLARITY})

POSITIVE: frozenset[str] = frozenset({"amusement", "awe", "contentment", "excitement", "joy", "positive"})
NEGATIVE: frozenset[str] = frozenset({"anger", "disgust", "fear", "sadness", "negative"})
"""Mikels' eight are four and four. Of Ekman's six, surprise is neither: his label space has no polarity."""

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
"""Colours of figures; other label spaces take the plotting library's own cycle."""


def has_polarity(classes: Iterable[str]) -> bool:
    """Whether every class is positive or negative, and both occur.

    >>> has_polarity(MIKELS), has_polarity(EKMAN)
    (True, False)
    """
    found = set(classes)
    return found <= POSITIVE | NEGATIVE and bool(found & POSITIVE) and bool(found & NEGATIVE)
