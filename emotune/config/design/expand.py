"""From a study file with factors, parts and lists to one with nothing but named variants, as if written by hand."""

from collections.abc import Mapping
from typing import Any

from emotune.config.design.factor_variants import expand_factors

__all__ = ["expand"]


def expand(raw: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
    """The study file with plain variants in the place of what generates them.

    Args:
        raw: The study file; what has a wrong type is left as it is.
        problems: The list to which mistakes are appended.
    """
    for step in (expand_factors,):
        raw = step(raw, problems)
    return dict(raw)
