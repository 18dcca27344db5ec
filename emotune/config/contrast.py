"""Contrasts: what a study estimates, as weights over its variants."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from emotune.config.scale import ROUNDING, Scale
from emotune.config.types import FrozenDict, escape_control_characters
from emotune.core.errors import InputError, suggest
from emotune.core.text import listed

__all__ = ["Contrast", "Effect", "contrast_problems", "parse_contrasts", "with_implied"]

MAX_CONTRAST_NAME = 160
"""The maximum number of characters of a contrast's name: that of a difference of the two longest variants' names."""


@dataclass(frozen=True)
class Effect:
    """The effect of factors that a contrast estimates: the main effect of one, or the interaction of two.

    Attributes:
        compared: The two levels of each factor that are compared, by factor: the level, and the one that it is compared
            with.
        averaged_over: The factors over whose levels is averaged.
    """

    compared: Mapping[str, tuple[str, str]]
    averaged_over: tuple[str, ...] = ()

    @property
    def is_interaction(self) -> bool:
        """Whether it is the interaction of two factors."""
        return len(self.compared) > 1


@dataclass(frozen=True)
class Contrast:
    """A declared comparison: a weighted sum of variants, estimated seed by seed, whose weights sum to zero.

    Most are differences of two variants:

    >>> one = Contrast.difference("attention", "alexnet")
    >>> str(one), dict(one.weights), one.pair
    ('attention - alexnet', {'attention': 1.0, 'alexnet': -1.0}, ('attention', 'alexnet'))
    >>> other = Contrast("two branches", {"dual": 0.5, "dual-plain": 0.5, "alexnet": -1})
    >>> other.formula, other.pair, other.compares_means
    ('1/2 dual + 1/2 dual-plain - alexnet', None, True)

    Attributes:
        name: The name in tables and figures. Default: the weighted sum, as a formula.
        weights: The weights by variant.
        effect: The effect of the study's factors that it is; None if it does not follow from them. It is ignored when
            contrasts are compared.

    Raises:
        InputError: the weights are not given by variant.
    """

    name: str
    weights: Mapping[str, float]
    effect: Effect | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.weights, Mapping):
            raise InputError(
                f"contrast {self.name!r}: the weights are {self.weights!r}; give weights by variant, or write "
                "Contrast.difference(variant, reference)"
            )
        weights = FrozenDict({str(variant): float(weight) for variant, weight in self.weights.items() if weight})
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "name", self.name or self.formula)

    def __str__(self) -> str:
        return self.name

    @staticmethod
    def difference(variant: str, reference: str) -> "Contrast":
        """The contrast ``variant - reference``."""
        return Contrast(f"{variant} - {reference}", {} if variant == reference else {variant: 1.0, reference: -1.0})

    @staticmethod
    def parse(declared: "Contrast | str | Mapping[str, Any]") -> "Contrast":
        """The contrast of a text ``variant - reference``, or of a mapping with ``weights`` and, if wanted, ``name``.

        Raises:
            ValueError: it has another form.
        """
        if isinstance(declared, Contrast):
            return declared
        if isinstance(declared, Mapping):
            return _of_mapping(declared)
        sides = str(declared).split(" - ")
        if len(sides) != 2:
            raise ValueError(
                f'"{declared}" is not of the form "variant - variant"; other weights are given as '
                "{name: …, weights: {variant: weight, …}}"
            )
        return Contrast.difference(sides[0].strip(), sides[1].strip())

    @property
    def positive(self) -> list[str]:
        """The variants with positive weights."""
        return [variant for variant, weight in self.weights.items() if weight > 0]

    @property
    def negative(self) -> list[str]:
        """The variants with negative weights."""
        return [variant for variant, weight in self.weights.items() if weight < 0]

    @property
    def pair(self) -> tuple[str, str] | None:
        """The variant and the reference of a difference of two variants; None for other contrasts."""
        if sorted(self.weights.values()) != [-1, 1]:
            return None
        return self.positive[0], self.negative[0]

    @property
    def size(self) -> float:
        """The sum of the positive weights: 1 for a difference of two means."""
        return sum(weight for weight in self.weights.values() if weight > 0)

    @property
    def compares_means(self) -> bool:
        """Whether it is a difference of two weighted means, of which one can be better than the other."""
        return abs(self.size - 1) < ROUNDING

    @property
    def sides(self) -> tuple[str, str]:
        """The names of both sides, if it is a difference of two means: ``the mean of a and b``, ``c``."""
        return self._mean_of(self.positive), self._mean_of(self.negative)

    @property
    def formula(self) -> str:
        """The weighted sum: ``1/2 a + 1/2 b - c``."""
        terms = [f"{'-' if weight < 0 else '+'} {_amount(abs(weight))}{v}" for v, weight in self.weights.items()]
        return " ".join(terms).removeprefix("+ ")

    def bounds(self, scale: Scale) -> tuple[float, float]:
        """The lowest and the highest possible value of the contrast, for a metric of this scale."""
        least, most = scale.difference_bounds
        return self.size * least, self.size * most

    def to_yaml(self) -> str | dict[str, Any]:
        """The contrast as a study file declares it, so that `parse` gives it back."""
        is_plain = self.pair and self.name == self.formula
        return self.name if is_plain else {"name": self.name, "weights": dict(self.weights)}

    def _mean_of(self, variants: list[str]) -> str:
        weights = {abs(self.weights[variant]) for variant in variants}
        if len(variants) == 1:
            return variants[0]
        if max(weights) - min(weights) < ROUNDING:
            return f"the mean of {listed(variants)}"
        return " + ".join(f"{_amount(abs(self.weights[variant]))}{variant}" for variant in variants)


def parse_contrasts(
    declared: Iterable["Contrast | str | Mapping[str, Any]"], variants: Collection[str]
) -> tuple[tuple[Contrast, ...], list[str]]:
    """The contrasts, and a line for each mistake in them.

    Args:
        declared: The contrasts, texts of the form ``variant - reference``, or mappings with ``name`` and ``weights``.
        variants: The names of the variants.
    """
    contrasts: list[Contrast] = []
    problems: list[str] = []
    for one in declared:
        try:
            contrast = Contrast.parse(one)
        except ValueError as error:
            problems.append(f"contrasts: {error}")
            continue
        problems += contrast_problems(contrast, variants)
        if any(contrast.weights == other.weights for other in contrasts):
            problems.append(f'contrasts: "{contrast}" is a duplicate: another one has the same weights')
        elif any(contrast.name == other.name for other in contrasts):
            problems.append(f'contrasts: "{contrast}" is the name of two contrasts; rename one of them')
        contrasts.append(contrast)
    return tuple(contrasts), problems


def with_implied(declared: Iterable[Contrast], implied: Sequence[Contrast]) -> tuple[Contrast, ...]:
    """The contrasts that follow from a study's factors, then those that it declares, each once.

    One that is declared by the weights of an effect keeps its name and is told as that effect; a difference of two
    variants is told by their names.
    """
    effects = {one.weights: one.effect for one in implied}
    own = [one if one.pair else replace(one, effect=one.effect or effects.get(one.weights)) for one in declared]
    return (*(one for one in implied if all(one.weights != other.weights for other in own)), *own)


def contrast_problems(contrast: Contrast, variants: Collection[str]) -> list[str]:
    """The mistakes of one contrast.

    Args:
        contrast: The contrast.
        variants: The names of the study's variants.
    """
    where = f'contrasts: "{escape_control_characters(contrast.name)[:MAX_CONTRAST_NAME]}"'
    problems = [f'{where}: no variant "{v}"{suggest(v, variants)}' for v in contrast.weights if v not in variants]
    if not contrast.weights:
        problems.append(f"{where} compares a variant with itself: all weights are zero")
    elif not all(map(math.isfinite, contrast.weights.values())):
        problems.append(f"{where}: a weight is not a finite number")
    elif abs(total := math.fsum(contrast.weights.values())) > ROUNDING:
        problems.append(
            f"{where}: the weights sum to {total:g}; they must sum to zero, so that nothing but differences counts"
        )
    if escape_control_characters(contrast.name) != contrast.name or len(contrast.name) > MAX_CONTRAST_NAME:
        problems.append(f"{where}: give it a name in one line of at most {MAX_CONTRAST_NAME} characters")
    return problems


def _of_mapping(declared: Mapping[str, Any]) -> Contrast:
    known = ("name", "weights")
    shown = str(dict(declared))[:80]
    if unknown := [key for key in declared if key not in known]:
        raise ValueError(f'{shown}: unknown key "{unknown[0]}"{suggest(unknown[0], known)}')
    name, weights = declared.get("name", ""), declared.get("weights")
    if not isinstance(weights, Mapping) or not weights:
        raise ValueError(f"{shown}: weights are missing; give {{name: …, weights: {{variant: weight, …}}}}")
    if not isinstance(name, str):
        raise ValueError(f"{shown}: the name is not a text")
    return Contrast(name, {str(variant): _number(weight, shown) for variant, weight in weights.items()})


def _number(weight: Any, shown: str) -> float:
    """A weight, which may be a fraction such as ``1/3``."""
    try:
        if isinstance(weight, bool):
            raise ValueError
        return float(Fraction(weight) if isinstance(weight, str) else weight)
    except (TypeError, ValueError, ZeroDivisionError):
        raise ValueError(f"{shown}: the weight {weight!r} is neither a number nor a fraction such as 1/3") from None


def _amount(weight: float) -> str:
    """A factor in a formula: empty for 1, otherwise ``1/3 `` or ``0.27 ``."""
    if weight == 1 or not math.isfinite(weight):
        return "" if weight == 1 else f"{weight} "
    fraction = Fraction(weight).limit_denominator(24)
    return f"{fraction} " if abs(float(fraction) - weight) < ROUNDING else f"{weight:g} "
