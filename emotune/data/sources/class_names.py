"""Match published spellings of class names: any case, and other words for the same emotion."""

import difflib
from collections.abc import Sequence
from types import MappingProxyType

__all__ = ["ALIASES", "match_class", "unknown_class"]

ALIASES = MappingProxyType({
    "content": "contentment", "sad": "sadness",  # Abstract, ArtPhoto (Machajdik and Hanbury, 2010)
    "amused": "amusement", "excited": "excitement",
    "angry": "anger", "happy": "joy", "happiness": "joy", "surprised": "surprise", "disgusted": "disgust",
    "fearful": "fear",  # FER2013, FERPlus, AffectNet, RAF-DB
    "pos": "positive", "neg": "negative",
})  # fmt: skip
"""Classes by other words for them, in lower case; a word counts only if its class is in the label space."""


def match_class(name: str, classes: Sequence[str]) -> str | None:
    """The class that a published spelling means; None if it means none of the classes.

    >>> match_class("Sad", ("fear", "sadness")), match_class("happy", ("fear", "sadness"))
    ('sadness', None)
    """
    if name in classes:
        return name
    by_lower = {label.lower(): label for label in classes}
    lower = name.strip().lower()
    return by_lower.get(lower) or by_lower.get(ALIASES.get(lower, ""))


def unknown_class(label: str, classes: Sequence[str]) -> str:
    """The message about a label that is not a class, with the closest class if one is similar."""
    close = difflib.get_close_matches(label.lower(), classes, n=1)
    return f'"{label}" is not a class' + (f'; did you mean "{close[0]}"?' if close else "")
