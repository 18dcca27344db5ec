"""Crossed factors: which variant has which levels, and the main effects and interactions that follow.

The weights are those of the balanced analysis of variance: a main effect is a difference of two levels, averaged over
the levels of all other factors; an interaction is the difference of two such differences.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from itertools import combinations, product

from emotune.config.contrast import Contrast, Effect
from emotune.core.errors import suggest

__all__ = ["Layout", "cells", "factor_contrasts", "factor_problems"]

Layout = Mapping[str, Mapping[str, Sequence[str]]]
"""The variants at each level of each factor; the first level is the one that others are compared with."""


def cells(layout: Layout, factors: Sequence[str] | None = None) -> dict[tuple[str, ...], list[str]]:
    """The variants of each combination of levels, in the order of the levels.

    Args:
        layout: The factors.
        factors: The factors whose levels are combined; the variants differ in the others. Default: all.
    """
    chosen = list(layout) if factors is None else factors
    return {
        levels: [
            variant for variant in _variants(layout)
            if all(variant in layout[factor][level] for factor, level in zip(chosen, levels, strict=True))
        ]
        for levels in product(*(layout[factor] for factor in chosen))
    }  # fmt: skip


def factor_contrasts(layout: Layout) -> list[Contrast]:
    """The main effects of all factors, then the interactions of any two of them.

    Of a factor with more than two levels, each level is compared with the first.

    >>> layout = {"a": {"no": ["none", "b"], "yes": ["a", "ab"]}, "b": {"no": ["none", "a"], "yes": ["b", "ab"]}}
    >>> for contrast in factor_contrasts(layout):
    ...     print(contrast, "=", contrast.formula)
    a (yes - no) = 1/2 a + 1/2 ab - 1/2 none - 1/2 b
    b (yes - no) = 1/2 b + 1/2 ab - 1/2 none - 1/2 a
    a × b = none + ab - b - a
    """
    found = [
        _contrast(layout, {factor: (level, next(iter(levels)))})
        for factor, levels in layout.items()
        for level in list(levels)[1:]
    ]
    for one, other in combinations(layout, 2):
        (first, *levels), (other_first, *other_levels) = layout[one], layout[other]
        found += [
            _contrast(layout, {one: (level, first), other: (other_level, other_first)})
            for level in levels
            for other_level in other_levels
        ]
    return found


def factor_problems(layout: Layout, variants: Collection[str]) -> list[str]:
    """The mistakes in a layout, of which each combination of levels must be one variant; empty if it is valid.

    Args:
        layout: The factors.
        variants: The names of the study's variants.
    """
    problems: list[str] = []
    for factor, levels in layout.items():
        if len(levels) < 2:
            problems.append(f"factors.{factor}: has {len(levels)} level; a factor has two or more")
        for level, names in levels.items():
            problems += [f'factors.{factor}.{level}: no variant "{v}"{suggest(v, variants)}' for v in names
                         if v not in variants]  # fmt: skip
    if problems:
        return problems
    for combined, names in cells(layout).items() if layout else ():
        if len(names) != 1:
            combination = ", ".join(f"{factor} {level}" for factor, level in zip(layout, combined, strict=True))
            found = f"are {', '.join(names)}" if names else "is no variant"
            problems.append(f"factors: {combination} {found}; each combination of levels is one variant")
    placed = [v for names in cells(layout).values() for v in names]
    problems += [f'factors: "{v}" has not one level of each factor' for v in _variants(layout) if placed.count(v) != 1]
    return problems


def _contrast(layout: Layout, compared: Mapping[str, tuple[str, str]]) -> Contrast:
    """The main effect of one factor, or the interaction of two.

    Args:
        layout: The factors.
        compared: The two levels of each factor that are compared: the level, and the one that it is compared with.
    """
    others = [factor for factor in layout if factor not in compared]
    share = 1 / math.prod(len(layout[factor]) for factor in others)
    weights = {}
    for levels, (variant, *_) in cells(layout).items():
        level_of = dict(zip(layout, levels, strict=True))
        signs = [(level_of[f] == level) - (level_of[f] == first) for f, (level, first) in compared.items()]
        weights[variant] = share * math.prod(signs)
    ordered = sorted(weights, key=lambda variant: -weights[variant])  # what is added, then what is subtracted
    return Contrast(
        _name(layout, compared), {variant: weights[variant] for variant in ordered}, Effect(compared, tuple(others))
    )


def _name(layout: Layout, compared: Mapping[str, tuple[str, str]]) -> str:
    named = {factor: f"{factor} ({level} - {first})" for factor, (level, first) in compared.items()}
    if len(compared) > 1 and all(len(layout[factor]) == 2 for factor in compared):
        return " × ".join(compared)
    return " × ".join(named.values())


def _variants(layout: Layout) -> list[str]:
    """All variants that have a level of a factor."""
    return list(dict.fromkeys(v for levels in layout.values() for names in levels.values() for v in names))
