"""Lists where a variant's option has one value: a variant for each value, or for each combination of several lists.

``wide: {model.width: [1, 2, 4]}`` gives ``wide-1``, ``wide-2`` and ``wide-4``. Three numbers or more are ordered: their
contrast is a linear trend, in which the values are one step apart in the order of their size. It is the difference
between the largest and the smallest value on the straight line through all of them. Other values are each compared with
the baseline.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import product
from math import prod
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from emotune.config.design.names import value_in_name
from emotune.config.heads import HEAD_CLASSES
from emotune.config.input_spec import InputOptions
from emotune.config.model import MODEL_CLASSES
from emotune.config.train import TrainConfig
from emotune.config.types import as_in_study, number_of

__all__ = ["MOST_VARIANTS", "expand_grids", "lists_in"]

MOST_VARIANTS = 100
"""More are probably a mistake: each has runs of its own."""
OWNERS: Mapping[str, Sequence[type]] = {
    "model": MODEL_CLASSES, "train": (TrainConfig,), "model.head": HEAD_CLASSES, "model.input": (InputOptions,)
}  # fmt: skip
"""The classes whose options are looked up, by the key that they are under."""
DEEPEST = 2
"""Mappings within an option that are looked through: ``model: {head: {score: […]}}``."""
Path = tuple[str, ...]


def expand_grids(raw: Mapping[str, Any], problems: list[str]) -> Mapping[str, Any]:
    """The study file with a variant for each value of a list, and with the contrasts of these variants.

    Args:
        raw: The study file; what has a wrong type is left as it is.
        problems: The list to which mistakes are appended.
    """
    declared, contrasts = raw.get("variants"), raw.get("contrasts", [])
    if not isinstance(declared, Mapping) or not isinstance(contrasts, list):
        return raw
    variants: dict[Any, Any] = {}
    added: list[Any] = []
    for variant, changes in declared.items():
        lists = {} if _is_combination(changes, raw) else lists_in(changes)
        where = f"variants.{variant}"
        for path, values in lists.items():
            if len(values) < 2 or any(one in values[:i] for i, one in enumerate(values)):
                problems.append(f"{where}: {'.'.join(path)}: {values} are not two or more different values")
        if (count := prod(map(len, lists.values()))) > MOST_VARIANTS:
            problems.append(f"{where}: its lists give {count} variants; use at most {MOST_VARIANTS}")
            lists = {}
        made = _variants(str(variant), changes, lists) if lists else {variant: changes}
        problems += [f"variants.{name}: two variants have this name; choose another one" for name in made
                     if name in variants or (lists and name in declared)]  # fmt: skip
        variants |= made
        added += _contrasts(list(made), str(variant), lists, raw.get("baseline")) if lists else []
    return dict(raw) | {"variants": variants} | ({"contrasts": [*added, *contrasts]} if added else {})


def lists_in(options: Any) -> dict[Path, list[Any]]:
    """The lists in the place of one value in a variant's options, by the keys that lead to them."""
    return dict(_lists(options, "", ())) if isinstance(options, Mapping) else {}


def _is_combination(changes: Any, raw: Mapping[str, Any]) -> bool:
    """Whether a variant is a combination of levels or of parts, which is one variant."""
    factors = raw.get("factors")
    named = {str(factor).rpartition(".")[2] for factor in factors} if isinstance(factors, Mapping) else set()
    return isinstance(changes, Mapping) and not changes.keys().isdisjoint({"parts", *named})


def _lists(options: Mapping[Any, Any], above: str, keys: Path) -> Iterator[tuple[Path, list[Any]]]:
    for key, value in options.items():
        dotted = f"{above}.{key}" if above else str(key)
        if isinstance(value, Mapping) and len(keys) < DEEPEST:
            yield from _lists(value, dotted, (*keys, key))
        elif isinstance(value, list) and _has_one_value(dotted):
            yield (*keys, key), value


@lru_cache
def _has_one_value(dotted: str) -> bool:
    """Whether an option is known, no model or training takes a list for it, and it is not a mapping anyway."""
    owner, _, option = dotted.rpartition(".")
    hints = [get_type_hints(kind) for kind in OWNERS.get(owner, ())]
    types = [hint[option] for hint in hints if option in hint]
    return not any(map(_takes_a_list, types)) and not all(map(_is_mapping, types))


def _takes_a_list(kind: Any) -> bool:
    if get_origin(kind) in (Union, UnionType, Annotated):
        return any(map(_takes_a_list, get_args(kind)))
    return kind is Any or (get_origin(kind) or kind) in (list, tuple, Sequence)


def _is_mapping(kind: Any) -> bool:
    if get_origin(kind) is Annotated:
        return _is_mapping(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return all(map(_is_mapping, get_args(kind)))
    return isinstance(origin := get_origin(kind) or kind, type) and issubclass(origin, Mapping)


def _variants(variant: str, changes: Mapping[Any, Any], lists: Mapping[Path, Sequence[Any]]) -> dict[str, Any]:
    made = {}
    for values in product(*lists.values()):
        options = copy.deepcopy(dict(changes))
        labels = []
        for path, value in zip(lists, values, strict=True):
            inner = options
            for key in path[:-1]:
                inner = inner[key]
            inner[path[-1]] = value
            label = value_in_name(value)
            labels.append(f"-{label}" if len(lists) == 1 else f"_{_option(path)}-{label}")
        made[variant + "".join(labels)] = options
    return made


def _contrasts(
    names: Sequence[str], variant: str, lists: Mapping[Path, Sequence[Any]], baseline: Any
) -> list[str | dict[str, Any]]:
    """The contrasts of a grid: a trend over one list of numbers; otherwise each variant against the baseline."""
    (path, values), *others = lists.items()
    numbers = [number_of(value) for value in values]
    if others or len(values) < 3 or None in numbers:
        return [f"{name} - {baseline}" for name in names if name != baseline]
    by_size = [name for _, name in sorted(zip(numbers, names, strict=True))]
    steps = [i - (len(names) - 1) / 2 for i in range(len(names))]
    scale = (len(names) - 1) / sum(step * step for step in steps)
    least, *_, most = (as_in_study(value) for _, value in sorted(zip(numbers, values, strict=True)))
    weights = {name: scale * step for name, step in reversed(list(zip(by_size, steps, strict=True)))}
    return [{"name": f"{variant}: trend over {_option(path)} {least} to {most}", "weights": weights}]


def _option(path: Path) -> str:
    """The last part of an option's key: ``lr`` of ``train.lr``."""
    return path[-1].rpartition(".")[2]
