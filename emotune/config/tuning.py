"""The ``tune`` of a study: options that are chosen for each variant by validation, in one space for all of them."""

import hashlib
import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass as plain_dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StrictBool
from pydantic.dataclasses import dataclass

from emotune.config.types import FORBID_UNKNOWN_KEYS, Count, FrozenDict, as_in_study, number_of

__all__ = ["EXAMPLE", "By", "RandomSearch", "Range", "Setting", "Tuning", "setting_text"]

Setting = tuple[tuple[str, Any], ...]
"""The values of the tuned options by their dotted keys, in the order of ``over``."""
By = Literal["val_accuracy", "val_loss", "val_ccc"]
EXAMPLE = "{train.lr: [0.003, 0.01, 0.03]}"
"""An example of ``over``, for messages."""
DIGITS = 3
"""The significant digits of a value that is drawn from a range, so that it can be written by hand."""
MOST_DRAWS = 1000
"""The draws without a new setting after which no further one is expected."""


@plain_dataclass(frozen=True)
class Range:
    """A range from which ``search: {random: N}`` draws the values of an option.

    Attributes:
        low: The lowest value.
        high: The highest value.
        log: Whether logarithms are drawn evenly, as is usual for learning rates, and not the values themselves.
    """

    low: float
    high: float
    log: bool = False

    def at(self, share: float) -> float:
        """The value at a share of the way from the lowest to the highest one, with three significant digits.

        >>> [Range(0.001, 0.1, log=True).at(share) for share in (0, 0.5, 1)]
        [0.001, 0.01, 0.1]
        """
        if self.log:
            value = math.exp((1 - share) * math.log(self.low) + share * math.log(self.high))
        else:
            value = (1 - share) * self.low + share * self.high
        return min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high)


@plain_dataclass(frozen=True)
class RandomSearch:
    """A search among settings that are drawn at random, the first ones of which a longer search has, too.

    Attributes:
        random: The number of settings.
    """

    random: int


def _read_values(value: Any) -> tuple[Any, ...] | Range:
    """The values of an option, as a list or as a range."""
    if isinstance(value, Range):
        return value
    if isinstance(value, Mapping):
        return _read_range(value)
    if not isinstance(value, list | tuple):
        raise ValueError(
            f"a list of values is needed, or for a random search {{low: …, high: …, log: true}} (found {value!r:.80})"
        )
    values = tuple(_hashable(_number(one)) for one in value)
    if len(values) < 2:
        found = "is empty" if not values else f"has one value, {as_in_study(values[0])}"
        raise ValueError(f"the grid {found}, so there is nothing to choose; give two values or more")
    if twice := [as_in_study(one) for one in values if values.count(one) > 1]:
        raise ValueError(f"{twice[0]} is listed twice; leave one out")
    return values


def _read_range(value: Mapping[Any, Any]) -> Range:
    if unknown := sorted(set(map(str, value)) - {"low", "high", "log"}):
        raise ValueError(f"{unknown[0]} is no key of a range; valid: low, high, log")
    ends = _number(value.get("low")), _number(value.get("high"))
    if not all(isinstance(one, int | float) and not isinstance(one, bool) and math.isfinite(one) for one in ends):
        raise ValueError("a range needs two numbers, as in {low: 0.001, high: 0.1, log: true}")
    if not isinstance(value.get("log", False), bool):
        raise ValueError(f"log: true or false is needed (found {value['log']!r:.80})")
    low, high = float(ends[0]), float(ends[1])  # type: ignore[arg-type]  # both are numbers, as was just checked
    if low >= high:
        raise ValueError(f"low, {low:g}, is not below high, {high:g}")
    if value.get("log", False) and low <= 0:
        raise ValueError(f"low is {low:g}, of which there is no logarithm; give a positive one, or leave out log")
    return Range(low, high, value.get("log", False))


def _number(value: Any) -> Any:
    """The number that a text is, for YAML reads ``1e-3`` as text; other values as they are."""
    number = number_of(value) if isinstance(value, str) else None
    return value if number is None or not math.isfinite(number) else number


def _hashable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return FrozenDict({str(key): _hashable(one) for key, one in value.items()})
    return tuple(map(_hashable, value)) if isinstance(value, list | tuple) else value


def _read_space(value: Any) -> Any:
    if not isinstance(value, Mapping) or not value:
        raise ValueError(f"options with their values are needed, as in {EXAMPLE} (found {value!r:.80})")
    return {str(key): values for key, values in value.items()}


