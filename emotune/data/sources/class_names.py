"""Published spellings of classes: any case, and the other words that sets of the field use for the same emotion."""

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
"""Of words in lower case; one counts only where it leads to a class of the label space."""


def match_class(name: str, classes: Sequence[str]) -> str | None:
    """The class that a published spelling means; None if it is none of them.

    >>> match_class("Sad", ("fear", "sadness")), match_class("happy", ("fear", "sadness"))
    ('sadness', None)
    """
    if name in classes:
        return name
    by_lower = {one.lower(): one for one in classes}
    plain = name.strip().lower()
    return by_lower.get(plain) or by_lower.get(ALIASES.get(plain, ""))


def unknown_class(label: str, classes: Sequence[str]) -> str:
    """What to say of a label that is none of the classes."""
    close = difflib.get_close_matches(label.lower(), classes, n=1)
    return f'"{label}" is not a class' + (f'; did you mean "{close[0]}"?' if close else "")
