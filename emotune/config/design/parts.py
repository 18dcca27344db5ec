"""Parts that are left out one at a time, or added one at a time: the variants and contrasts that follow.

``parts: {attention: {model.name: attention}, wide: {model.width: 0.25}}`` with ``ablate: [leave_one_out, add_one_in]``.
*leave_one_out*: ``full``, with all parts, less each ``without-attention``. *add_one_in*: each ``only-attention`` less
``plain``, which has none. A combination that is listed in ``variants`` by its parts has that name, and its own options
besides: ``alexnet: {parts: []}``. What one part adds alone and what it adds to the others need not be the same, and
neither sums up to what all add: that is a matter of interactions (`emotune.config.design.factors`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from emotune.config.design.combine import combine
from emotune.core.errors import suggest

__all__ = ["ABLATIONS", "expand_parts"]

ABLATIONS = ("leave_one_out", "add_one_in")
Parts = Mapping[str, Mapping[str, Any]]
"""The options of each part."""


def expand_parts(raw: Mapping[str, Any], problems: list[str]) -> Mapping[str, Any]:
    """The study file with a variant for each combination of parts that is asked for, and with their contrasts.

    Args:
        raw: The study file; what has a wrong type is left as it is.
        problems: The list to which mistakes are appended.
    """
    parts, ablate = raw.get("parts", {}), raw.get("ablate", [])
    variants, contrasts = raw.get("variants") or {}, raw.get("contrasts", [])
    if not (isinstance(parts, Mapping) and isinstance(variants, Mapping) and isinstance(contrasts, list)):
        return raw
    if not parts and not ablate:
        return raw
    before = len(problems)
    chosen = [ablate] if isinstance(ablate, str) else ablate
    if not isinstance(chosen, list) or not chosen or any(one not in ABLATIONS for one in chosen):
        problems.append(f"ablate: {ablate!r:.80} is not a list of {' and '.join(ABLATIONS)}")
    if len(parts) < 2:
        problems.append("parts: give two or more, each with its options; one part is a variant like any other")
    problems += [f"parts.{part}: give it the options that it changes, such as {{model.name: attention}}"
                 for part, options in parts.items() if not isinstance(options, Mapping) or not options]  # fmt: skip
    if len(problems) > before:
        return raw
    named = _named(variants, parts, problems)
    every, pairs = frozenset(parts), []
    if "leave_one_out" in chosen:
        pairs += [(every, every - {part}) for part in parts]
    if "add_one_in" in chosen:
        pairs += [(frozenset({part}), frozenset()) for part in parts]
    names = {combination: named.get(combination) or _name(combination, parts, chosen) for pair in pairs
             for combination in pair} | named  # fmt: skip
    problems += [f"variants.{name}: is also the name of a combination of parts; choose another one"
                 for combination, name in names.items() if combination not in named and name in variants]  # fmt: skip
    generated = {name: _options(name, combination, variants, parts, problems) for combination, name in names.items()}
    declared = [f"{names[one]} - {names[other]}" for one, other in dict.fromkeys(pairs)]
    kept = {key: value for key, value in raw.items() if key not in ("parts", "ablate")}
    return kept | {"variants": dict(variants) | generated, "contrasts": [*declared, *contrasts]}


def _named(variants: Mapping[str, Any], parts: Parts, problems: list[str]) -> dict[frozenset[str], str]:
    """The combinations that are listed in ``variants``, with their names."""
    named: dict[frozenset[str], str] = {}
    for variant, changes in variants.items():
        if not isinstance(changes, Mapping) or "parts" not in changes:
            continue
        given, where = changes["parts"], f"variants.{variant}"
        if not isinstance(given, list):
            problems.append(f"{where}: parts: {given!r:.80} is no list of parts, such as [{', '.join(parts)}]")
            continue
        problems += [f'{where}: no part "{one}"{suggest(one, parts)}' for one in given if str(one) not in parts]
        combination = frozenset(map(str, given))
        if combination in named:
            problems.append(f'{where}: has the parts of "{named[combination]}"; leave one of them out')
        named[combination] = variant
    return named


def _name(combination: frozenset[str], parts: Parts, chosen: Sequence[str]) -> str:
    if not combination or combination == frozenset(parts):
        return "full" if combination else "plain"
    if len(combination) == 1 and "add_one_in" in chosen:
        return f"only-{next(iter(combination))}"
    return f"without-{next(part for part in parts if part not in combination)}"


def _options(
    name: str, combination: frozenset[str], variants: Mapping[str, Any], parts: Parts, problems: list[str]
) -> dict[str, Any]:
    present = [part for part in parts if part in combination]
    own = {key: value for key, value in (variants.get(name) or {}).items() if key != "parts"}
    given = {f"parts.{part}": parts[part] for part in present}
    return combine(name, f"parts: [{', '.join(present)}]", given, own, problems)
