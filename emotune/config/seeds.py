"""The seeds of a study: a fixed number, or as many as its contrasts need, judged at planned looks."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from emotune.config.pydantic_words import in_plain_words
from emotune.config.types import FORBID_UNKNOWN_KEYS, Count

__all__ = ["SeedOptions", "look_shares", "read_seeds", "seeds_problems"]

EXAMPLE = "{up_to: 20, looks: [5, 10, 20]}"
FEWEST = 2
"""The fewest seeds of a look, since one gives no interval."""


@dataclass(frozen=True, config=FORBID_UNKNOWN_KEYS)
class SeedOptions:
    """The ``seeds`` of a study file.

    With looks the seeds are adaptive (Jennison and Turnbull 1989, repeated confidence intervals): all variants are
    trained with the seeds of the first look and judged; those whose contrasts are resolved get no more seeds, the
    others go on to the next look. Each look has a share of the 5 %, so that the verdicts hold for all looks together.

    Attributes:
        up_to: The most runs of each variant on each data set.
        looks: The numbers of seeds at which the study is judged, in ascending order, the last one being ``up_to``;
            none: the number of seeds is fixed.
    """

    up_to: Count
    looks: tuple[Count, ...] = ()


def read_seeds(value: Any) -> Any:
    """The ``seeds`` of a study file, a number or a mapping, as the keys of `SeedOptions`."""
    if isinstance(value, Mapping):
        if set(value) == {"up_to"}:
            raise ValueError(f'"looks" is missing, the numbers of seeds at which the study is judged, as in {EXAMPLE}')
        return value
    try:
        return {"up_to": TypeAdapter(Count).validate_python(value)}
    except ValidationError as error:
        raise ValueError(in_plain_words(error.errors()[0])) from None


def seeds_problems(seeds: Any, looks: Sequence[Any], contrasts: Sequence[object]) -> list[str]:
    """The problems with a study's seeds and looks; empty if they are valid.

    Args:
        seeds: The number of seeds, or the most of them.
        looks: The numbers of seeds at which the study is judged; none for a fixed number of seeds.
        contrasts: The study's contrasts, which decide when it ends.
    """
    if not _is_count(seeds):
        return [f"seeds: {seeds!r} is not a positive number"]
    if not looks:
        return []
    shown = f"[{', '.join(map(str, looks))}]"
    if not all(map(_is_count, looks)):
        return [f"seeds.looks: {shown} are not positive numbers; give numbers of seeds, as in {EXAMPLE}"]
    problems = []
    if any(later <= earlier for earlier, later in pairwise(looks)):
        problems.append(f"seeds.looks: {shown} does not ascend; give each look more seeds than the one before")
    elif looks[-1] != seeds:
        problems.append(f"seeds.looks: {shown} does not end at up_to, {seeds}; make {seeds} the last look")
    if looks[0] < FEWEST:
        problems.append(f"seeds.looks: {shown}: one seed gives no interval; begin with {FEWEST} or more, better 5")
    if len(looks) == 1:
        problems.append(f"seeds.looks: {shown}: a single look would change nothing; write seeds: {seeds}")
    if not contrasts:
        problems.append("seeds.looks: without contrasts nothing is resolved: it would change nothing; declare some")
    return problems


def look_shares(looks: Sequence[int]) -> list[float]:
    """The share of the 5 % that each look has: that of the seeds which it adds.

    >>> look_shares([5, 10, 20])
    [0.25, 0.25, 0.5]
    """
    return [(now - before) / looks[-1] for before, now in zip((0, *looks), looks, strict=False)]


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
