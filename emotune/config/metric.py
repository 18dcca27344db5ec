"""What a study compares: a metric of the test images, the unit it is told in, and which way is better.

How each is computed stands in `emotune.analysis.metrics`.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass as plain_dataclass
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo
from pydantic.dataclasses import dataclass

from emotune.config.labels import NEGATIVE, POSITIVE, has_polarity
from emotune.config.types import FORBID_UNKNOWN_KEYS, Positive
from emotune.core.errors import InputError

__all__ = ["ROUNDING", "SCALES", "SELECTIONS", "Metric", "Scale", "Select"]


@plain_dataclass(frozen=True)
class Scale:
    """How a metric's values are read and written.

    Attributes:
        title: Its name in a sentence.
        short: Its name over a column.
        unit: Of its values: ``%``, ``nats``, or none.
        difference_unit: What a difference is counted in.
        decimals: That are worth printing.
        higher_is_better: Or lower.
        bounds: The lowest and the highest value that there is.
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
        """Differences' unit, after a comma or a number: ``points``; empty if there is none."""
        return f"{self.difference_unit}s" if self.difference_unit else ""

    @property
    def label(self) -> str:
        """Of an axis: ``accuracy, %``."""
        return ", ".join(filter(None, [self.title, self.unit]))

    @property
    def difference_bounds(self) -> tuple[float, float]:
        """The lowest and the highest difference of two values that there is."""
        width = self.bounds[1] - self.bounds[0]
        return -width, width

    def format(self, number: float) -> str:
        """``61.2``; a dash where it is not defined."""
        if not math.isfinite(number):
            return "–" if math.isnan(number) else "∞" if number > 0 else "-∞"
        return f"{number:.{self.decimals}f}"

    def format_signed(self, number: float, marks: Collection[float] = (0.0,)) -> str:
        """``+5.0``; with more digits where it would else be read as one of the ``marks``, or beyond it.

        >>> [SCALES["accuracy"].format_signed(number) for number in (5.04, -0.04, 0.0, -math.inf)]
        ['+5.0', '-0.04', '0.0', '-∞']
        """
        if not math.isfinite(number):
            return "–" if math.isnan(number) else "+∞" if number > 0 else "-∞"
        if abs(number) < ROUNDING:
            return f"{0:.{self.decimals}f}"
        return next(
            text for digits in range(self.decimals, MOST_DIGITS + 1)
            if _on_the_same_side(text := f"{number:+.{digits}f}", number, marks) or digits == MOST_DIGITS
        )  # fmt: skip

    def format_amount(self, number: float) -> str:
        """A difference as it was asked for: ``1 point``, ``0.5 points``."""
        return f"{number:g} {self.difference_unit if number == 1 else self.difference_units}".rstrip()


SCALES = MappingProxyType(
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
"""By the name of their column in ``runs.csv``."""

ROUNDING = 1e-9
"""In the unit of any metric; smaller differences are rounding errors."""
MOST_DIGITS = 9


def _on_the_same_side(text: str, number: float, marks: Collection[float]) -> bool:
    """Whether a number as it is written is under, at or over each mark as the number itself is."""
    return all((float(text) > m) == (number > m) and (float(text) < m) == (number < m) for m in marks)


Select = Literal["last", "best_val"]
SELECTIONS = MappingProxyType({"last": "last epoch", "best_val": "best validation accuracy"})
"""Which epoch's network is tested, in words."""


LEAST_POINTS = 0.05
"""Who names less means a share: in a test split of fewer than 2,000 images one image makes more."""


def _own_unit(value: Any, info: ValidationInfo) -> Any:
    """One point where points are the unit; one nat, or half of the Brier score's range, would hide everything."""
    name = info.data.get("name", "accuracy")  # a wrong name is reported for itself
    if value is None and SCALES[name].difference_unit != "point":
        raise ValueError(f"{name} is not in per cent: say which difference would matter, for example min_effect: 0.05")
    if value is None:
        return 1.0
    scale, number = SCALES[name], isinstance(value, int | float) and not isinstance(value, bool)
    if number and value >= scale.difference_bounds[1]:
        widest = scale.format_amount(scale.difference_bounds[1])
        raise ValueError(f"no two values of {name} differ by {widest} or more: name a smaller difference")
    if number and scale.difference_unit == "point" and 0 < value < LEAST_POINTS:
        raise ValueError(
            f"is in percentage points, and {value:g} points are one image of {100 / value:,.0f}; "
            f"did you mean {100 * value:g}?"
        )
    return value


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class Metric:
    """What is compared. ``min_effect`` is the smallest difference, in the metric's own unit, that would matter to the
    asker; one point unless it says otherwise, and to be said where the metric is not in per cent.

    ``select``: tested is the network of the *last* epoch, or of the one with the highest validation accuracy, of equal
    ones the earliest (*best_val*). ``test_curve``: the test images are looked at after every epoch as well, as in the
    thesis, whose number is the highest of these accuracies: optimistic, and to be shown beside the other only.
    """

    name: Literal[tuple(SCALES)] = "accuracy"
    select: Select = "last"
    test_curve: bool = False
    min_effect: Annotated[Positive, BeforeValidator(_own_unit), Field(validate_default=True)] = None

    @property
    def scale(self) -> Scale:
        """Its unit and direction."""
        return SCALES[self.name]

    def format_signed(self, difference: float) -> str:
        """``+5.0``; with more digits where it must be seen on which side of 0 and of ± ``min_effect`` it is."""
        return self.scale.format_signed(difference, (0.0, self.min_effect, -self.min_effect))

    def check_classes(self, dataset: str, classes: Collection[str]) -> None:
        """Looks at whether the metric says anything about a data set's classes.

        Raises:
            InputError: there are classes without polarity, or so few that two guesses are always right.
        """
        where = f"metric.name: {self.name} on {dataset}"
        if self.name == "polarity_accuracy" and not has_polarity(classes):
            unclear = ", ".join(c for c in classes if c not in POSITIVE | NEGATIVE)
            why = f"neither positive nor negative: {unclear}" if unclear else "all classes are of one polarity"
            raise InputError(f"{where}: {why}; take accuracy, or other data")
        if self.name == "top2_accuracy" and len(classes) < 3:
            raise InputError(f"{where}: always 100 % with {len(classes)} classes; take accuracy")
