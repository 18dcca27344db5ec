"""The target of a data set: what each image is labelled with, and so what a network on it is to predict."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from emotune.config.types import FORBID_UNKNOWN_KEYS, Number

__all__ = ["TARGETS", "Dimension", "Target", "can_give", "dimension_problems", "parse_scale"]

Target = Literal["classes", "distributions", "dimensions"]
"""*classes*: one class per image, the one that most annotators chose. *distributions*: the shares of all annotators'
votes, so that images whose votes tie are there, too. *dimensions*: numbers on stated scales, such as valence.
"""
TARGETS: tuple[Target, ...] = ("classes", "distributions", "dimensions")


@dataclass(frozen=True, config=FORBID_UNKNOWN_KEYS)
class Dimension:
    """A quantity that annotators rate on a stated scale, such as valence from 1 to 7.

    >>> valence = Dimension("valence", 1, 7)
    >>> valence.centre, valence.to_unit(7), valence.from_unit(-0.5)
    (4.0, 1.0, 2.5)

    Attributes:
        name: The name in columns and figures.
        low: The lowest possible rating.
        high: The highest possible rating.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]
    low: Number
    high: Number

    @model_validator(mode="after")
    def _is_a_scale(self) -> "Dimension":
        if not self.low < self.high:
            raise ValueError(f"the scale of {self.name} is from {self.low:g} to {self.high:g}: give a lower end first")
        return self

    @property
    def centre(self) -> float:
        """The middle of the scale."""
        return (self.low + self.high) / 2

    @property
    def scale(self) -> str:
        """The scale in words, ``1 to 7``."""
        return f"{self.low:g} to {self.high:g}"

    def to_unit(self, rating: Any) -> Any:
        """A rating, or an array of ratings, on the scale from −1 to 1, as networks predict it."""
        return (rating - self.centre) / (self.high - self.low) * 2

    def from_unit(self, value: Any) -> Any:
        """The inverse of `to_unit`."""
        return value * (self.high - self.low) / 2 + self.centre


def dimension_problems(target: Target, dimensions: Sequence[Dimension]) -> list[str]:
    """The problems with the dimensions of a data set with a target; empty if they fit it.

    >>> dimension_problems("dimensions", [])
    ['dimensions: at least one is needed']
    """
    names = [one.name for one in dimensions]
    if len(set(names)) < len(names):
        return ["dimensions: one is listed twice"]
    if (target == "dimensions") == bool(names):
        return []
    return [f'dimensions: the target is "{target}"' if names else "dimensions: at least one is needed"]


def parse_scale(text: str) -> tuple[float, float]:
    """The ends of a scale in a text such as ``1..9`` or ``-3..3``.

    Raises:
        ValueError: these are not two numbers, the lower one first.
    """
    try:
        low, high = map(float, text.split(".."))
    except ValueError:
        raise ValueError(f'"{text}" is not a scale; write its ends as in 1..9 or -3..3') from None
    Dimension("scale", low, high)
    return low, high


def can_give(target: Target, task: Target) -> bool:
    """Whether a data set with a target can be used for a task.

    Votes are stored with classes, too. But where images with a tie are kept, not every image has a class.

    >>> can_give("classes", "distributions"), can_give("distributions", "classes"), can_give("classes", "dimensions")
    (True, False, False)
    """
    return target == task or (target, task) == ("classes", "distributions")