def _read_search(value: Any) -> Any:
    if value == "grid" or isinstance(value, RandomSearch):
        return value
    if isinstance(value, Mapping) and set(value) == {"random"}:
        number = value["random"]
        if isinstance(number, int) and not isinstance(number, bool) and number >= 2:
            return RandomSearch(number)
        raise ValueError(f"random: a number of settings is needed, 2 or more (found {number!r:.80})")
    raise ValueError(f"grid or {{random: N}} is needed (found {value!r:.80})")


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class Tuning:
    """How the options of each variant are chosen before its runs, by validation alone.

    Every variant has the same settings to choose from, each of them trained with the same seeds and for as many epochs,
    so that all have the same budget. On each data set a variant gets the setting with the best mean; equal ones are
    told apart by the smaller value, of the option that comes first in ``over``; of an option whose values are not all
    numbers, by the one that is listed first. A run that diverged is worse than all others.

    Attributes:
        over: The values of each tuned option by its dotted key, ``train.lr`` for example: a list, or a `Range`.
        seeds: The number of runs of each setting. Their random numbers are none of those of the study's runs.
        by: What is compared, at the epoch that the study's ``metric.select`` chooses: *val_accuracy*; or *val_loss*;
            of predicted dimensions *val_ccc* or *val_loss*, see `emotune.runs.record.EpochMetrics`.
        epochs: The number of epochs of each of these runs; None: as many as the study's runs have.
        search: *grid*, all combinations of the values; or ``{random: N}``, N settings drawn from them.
        nested: Whether options are chosen for each seed of the study anew, with other tuning runs, so that intervals
            over seeds include the choice.
        untuned: The variants that keep their options.
        halving: Whether only the better half of a variant's settings is trained for twice as many epochs, and so on
            (`emotune.config.rungs`): successive halving (Jamieson and Talwalkar, 2016), never across variants.
    """

    over: Annotated[dict[str, Annotated[Any, BeforeValidator(_read_values)]], BeforeValidator(_read_space)]
    seeds: Count = 2
    by: By = "val_accuracy"
    epochs: Count | None = None
    search: Annotated[Any, BeforeValidator(_read_search)] = "grid"
    nested: StrictBool = False
    untuned: tuple[str, ...] = Field(default=())
    halving: StrictBool = False

    @property
    def higher_is_better(self) -> bool:
        """Whether a higher value is better."""
        return self.by != "val_loss"

    @property
    def settings(self) -> tuple[Setting, ...]:
        """The settings to choose from, the same for every variant."""
        if isinstance(self.search, RandomSearch):
            return tuple(itertools.islice(self._draws(), self.search.random))
        return tuple(
            tuple(zip(self.over, values, strict=True))
            for values in itertools.product(*(() if isinstance(one, Range) else one for one in self.over.values()))
        )

    def _draws(self) -> Iterator[Setting]:
        """The settings in the order in which they are drawn, each once; the i-th depends on i and its range alone."""
        seen, last = set[str](), 0
        for number in itertools.count():
            setting = tuple((key, _drawn(key, values, number)) for key, values in self.over.items())
            if repr(setting) not in seen:
                seen.add(repr(setting))
                last = number
                yield setting
            elif number - last > MOST_DRAWS:
                return

    def to_yaml(self) -> dict[str, Any]:
        """The same as in a study file."""
        space = {
            key: {"low": one.low, "high": one.high, "log": one.log} if isinstance(one, Range) else _plain(one)
            for key, one in self.over.items()
        }
        search = {"random": self.search.random} if isinstance(self.search, RandomSearch) else self.search
        return {
            "over": space, "seeds": self.seeds, "by": self.by, **({"epochs": self.epochs} if self.epochs else {}),
            "search": search, "nested": self.nested, **({"untuned": list(self.untuned)} if self.untuned else {}),
            **({"halving": True} if self.halving else {}),
        }  # fmt: skip


def setting_text(setting: Setting) -> str:
    """A setting in a phrase.

    >>> setting_text((("train.lr", 0.01), ("train.momentum", 0.0)))
    'train.lr 0.01, train.momentum 0'
    """
    return ", ".join(f"{key} {as_in_study(value)}" for key, value in setting)


def _drawn(key: str, values: "tuple[Any, ...] | Range", number: int) -> Any:
    digest = hashlib.sha256(f"tune/{key}/{number}".encode()).digest()
    share = int.from_bytes(digest[:6], "big") / 2**48
    return values.at(share) if isinstance(values, Range) else values[int(share * len(values))]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return list(map(_plain, value)) if isinstance(value, tuple) else value
