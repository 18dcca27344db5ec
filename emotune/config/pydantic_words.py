"""Messages of pydantic about single values, in the words of a study file, which knows no types of Python."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from emotune.config.types import as_in_study
from emotune.core.errors import closest

__all__ = ["in_plain_words"]

NEEDED = MappingProxyType({
    "tuple_type": "a list is needed",
    "list_type": "a list is needed",
    "dict_type": "a mapping of keys to values is needed",
    "mapping_type": "a mapping of keys to values is needed",
    "int_parsing": "a whole number is needed",
    "int_type": "a whole number is needed",
    "int_from_float": "a whole number is needed",
    "float_parsing": "a number is needed",
    "float_type": "a number is needed",
    "finite_number": "a finite number is needed",
    "bool_type": "true or false is needed",
    "bool_parsing": "true or false is needed",
    "string_type": "a text is needed",
    "string_too_short": "a text is needed",
})  # fmt: skip
"""The rule that a value has broken, by pydantic's type of error."""
LIMITS = MappingProxyType({
    "greater_than_equal": ("ge", "is too small; give {} or more"),
    "greater_than": ("gt", "is too small; give more than {}"),
    "less_than_equal": ("le", "is too large; give {} or less"),
    "less_than": ("lt", "is too large; give less than {}"),
    "too_short": ("min_length", "is too short; give {} or more"),
})  # fmt: skip
"""The key of a limit in pydantic's context, and the message about it, by type of error."""
MOST_CHARACTERS = 80
"""Characters of a value that a message shows."""


def in_plain_words(error: Mapping[str, Any]) -> str:
    """The problem with a value; of errors that validators raise their messages, of rare types pydantic's.

    Args:
        error: An item of `pydantic.ValidationError.errors`.

    >>> in_plain_words({"type": "literal_error", "input": "misvm", "ctx": {"expected": "'mi_svm', 'mean' or 'max'"}})
    '"misvm" is unknown; did you mean "mi_svm"? valid: mi_svm, mean, max'
    >>> in_plain_words({"type": "greater_than_equal", "input": 0, "ctx": {"ge": 1}})
    '0 is too small; give 1 or more'
    """
    kind, found, context = error["type"], _shown(error["input"]), error.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error" and (valid := re.findall(r"'([^']*)'", context["expected"])):
        close = closest(str(error["input"]), valid)
        meant = f'did you mean "{close}"? ' if close else ""
        return f"{found} is unknown; {meant}valid: {', '.join(valid)}"
    if kind in LIMITS:
        key, text = LIMITS[kind]
        return f"{found} {text.format(as_in_study(context[key]))}"
    return f"{NEEDED.get(kind, error.get('msg'))} (found {found})"


def _shown(value: Any) -> str:
    """A value as a study has it, texts in quotation marks, cut where it is long."""
    if isinstance(value, str):
        text = f'"{value}"'
    elif isinstance(value, dict | list | tuple):
        text = repr(value)  # it may contain itself
    else:
        text = "nothing" if value is None else as_in_study(value)
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}…"
