"""Whether a chosen value lies on an edge of the search, beyond which a better one may lie."""

from collections.abc import Sequence
from typing import Any

from emotune.config.study import Study
from emotune.config.tuned_options import tried
from emotune.config.tuning import Setting
from emotune.config.tuning_runs import study_rungs

__all__ = ["edges_of", "is_number"]


def edges_of(study: Study, variant: str, settings: Sequence[Setting], chosen: Setting) -> tuple[str, ...]:
    """The options whose chosen value is an end of those that were tried, and not of those that are possible.

    Args:
        study: The study, with its ``tune``.
        variant: The variant's name.
        settings: The settings that were tried.
        chosen: One of them.
    """
    edges = []
    for key, value in chosen:
        values = [dict(setting)[key] for setting in settings]
        if not all(map(is_number, values)):
            continue
        beyond = [-1] * (value == min(values)) + [1] * (value == max(values))
        if any(_is_possible(study, variant, chosen, key, value, direction) for direction in beyond):
            edges.append(key)
    return tuple(edges)


def _is_possible(study: Study, variant: str, chosen: Setting, key: str, value: Any, direction: int) -> bool:
    """Whether an option could have a value a little lower (-1) or higher (1)."""
    whole = isinstance(value, int) and not _takes_fractions(study, variant, chosen, key)
    step = 1 if whole else abs(value) * 1e-3 or 1e-9
    return _fits(study, variant, chosen, key, value + direction * step)


def _takes_fractions(study: Study, variant: str, chosen: Setting, key: str) -> bool:
    value = dict(chosen)[key]
    return any(_fits(study, variant, chosen, key, value + step) for step in (-0.5, 0.5))


def _fits(study: Study, variant: str, chosen: Setting, key: str, value: Any) -> bool:
    """Whether a tuning run could have this value of an option, the others being the chosen ones."""
    if study.tune is None:
        return False
    try:
        tried(*study.variants[variant], tuple((one, value if one == key else own) for one, own in chosen),
              study_rungs(study)[-1].epochs)  # fmt: skip
    except ValueError:  # pydantic's error is one
        return False
    return True


def is_number(value: object) -> bool:
    """Whether a value of an option is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)
