"""Pydantic field types that studies, runs and manifests share."""

import unicodedata
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, NoReturn

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field

__all__ = [
    "FORBID_UNKNOWN_KEYS",
    "MAX_CLASS_NAME",
    "MAX_TEXT",
    "ClassName",
    "Count",
    "Digest",
    "Fraction",
    "FrozenDict",
    "Number",
    "Positive",
    "SingleLine",
    "as_in_study",
    "escape_control_characters",
    "number_of",
    "reject_bool",
    "reject_unused",
]  # fmt: skip

FORBID_UNKNOWN_KEYS = ConfigDict(extra="forbid", allow_inf_nan=False)
MAX_CLASS_NAME = 100
"""Maximum number of characters of a class name."""
MAX_TEXT = 2000
"""Maximum number of characters of the texts about a data set's source and licence."""


def _refuse(mapping: object, *_: Any, **__: Any) -> NoReturn:
    raise TypeError("this mapping cannot be changed")


_REFUSE: Any = _refuse  # for type checkers, which compare each method that it replaces


class FrozenDict(dict[str, Any]):
    """A mapping that cannot be changed, so that the dataclass which has it can be hashed. Its values are hashable."""

    def __hash__(self) -> int:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]  # dict has none
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[type["FrozenDict"], tuple[dict[str, Any]]]:  # for pickle and copy
        return FrozenDict, (dict(self),)

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _REFUSE


def reject_bool(value: Any) -> Any:
    """Raises a ValueError for true and false, which pydantic would take for 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("a number is needed, not true or false")
    return value


def reject_unused(config: Any, names: Iterable[str], why: str) -> None:
    """Raises a ValueError if an option without effect differs from its default.

    Args:
        config: An instance of a config's dataclass.
        names: The names of the options without effect.
        why: The reason.
    """
    for name in names:
        if getattr(config, name) != getattr(type(config), name):
            raise ValueError(f'"{name}" is set, but {why}: it would change nothing')


def number_of(value: Any) -> float | None:
    """The value as a number, also if it is written as ``1e-4``, which is a text to YAML; None for others."""
    try:
        return None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None


def as_in_study(value: Any) -> str:
    """The value of an option in one line, as a study has it.

    >>> as_in_study({"betas": (0.9, 0.95), "amsgrad": True})
    '{betas: [0.9, 0.95], amsgrad: true}'
    """
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {as_in_study(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(as_in_study, value))}]"
    if value is None or isinstance(value, bool):
        return "none" if value is None else str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


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
