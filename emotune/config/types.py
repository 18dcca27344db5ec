"""Pydantic field types that studies, runs and manifests share."""

import unicodedata
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field

__all__ = [
    "FORBID_UNKNOWN_KEYS",
    "MAX_CLASS_NAME",
    "MAX_TEXT",
    "ClassName",
    "Count",
    "Digest",
    "Fraction",
    "Number",
    "Positive",
    "SingleLine",
    "escape_control_characters",
    "reject_bool",
]  # fmt: skip

FORBID_UNKNOWN_KEYS = ConfigDict(extra="forbid", allow_inf_nan=False)
MAX_CLASS_NAME = 100
"""Maximum number of characters of a class name."""
MAX_TEXT = 2000
"""Maximum number of characters of the texts about a data set's source and licence."""


def reject_bool(value: Any) -> Any:
    """Raises a ValueError for true and false, which pydantic would take for 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("a number is needed, not true or false")
    return value


def escape_control_characters(text: str) -> str:
    r"""Escapes the characters that cannot be in a line: line breaks, control characters, invalid Unicode.

    >>> escape_control_characters("a\nb")
    'a\\nb'
    """
    bad = ("Cc", "Cs", "Zl", "Zp")
    return "".join(ascii(c)[1:-1] if unicodedata.category(c) in bad else c for c in text)


def _is_one_line(text: str) -> str:
    if escape_control_characters(text) != text:
        raise ValueError(f"contains a character that cannot be in a line: {escape_control_characters(text)}")
    return text


Number = Annotated[float, BeforeValidator(reject_bool)]
Positive = Annotated[Number, Field(gt=0)]
Fraction = Annotated[Number, Field(ge=0, lt=1)]
Count = Annotated[int, BeforeValidator(reject_bool), Field(ge=1)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
ClassName = Annotated[str, Field(min_length=1, max_length=MAX_CLASS_NAME), AfterValidator(_is_one_line)]
SingleLine = Annotated[str, Field(max_length=MAX_TEXT), AfterValidator(_is_one_line)]
