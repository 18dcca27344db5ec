"""Kinds of values in studies and runs, and how strictly they are read."""

from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field

__all__ = ["STRICT", "Count", "Fraction", "Number", "Positive", "no_truth_value"]

STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)


def no_truth_value(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("a number is needed, not true or false")  # pydantic collects these
    return value


Number = Annotated[float, BeforeValidator(no_truth_value)]
Positive = Annotated[Number, Field(gt=0)]
Fraction = Annotated[Number, Field(ge=0, lt=1)]
Count = Annotated[int, BeforeValidator(no_truth_value), Field(ge=1)]
