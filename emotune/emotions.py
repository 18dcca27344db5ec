"""Label spaces: which emotions there are, in which order, and in which colour they are drawn.

Class names are stored everywhere, never only indices: repositories of this field disagree on the order.
"""

from types import MappingProxyType

__all__ = ["COLOURS", "EKMAN", "LABEL_SPACES", "MIKELS", "POLARITY", "POSITIVE"]

MIKELS: tuple[str, ...] = ("amusement", "anger", "awe", "contentment", "disgust", "excitement", "fear", "sadness")
"""Mikels et al. (2005), "Emotional category data on images from the IAPS": eight categories, in alphabetical order."""

EKMAN: tuple[str, ...] = ("anger", "disgust", "fear", "joy", "sadness", "surprise")
"""Ekman (1992), "An argument for basic emotions": six, in alphabetical order."""

POLARITY: tuple[str, ...] = ("negative", "positive")
"""Sentiment in two classes."""

LABEL_SPACES = MappingProxyType({"mikels": MIKELS, "ekman": EKMAN, "polarity": POLARITY})

POSITIVE: frozenset[str] = frozenset({"amusement", "awe", "contentment", "excitement"})

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
