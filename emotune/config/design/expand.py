"""From a study file with factors, parts and lists to one with nothing but named variants, as if written by hand."""

from collections.abc import Mapping
from typing import Any

from emotune.config.design.factor_variants import expand_factors
from emotune.config.design.grids import expand_grids, lists_in
from emotune.config.design.parts import expand_parts

__all__ = ["expand"]


def expand(raw: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
    """The study file with plain variants in the place of what generates them.

    Args:
        raw: The study file; what has a wrong type is left as it is.
        problems: The list to which mistakes are appended.
    """
    for part in ("model", "train"):
        problems += [
            f"{'.'.join(path)}: {values} would be shared by all variants; give the list in a variant, or make it a "
            f"factor: factors: {{{'.'.join(path)}: {values}}}"
            for path, values in lists_in({part: raw.get(part)}).items()
        ]
    for step in (expand_grids, expand_factors, expand_parts):
        raw = step(raw, problems)
    variants = raw.get("variants")
    for variant, changes in variants.items() if isinstance(variants, Mapping) and not problems else ():
        problems += [
            f"variants.{variant}: {'.'.join(path)}: {values} is a list; a combination is one variant: give one value"
            for path, values in lists_in(changes).items()
        ]
    return dict(raw)
