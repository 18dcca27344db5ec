"""The options of a combination of levels or parts, of which each gives some."""

from collections.abc import Mapping
from typing import Any

from emotune.config.merge import dotted

__all__ = ["combine"]


def combine(
    variant: str, listed: str, given: Mapping[str, Mapping[str, Any]], own: Mapping[str, Any], problems: list[str]
) -> dict[str, Any]:
    """The options of a combination by dotted keys: its own come before those of its levels or parts.

    Two levels or parts that give an option different values do not fit together, unless the combination gives it.

    Args:
        variant: The combination's name.
        listed: The levels or parts as ``variants`` lists them, for messages: ``attention: yes, branches: two``.
        given: The options of each level or part, by its key in the study file.
        own: The options that the combination gives itself.
        problems: The list to which mistakes are appended.
    """
    own = dotted(own, f"variants.{variant}", problems)
    merged: dict[str, Any] = {}
    givers: dict[str, str] = {}
    for giver, options in given.items():
        for key, value in dotted(options, giver, problems).items():
            if key not in own and merged.get(key, value) != value:
                problems.append(
                    f"{giver}: gives {key} another value than {givers[key]}; say what it is where they meet, in "
                    f"variants: {variant}: {{{listed}, {key}: …}}"
                )
            merged[key], givers[key] = value, giver
    return merged | own
