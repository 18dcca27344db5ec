"""The scale of a metric: unit, direction, bounds, and how numbers are written."""

import math
from collections.abc import Collection
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["ROUNDING", "VALIDATION_SCALES", "Scale", "with_minus"]

ROUNDING = 1e-9
"""Differences smaller than this, in the unit of any metric, are rounding errors."""
MAX_DIGITS = 9


@dataclass(frozen=True)
class Scale:
    """The unit, the direction and the format of a metric's values.

    Attributes:
        title: The metric's name in a sentence.
        short: The metric's name as a column heading.
        unit: The unit of values: ``%``, ``nats``, or an empty string.
        difference_unit: The unit of a difference, in the singular.
        decimals: The number of decimals to print.
        higher_is_better: Whether higher values are better.
        bounds: The lowest and the highest possible value.
        plural: The ending of ``difference_unit`` in the plural.
    """

    title: str
    short: str
    unit: str = "%"
    difference_unit: str = "point"
    decimals: int = 1
    higher_is_better: bool = True
    bounds: tuple[float, float] = (0.0, 100.0)
    plural: str = "s"

    @property
    def difference_units(self) -> str:
        """The unit of differences in the plural: ``points``; empty if there is none."""
        return f"{self.difference_unit}{self.plural}" if self.difference_unit else ""

    @property
    def label(self) -> str:
        """The label of an axis: ``accuracy, %``."""
        return ", ".join(filter(None, [self.title, self.unit]))

    @property
    def difference_bounds(self) -> tuple[float, float]:
        """The lowest and the highest possible difference of two values."""
        width = self.bounds[1] - self.bounds[0]
        return -width, width

    def format(self, number: float) -> str:
        """The number with its decimals, as in ``61.2``; a dash for NaN."""
        if not math.isfinite(number):
            return "–" if math.isnan(number) else "∞" if number > 0 else "−∞"
        return with_minus(f"{number:.{self.decimals}f}")

    def format_signed(self, number: float, marks: Collection[float] = (0.0,)) -> str:
        """The number with its sign, as in ``+5.0``.

        It has more digits if rounding would move it onto one of the ``marks``, or to its other side.

        >>> [Scale("accuracy", "accuracy").format_signed(number) for number in (5.04, -0.04, 0.0, -math.inf)]
        ['+5.0', '−0.04', '0.0', '−∞']
        """
        if not math.isfinite(number):
            return "–" if math.isnan(number) else "+∞" if number > 0 else "−∞"
        if abs(number) < ROUNDING:
            return f"{0:.{self.decimals}f}"
        return next(
            with_minus(text) for digits in range(self.decimals, MAX_DIGITS + 1)
            if _on_the_same_side(text := f"{number:+.{digits}f}", number, marks) or digits == MAX_DIGITS
        )  # fmt: skip

    def format_amount(self, number: float) -> str:
        """The difference with its unit: ``1 point``, ``0.5 points``."""
        return f"{number:g} {self.difference_unit if number == 1 else self.difference_units}".rstrip()


VALIDATION_SCALES = MappingProxyType(
    {
        "val_accuracy": Scale("validation accuracy", "validation"),
        "val_loss": Scale(
            "validation loss", "validation loss", "", "", 3, higher_is_better=False, bounds=(0.0, math.inf)
        ),
        "val_ccc": Scale("validation CCC", "validation CCC", "", "", 3, bounds=(-1.0, 1.0)),
    }
)
"""The scales of what settings are compared by in tuning, see `emotune.config.tuning`."""


def with_minus(number: str) -> str:
    """A written number with a minus sign, as in figures, in the place of a leading hyphen.

    >>> with_minus("-0.4"), with_minus("1e-05")
    ('−0.4', '1e-05')
    """
    return f"−{number[1:]}" if number.startswith("-") else number


def _on_the_same_side(text: str, number: float, marks: Collection[float]) -> bool:
    """Whether the written number is below, at or above each mark, as the number itself is."""
    return all((float(text) > m) == (number > m) and (float(text) < m) == (number < m) for m in marks)
