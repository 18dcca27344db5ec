"""The names of the sets of hand-made features; each is a module of `emotune.models.handmade`."""

from typing import Annotated, Any

from pydantic import BeforeValidator

from emotune.config.types import as_in_study
from emotune.core.errors import suggest

__all__ = ["FEATURE_SETS", "FeatureNames", "listed_sets"]

FEATURE_SETS = (
    "colours",
    "textures",
    "machajdik",
    "wiccest",
    "gabor",
    "shapes",
    "principles",
    "bags_of_emotions",
    "emotion_histogram",
)
"""The names in a study. A new one does not change what ``all`` means for a run that is there: runs keep the names."""

ALL = "all"


def _names(value: Any) -> str | tuple[str, ...]:
    """A name, or several in alphabetical order: the same sets are the same features, in whatever order they are given.

    >>> _names(["textures", "colours"]), _names(["colours"])
    (('colours', 'textures'), 'colours')
    """
    given = list(FEATURE_SETS) if value == ALL else [value] if isinstance(value, str) else value
    if not isinstance(given, list | tuple):
        raise ValueError(f"{value!r} is neither a name nor a list of names; valid: {', '.join(FEATURE_SETS)}, or {ALL}")
    if not given:
        raise ValueError(f"no name is given; valid: {', '.join(FEATURE_SETS)}, or {ALL}")
    for name in given:
        if not isinstance(name, str):
            shown = as_in_study(name)
            raise ValueError(f"{shown} is not a name; give one list, as in [{', '.join(FEATURE_SETS[:2])}]")
        if name == ALL:
            raise ValueError(f'"{ALL}" has all others in it; give it alone, not in a list')
        if name not in FEATURE_SETS:
            raise ValueError(f'there are no features "{name}"{suggest(name, [*FEATURE_SETS, ALL])}')
        if given.count(name) > 1:
            raise ValueError(f'"{name}" is given twice; leave one out')
    return given[0] if len(given) == 1 else tuple(sorted(given))


FeatureNames = Annotated[str | tuple[str, ...], BeforeValidator(_names)]
"""A set of features or several; ``all`` becomes the names of those that there are."""


def listed_sets(features: str | tuple[str, ...]) -> tuple[str, ...]:
    """The names of one set or several, as a tuple."""
    return (features,) if isinstance(features, str) else features
