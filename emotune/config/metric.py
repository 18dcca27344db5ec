"""The metrics that a study can compare: names, units, directions, and the smallest effect of interest.

They are computed in `emotune.analysis.metrics`.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass as plain_dataclass
from types import MappingProxyType
from typing import Annotated, Any, Literal, cast

from pydantic import BeforeValidator, Field, ValidationInfo
from pydantic.dataclasses import dataclass

from emotune.config.labels import NEGATIVE, POSITIVE, has_polarity
from emotune.config.types import FORBID_UNKNOWN_KEYS, Positive
from emotune.core.errors import InputError

__all__ = ["ROUNDING", "SCALES", "SELECTIONS", "Metric", "MetricName", "Scale", "Select"]

MetricName = Literal[
    "accuracy", "balanced_accuracy", "macro_f1", "top2_accuracy", "polarity_accuracy", "nll", "brier", "ece"
]


@plain_dataclass(frozen=True)
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
    """

    title: str
    short: str
    unit: str = "%"
    difference_unit: str = "point"
    decimals: int = 1
    higher_is_better: bool = True
    bounds: tuple[float, float] = (0.0, 100.0)

    @property
    def difference_units(self) -> str:
        """The unit of differences in the plural: ``points``; empty if there is none."""
        return f"{self.difference_unit}s" if self.difference_unit else ""

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
            return "–" if math.isnan(number) else "∞" if number > 0 else "-∞"
        return f"{number:.{self.decimals}f}"

    def format_signed(self, number: float, marks: Collection[float] = (0.0,)) -> str:
        """The number with its sign, as in ``+5.0``.

        It has more digits if rounding would move it onto one of the ``marks``, or to its other side.

        >>> [SCALES["accuracy"].format_signed(number) for number in (5.04, -0.04, 0.0, -math.inf)]
        ['+5.0', '-0.04', '0.0', '-∞']
        """
        if not math.isfinite(number):
            return "–" if math.isnan(number) else "+∞" if number > 0 else "-∞"
        if abs(number) < ROUNDING:
            return f"{0:.{self.decimals}f}"
        return next(
            text for digits in range(self.decimals, MAX_DIGITS + 1)
            if _on_the_same_side(text := f"{number:+.{digits}f}", number, marks) or digits == MAX_DIGITS
        )  # fmt: skip

    def format_amount(self, number: float) -> str:
        """The difference with its unit: ``1 point``, ``0.5 points``."""
        return f"{number:g} {self.difference_unit if number == 1 else self.difference_units}".rstrip()


SCALES: Mapping[MetricName, Scale] = MappingProxyType(
    {
        "accuracy": Scale("accuracy", "accuracy"),
        "balanced_accuracy": Scale("balanced accuracy", "balanced"),
        "macro_f1": Scale("macro-F1", "macro-F1"),
        "top2_accuracy": Scale("top-2 accuracy", "top-2"),
        "polarity_accuracy": Scale("polarity accuracy", "polarity"),
        "nll": Scale("negative log-likelihood", "NLL", "nats", "nat", 3, False, (0.0, math.inf)),
        "brier": Scale("Brier score", "Brier", "", "", 3, False, (0.0, 2.0)),
        "ece": Scale("expected calibration error", "ECE", higher_is_better=False),
    }
)
"""The metrics by the name of their column in ``runs.csv``."""

ROUNDING = 1e-9
"""Differences smaller than this, in the unit of any metric, are rounding errors."""
MAX_DIGITS = 9


def _on_the_same_side(text: str, number: float, marks: Collection[float]) -> bool:
    """Whether the written number is below, at or above each mark, as the number itself is."""
    return all((float(text) > m) == (number > m) and (float(text) < m) == (number < m) for m in marks)


Select = Literal["last", "best_val"]
SELECTIONS = MappingProxyType({"last": "last epoch", "best_val": "best validation accuracy"})
"""The rules that choose the epoch whose network is tested, in words."""

MIN_POINTS = 0.05
"""Smaller effects in percentage points are rejected: they were probably meant as a share of 1.

One image of a test split of 2,000 makes that difference.
"""


def _check_min_effect(value: Any, info: ValidationInfo) -> Any:
    """The smallest effect of interest; its default is one point, for metrics whose unit are points.

    Other metrics have no default: one nat, or 1 of the Brier score's range of 2, would be too large.
    """
    name = info.data.get("name", "accuracy")  # a wrong name is reported for itself
    if value is None and SCALES[name].difference_unit != "point":
        raise ValueError(
            f"{name} is not in per cent: give the smallest difference that matters to you, for example min_effect: 0.05"
        )
    if value is None:
        return 1.0
    scale, number = SCALES[name], isinstance(value, int | float) and not isinstance(value, bool)
    if number and value >= scale.difference_bounds[1]:
        widest = scale.format_amount(scale.difference_bounds[1])
        raise ValueError(f"no two values of {name} differ by {widest} or more: give a smaller difference")
    if number and scale.difference_unit == "point" and 0 < value < MIN_POINTS:
        raise ValueError(
            f"is in percentage points, and {value:g} points are one image of {100 / value:,.0f}; "
            f"did you mean {100 * value:g}?"
        )
    return value


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class Metric:
    """The metric that a study compares, and the smallest effect of interest.

    Attributes:
        name: The name of the metric, one of `SCALES`.
        select: The epoch whose network is tested: the *last* one, or the one with the highest validation accuracy, the
            earliest of equal ones (*best_val*).
        test_curve: Whether the test accuracy is logged after every epoch, as in the thesis, which reports the highest
            of these accuracies. That number is optimistic and is shown only beside the other one.
        min_effect: The smallest difference that matters, in the metric's unit. Default: one point; metrics that are not
            in per cent have no default.
    """

    name: MetricName = "accuracy"
    select: Select = "last"
    test_curve: bool = False
    min_effect: Annotated[Positive, BeforeValidator(_check_min_effect), Field(validate_default=True)] = cast(
        float, None
    )  # the validator replaces None

    @property
    def scale(self) -> Scale:
        """The unit, direction and format of the metric."""
        return SCALES[self.name]

    def format_signed(self, difference: float) -> str:
        """The difference with its sign, and enough digits to show on which side of 0 and ± ``min_effect`` it is."""
        return self.scale.format_signed(difference, (0.0, self.min_effect, -self.min_effect))

    def check_classes(self, dataset: str, classes: Collection[str]) -> None:
        """Checks that the metric makes sense for the classes of a data set.

        Raises:
            InputError: a class has no polarity, or there are so few classes that two guesses are always right.
        """
        where = f"metric.name: {self.name} on {dataset}"
        if self.name == "polarity_accuracy" and not has_polarity(classes):
            unclear = ", ".join(c for c in classes if c not in POSITIVE | NEGATIVE)
            why = f"neither positive nor negative: {unclear}" if unclear else "all classes are of one polarity"
            raise InputError(f"{where}: {why}; choose accuracy, or another data set")
        if self.name == "top2_accuracy" and len(classes) < 3:
            raise InputError(f"{where}: always 100 % with {len(classes)} classes; choose accuracy")
