"""The variants of crossed factors, each of whose levels changes some options.

``factors: {attention: {no: {}, yes: {model.name: attention}}, branches: {one: {}, two: {model.name: dual_branch}}}``
gives a variant for each combination of levels. One that is listed in ``variants`` by its levels has that name, and its
own options besides: ``dual: {attention: yes, branches: two, model.name: dual_branch}``.
"""

from collections.abc import Mapping
from itertools import product
from math import prod
from typing import Any

from emotune.config.design.combine import combine
from emotune.config.design.grids import MOST_VARIANTS
from emotune.config.design.names import level_in_name, level_name
from emotune.core.errors import suggest

__all__ = ["expand_factors"]

Options = Mapping[str, Any]
Factors = Mapping[str, Mapping[str, Options]]
"""The options of each level of each factor."""
Combination = tuple[str, ...]


def expand_factors(raw: Mapping[str, Any], problems: list[str]) -> Mapping[str, Any]:
    """The study file with a variant for each combination of levels; ``factors`` has the names of each level's variants.

    Factors whose levels are such names already are left as they are.

    Args:
        raw: The study file; what has a wrong type is left as it is.
        problems: The list to which mistakes are appended.
    """
    declared, variants = raw.get("factors"), raw.get("variants") or {}
    if not isinstance(declared, Mapping) or not isinstance(variants, Mapping):
        return raw
    before = len(problems)
    factors = dict(_factor(str(factor), given, problems) for factor, given in declared.items())
    if len(factors) < len(declared):
        problems.append(f"factors: two have the same name; they are {', '.join(map(str, declared))}")
    forms = {isinstance(value, list) for levels in factors.values() for value in levels.values()}
    if len(forms) > 1:
        problems.append("factors: some levels list variants, and some give options; use one form for all")
    if (count := prod(map(len, factors.values()))) > MOST_VARIANTS:
        problems.append(f"factors: give {count} combinations; at most {MOST_VARIANTS}, since each is a variant")
    if forms == {True} or len(problems) > before:
        return dict(raw) | {"factors": factors}
    names = _names(variants, factors, problems)
    generated = {
        name: _options(name, dict(zip(factors, levels, strict=True)), variants, factors, problems)
        for levels, name in names.items()
    }
    layout = {
        factor: {level: [name for levels, name in names.items() if levels[i] == level] for level in factors[factor]}
        for i, factor in enumerate(factors)
    }
    return dict(raw) | {"variants": dict(variants) | generated, "factors": layout}


def _factor(factor: str, given: Any, problems: list[str]) -> tuple[str, dict[str, Any]]:
    """A factor's name and its levels, of which ``model.dropout: [0, 0.5]`` is a short form."""
    name = factor.rpartition(".")[2]
    where = f"factors.{factor}"
    if name != factor:
        if not isinstance(given, list) or len({level_name(value) for value in given}) < max(2, len(given)):
            problems.append(f"{where}: give two or more different values of this option, such as [0, 0.5]")
            return name, {}
        return name, {level_name(value): {factor: value} for value in given}
    if name in ("model", "train", "parts") or not isinstance(given, Mapping) or len(given) < 2:
        problems.append(f"{where}: give it a name of its own and two or more levels with their options, such as "
                        "{no: {}, yes: {model.name: attention}}")  # fmt: skip
        return name, {}
    levels = {level_name(level): {} if options is None else options for level, options in given.items()}
    problems += [f"{where}.{level}: {options!r:.80} is no mapping of options"
                 for level, options in levels.items() if not isinstance(options, Mapping | list)]  # fmt: skip
    return name, levels


def _names(variants: Mapping[str, Any], factors: Factors, problems: list[str]) -> dict[Combination, str]:
    """The name of each combination: that of the variant that lists its levels, or one made of them."""
    named: dict[Combination, str] = {}
    for variant, changes in variants.items():
        if not isinstance(changes, Mapping) or not changes.keys() & factors:
            continue
        given = {factor: level_name(changes[factor]) for factor in factors if factor in changes}
        where = f"variants.{variant}"
        if absent := [factor for factor in factors if factor not in given]:
            problems.append(f"{where}: has no level of {', '.join(absent)}; give one of each factor")
            continue
        wrong = [(factor, level) for factor, level in given.items() if level not in factors[factor]]
        problems += [
            f'{where}: no level "{level}" of {factor}{suggest(level, factors[factor])}' for factor, level in wrong
        ]
        levels = tuple(given[factor] for factor in factors)
        if levels in named:
            problems.append(f'{where}: has the levels of "{named[levels]}"; leave one of them out')
        named[levels] = variant
    for levels in product(*factors.values()):
        made = "_".join(map(level_in_name, factors, levels))
        if levels not in named and made in variants:
            problems.append(f"variants.{made}: is also the name of a combination of levels; choose another one")
        named.setdefault(levels, made)
    return {levels: named[levels] for levels in product(*factors.values())}


def _options(
    name: str, levels: Mapping[str, str], variants: Mapping[str, Any], factors: Factors, problems: list[str]
) -> dict[str, Any]:
    own = {key: value for key, value in (variants.get(name) or {}).items() if key not in factors}
    given = {f"factors.{factor}.{level}": factors[factor][level] for factor, level in levels.items()}
    return combine(name, ", ".join(f"{factor}: {level}" for factor, level in levels.items()), given, own, problems)
