"""Label spaces: the emotion classes, their order and polarity, and their colours in figures.

Files always contain class names, never only indices, because public repositories disagree on the order.
"""

from collections.abc import Iterable, Sequence
from types import MappingProxyType

__all__ = [
    "COLOURS",
    "EKMAN",
    "LABEL_SPACES",
    "MIKELS",
    "NEGATIVE",
    "POLARITY",
    "POSITIVE",
    "WHEELS",
    "has_polarity",
    "no_polarity",
    "wheel_of",
]

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

WHEELS: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("amusement", "contentment", "awe", "excitement", "fear", "sadness", "disgust", "anger"),
        "Mikels' wheel, in our reading of Zhao et al. (2016); copies differ in the order",
    ),
    (
        ("joy", "fear", "surprise", "sadness", "disgust", "anger"),
        "Ekman's classes in their order on Plutchik's (1980) wheel, without trust and anticipation; our own reading",
    ),
)
"""The classes of label spaces around a circle, each with the source of the order."""


def wheel_of(classes: Iterable[str], given: Sequence[str] | None = None) -> tuple[str, ...]:
    """The classes around the circle, as it is given or as `WHEELS` has it for these classes.

    Args:
        classes: The classes.
        given: The wheel that a study gives, if it gives one.

    Raises:
        ValueError: the given wheel has other classes, or there is none for these classes.
    """
    classes = list(classes)
    names = set(classes)
    if given is not None:
        missing, others = sorted(names - set(given)), sorted(set(given) - names)
        if missing or others:
            lacks = f"lacks {', '.join(missing)}" if missing else ""
            has = f"has {', '.join(others)}, which the data set does not have" if others else ""
            raise ValueError(
                f"the wheel {' and '.join(filter(None, [lacks, has]))}; list each class of the data set once"
            )
        return tuple(given)
    found = next((wheel for wheel, _ in WHEELS if set(wheel) == names), None)
    if found is None:
        raise ValueError(
            f"no wheel is known for the classes {', '.join(sorted(names))}; give their order around the circle, "
            f"as in wheel: [{', '.join(classes)}]"
        )
    return found


def has_polarity(classes: Iterable[str]) -> bool:
    """Whether every class is positive or negative, and both occur.

    >>> has_polarity(MIKELS), has_polarity(EKMAN)
    (True, False)
    """
    names = set(classes)
    return names <= POSITIVE | NEGATIVE and bool(names & POSITIVE) and bool(names & NEGATIVE)


def no_polarity(classes: Iterable[str]) -> str:
    """Why classes that do not have a polarity do not have one, in words.

    >>> no_polarity(EKMAN), no_polarity(("fear", "anger"))
    ('neither positive nor negative: surprise', 'all classes are of one polarity')
    """
    unclear = ", ".join(name for name in classes if name not in POSITIVE | NEGATIVE)
    return f"neither positive nor negative: {unclear}" if unclear else "all classes are of one polarity"
