"""The metric that a study compares: one of emotune's or the user's own, its unit, and the smallest effect of interest.

emotune's are computed in `emotune.analysis.metrics`, the user's in `emotune.analysis.user_metric`.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import field
from typing import Annotated, Any, ClassVar, cast

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    JsonValue,
    StrictBool,
    StringConstraints,
    ValidationInfo,
    model_validator,
)
from pydantic.dataclasses import dataclass
from pydantic_core import ArgsKwargs

from emotune.config.epoch_selection import Select
from emotune.config.labels import has_polarity, no_polarity, wheel_of
from emotune.config.metric_scales import ALL_SCALES, MEASURED, SCALES, TASK_METRICS, MetricName, task_of, unfit
from emotune.config.scale import Scale
from emotune.config.target import Dimension, Target
from emotune.config.types import FORBID_UNKNOWN_KEYS, FrozenDict, Number, Positive
from emotune.config.user_code import UserCode, add_source
from emotune.core.errors import InputError

__all__ = ["SCALES", "Metric", "MetricCode", "MetricName"]

MIN_POINTS = 0.05
"""Smaller effects in percentage points are rejected: they were probably meant as a share of 1.

One image of a test split of 2,000 makes that difference.
"""
SMALLEST_EFFECT = 1e-6
"""The smallest effect of a metric of the user's own, far from what counts as a rounding error."""
OWN = ("options", "source", "title", "unit", "higher_is_better", "bounds")
"""The fields of a metric of the user's own."""

