"""Kinds of values in studies, runs and manifests, and how strictly they are read."""

import unicodedata
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field

__all__ = ["MOST_LABEL", "MOST_TEXT", "STRICT", "ClassName", "Count", "Digest", "Fraction", "Line", "Number",
           "Positive", "in_one_line", "no_truth_value"]  # fmt: skip

STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
MOST_LABEL = 100
"""Characters of a class's name."""
MOST_TEXT = 2000
"""Characters of what is said of a data set's source and licence."""


def no_truth_value(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("a number is needed, not true or false")  # pydantic collects these
    return value


def in_one_line(text: str) -> str:
    r"""The text with escapes for what cannot stand in a line: line breaks, control characters, what is no Unicode.

    >>> in_one_line("a\nb")
    'a\\nb'
    """
    bad = ("Cc", "Cs", "Zl", "Zp")
    return "".join(ascii(c)[1:-1] if unicodedata.category(c) in bad else c for c in text)


def _is_one_line(text: str) -> str:
    if in_one_line(text) != text:
        raise ValueError(f"has a character that cannot stand in a line: {in_one_line(text)}")
    return text


Number = Annotated[float, BeforeValidator(no_truth_value)]
Positive = Annotated[Number, Field(gt=0)]
Fraction = Annotated[Number, Field(ge=0, lt=1)]
Count = Annotated[int, BeforeValidator(no_truth_value), Field(ge=1)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
ClassName = Annotated[str, Field(min_length=1, max_length=MOST_LABEL), AfterValidator(_is_one_line)]
Line = Annotated[str, Field(max_length=MOST_TEXT), AfterValidator(_is_one_line)]