Title = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[^\x00-\x1f|<>`*\\\[\]]+$", max_length=40)]
Unit = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[\w %/.°²³µ-]*$", max_length=12)]


def _are_in_order(bounds: tuple[float | None, float | None]) -> tuple[float | None, float | None]:
    low, high = _ends(bounds)
    if not low < high:
        raise ValueError(f"the lowest possible value, {low:g}, is not below the highest, {high:g}")
    return bounds


Bounds = Annotated[tuple[Number | None, Number | None], AfterValidator(_are_in_order)]


@dataclass(frozen=True, kw_only=True, eq=False, config=FORBID_UNKNOWN_KEYS)
class MetricCode(UserCode):
    """A metric of the user's own: a function of the predictions of one run on its test images, which gives a number.

    It gets a `pandas.DataFrame` with a row for each test image, in the order of their keys, and may change it; and the
    options as keyword arguments. The columns are:

    ``key``                  the image's key, which names it in the shards
    ``label``                its class
    ``predicted``            the class with the highest probability, the first if several are equal
    ``probability_<class>``  the probability of each class, in the order of the classes; they sum to one
    ``share_<class>``        where distributions are predicted: the true share of each class in the votes

    All but the probabilities and shares are strings. It gives a finite number, as a float or an integer of Python or
    numpy, and the same number for the same predictions. It is executed by commands that train, never by ``--plan``,
    ``--report-only`` or ``status``.
    """

    POSITIONAL: ClassVar[int] = 1


def _check_min_effect(value: Any, info: ValidationInfo) -> Any:
    """The smallest effect of interest; its default is one point, for metrics of emotune whose unit are points.

    Other metrics have no default: one nat, or 1 of the Brier score's range of 2, would be too large.
    """
    given = info.data
    name: MetricName = given.get("name") or "accuracy"  # a wrong name is reported for itself
    title, scale = (_entry(given["code"]), _own_scale(given, 1.0)) if given.get("code") else (name, ALL_SCALES[name])
    if value is None and given.get("code"):
        raise ValueError(f"give the smallest difference of {title} that matters to you, for example min_effect: 1")
    if value is None and scale.difference_unit != "point":
        measured = "" if task_of(name) == "classes" else f"measures {MEASURED[task_of(name)]} and "
        raise ValueError(
            f"{name} {measured}is not in per cent: give the smallest difference that "
            "matters to you, for example min_effect: 0.05"
        )
    if value is None:
        return 1.0
    if not isinstance(value, int | float) or isinstance(value, bool):
        return value  # pydantic reports it
    if value >= scale.difference_bounds[1]:
        widest = scale.format_amount(scale.difference_bounds[1])
        raise ValueError(f"no two values of {title} differ by {widest} or more: give a smaller difference")
    if scale.difference_unit == "point" and 0 < value < MIN_POINTS:
        raise ValueError(
            f"is in percentage points, and {value:g} points are one image of {100 / value:,.0f}; "
            f"did you mean {100 * value:g}?"
        )
    if given.get("code") and 0 < value < SMALLEST_EFFECT:
        raise ValueError(f"{value:g} is less than {SMALLEST_EFFECT:g}; let {title} give its values in a smaller unit")
    return value


def _dimension_of(name: MetricName) -> str:
    """The dimension that a metric is about alone; empty if there is none."""
    return name.removeprefix("ccc_") if name.startswith("ccc_") else ""


def _entry(code: str) -> str:
    return code.rpartition(":")[2]


def _ends(bounds: tuple[float | None, float | None]) -> tuple[float, float]:
    """The bounds as numbers, which are infinite where a study gives none."""
    low, high = bounds
    return -math.inf if low is None else low, math.inf if high is None else high


def _own_scale(given: Mapping[str, Any], min_effect: float) -> Scale:
    """The scale of a metric of the user's own: a digit more than its ``min_effect`` has; per cent are from 0 to 100.

    Args:
        given: The fields of the `Metric`; one that is not valid is missing.
        min_effect: The smallest effect of interest.
    """
    unit = given.get("unit", "")
    title = given.get("title") or _entry(given["code"]).replace("_", " ").strip() or "metric"
    bounds = given.get("bounds") or ((0.0, 100.0) if unit == "%" else (None, None))
    return Scale(
        title, title, unit, "point" if unit == "%" else unit, max(0, 1 - math.floor(math.log10(min_effect))),
        given.get("higher_is_better", True), _ends(bounds), "s" if unit == "%" else "",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
class Metric:
    """The metric that a study compares, and the smallest effect of interest.

    A metric of the user's own is ``{code: metrics.py:worst_recall, unit: "%", min_effect: 2}``; see `MetricCode` for
    what the function gets and gives. It is no part of a run's identity: an edit of its code computes the values of
    finished runs anew and trains nothing, and undoing the edit finds the former values.

    Attributes:
        name: The name of the metric, one of `SCALES`; None: it is the user's own.
        code: The place of the user's own metric: ``metrics.py:worst_recall``, a file beside the study (in Python: in
            the working directory) and a function in it; or ``package.module:worst_recall``. Empty: it is emotune's.
        options: The keyword arguments of the user's own metric, which are checked against its definition.
        source: The text of its file; it is read from the file if it is not given.
        title: Its name in a sentence. Default: the function's name.
        unit: The unit of its values, whose differences are in the same unit; those of ``%`` are in points.
        higher_is_better: Whether its higher values are better.
        bounds: The lowest and the highest possible value, to which intervals are truncated; None for an end that has
            no bound. Default: 0 and 100 for ``%``, else no bounds.
        select: The epoch whose network is tested: the *last* one, or the one that is best on the validation images, the
            earliest of equal ones (*best_val*): of classes by the accuracy, of distributions and dimensions by this
            metric, see `emotune.config.epoch_selection`.
        test_curve: Whether the test accuracy is logged after every epoch, as in the thesis, which reports the highest
            of these accuracies. That number is optimistic and is shown only beside the other one.
        min_effect: The smallest difference that matters, in the metric's unit. Default: one point; metrics that are not
            in per cent, and those of the user's own, have no default.
    """

    name: MetricName | None = "accuracy"
    code: str = ""
    options: Mapping[str, JsonValue] = field(default=FrozenDict(), hash=False)
    source: str = ""
    title: Title | None = None
    unit: Unit = ""
    higher_is_better: StrictBool = True
    bounds: Bounds | None = None
    select: Select = "last"
    test_curve: bool = False
    min_effect: Annotated[Positive, BeforeValidator(_check_min_effect), Field(validate_default=True)] = cast(
        float, None
    )  # the validator replaces None

    @model_validator(mode="before")
    @classmethod
    def _is_one_metric(cls, value: Any, info: ValidationInfo) -> Any:
        """Reads the file of the user's own metric; what is for such a metric alone is refused for emotune's."""
        given = value.kwargs if isinstance(value, ArgsKwargs) else value
        given = dict(given) if isinstance(given, dict) else {"code": None}
        code = given.get("code", "")
        if not isinstance(code, str):
            return value  # pydantic reports it
        if code and given.get("name") is not None:
            raise ValueError(f'both name "{given["name"]}" and code are given; keep one')
        if code:
            given["name"] = None
            add_source(given, info, MetricCode.POSITIONAL)
        elif "name" in given and given["name"] is None:
            raise ValueError("give a name or code")
        defaults = {one.name: one.default for one in cls.__dataclass_fields__.values()}
        if not code and (others := [key for key in OWN if given.get(key, defaults[key]) != defaults[key]]):
            raise ValueError(f'"{others[0]}" is for a metric of your own (code); it would change nothing')
        return ArgsKwargs((), given) if isinstance(value, ArgsKwargs) else given

    @property
    def user_code(self) -> MetricCode | None:
        """The user's own metric; None if the metric is emotune's."""
        return MetricCode(code=self.code, options=dict(self.options), source=self.source) if self.code else None

    @property
    def column(self) -> str:
        """The metric's column in ``runs.csv``: its name, or that of the user's function after ``own_``."""
        return self.name or f"own_{_entry(self.code)}"

    @property
    def scale(self) -> Scale:
        """The unit, direction and format of the metric."""
        return ALL_SCALES[self.name] if self.name else _own_scale(vars(self), self.min_effect)

    @property
    def scales(self) -> Mapping[str, Scale]:
        """The scales of all metrics in the report, by column: the user's own if there is one, then the task's."""
        own = {self.column: self.scale} if self.name is None or self.task == "distributions" else {}
        task = "classes" if self.task == "distributions" else self.task  # all measures have a table of their own
        return own | {str(name): ALL_SCALES[name] for name in TASK_METRICS[task]}

    @property
    def task(self) -> Target:
        """The task of the metric; *classes* for the user's own."""
        return task_of(self.name) if self.name else "classes"

    def format_signed(self, difference: float) -> str:
        """The difference with its sign, and enough digits to show on which side of 0 and ± ``min_effect`` it is."""
        return self.scale.format_signed(difference, (0.0, self.min_effect, -self.min_effect))

    def format_interval(self, ends: tuple[float, float] | None) -> str:
        """The ends of the interval of a difference, ``-0.4 to +2.0``; ``none`` where there is none."""
        return " to ".join(map(self.format_signed, ends)) if ends else "none"

    def check_task(self, dataset: str, task: Target, dimensions: Sequence[Dimension] = ()) -> None:
        """Checks that the metric says something about what is predicted on a data set.

        Args:
            dataset: The data set's name.
            task: The task.
            dimensions: The dimensions that are predicted, if that is the task.

        Raises:
            InputError: it is a metric of another task or dimension, or the test curve is asked for, which is one of
                accuracies.
        """
        rated = task == "dimensions"
        own = [name for name in TASK_METRICS[task] if _dimension_of(name) in ("", *(one.name for one in dimensions))]
        if rated and self.code:
            raise InputError(
                f"metric.code: on {dataset}, dimensions are predicted, but a metric of your own gets a table of "
                f"predicted classes; choose one of {', '.join(own)}"
            )
        if (rated or self.task != "classes") and self.name not in own:
            problem = unfit(self.name, dataset, task)
            raise InputError(f"metric.name: {problem}; choose one of {', '.join(own)}")
        if rated and self.test_curve:
            raise InputError(
                f"metric.test_curve: on {dataset}, dimensions are predicted, but the curve is one of accuracies; "
                "leave it out"
            )

    def check_classes(self, dataset: str, classes: Collection[str]) -> None:
        """Checks that the metric makes sense for the classes of a data set.

        Raises:
            InputError: a class has no polarity, no wheel of emotions is known for the classes, or there are so few
                classes that two guesses are always right.
        """
        where = f"metric.name: {self.name} on {dataset}"
        if self.name in ("polarity_accuracy", "emd_polarity") and not has_polarity(classes):
            other = "accuracy" if self.name == "polarity_accuracy" else "kl"
            raise InputError(f"{where}: {no_polarity(classes)}; choose {other}, or another data set")
        if self.name == "emd_wheel":
            try:
                wheel_of(classes)
            except ValueError:
                raise InputError(
                    f"{where}: no wheel of emotions is known for the classes {', '.join(sorted(classes))}; choose kl, "
                    "or another data set"
                ) from None
        if self.name == "top2_accuracy" and len(classes) < 3:
            raise InputError(f"{where}: always 100 % with {len(classes)} classes; choose accuracy")
