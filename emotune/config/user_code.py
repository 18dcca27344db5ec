"""A user's own code in a study: the text of a file and a name in it, read and checked without being run.

``nets.py:Tiny`` names a class or function in a file beside the study, ``package.module:Tiny`` one in an installed
module. The text of the file becomes a part of the run's configuration, with which it reaches every worker. A run is
identified by the parsed text without comments and docstrings, so only an edit that may change a result makes runs new.
"""

import json
from collections.abc import Hashable
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BeforeValidator, Field, JsonValue, TypeAdapter, ValidationError, ValidationInfo, model_validator
from pydantic.dataclasses import dataclass
from pydantic_core import ArgsKwargs

from emotune.config.pydantic_words import in_plain_words
from emotune.config.python_source import check_options, parameters_of, read_source, source_digest
from emotune.config.types import FORBID_UNKNOWN_KEYS
from emotune.core.errors import closest, suggest

__all__ = ["UserCode", "add_source", "code_or_name", "parse_code"]


@dataclass(frozen=True, kw_only=True, eq=False, config=FORBID_UNKNOWN_KEYS)
class UserCode:
    """A class or function of the user's, and the options that it is called with.

    Attributes:
        code: The place of the definition: ``nets.py:Tiny``, a file beside the study (in Python: in the working
            directory) and a name in it; or ``package.module:Tiny``, an installed module.
        options: The keyword arguments, which are checked against the definition.
        source: The text of the file; it is read from the file if it is not given.
    """

    POSITIONAL: ClassVar[int] = 0
    """The number of positional arguments that emotune passes before the options."""

    code: str
    options: dict[str, JsonValue] = Field(default_factory=dict)
    source: str = ""

    @model_validator(mode="before")
    @classmethod
    def _read_source(cls, value: Any, info: ValidationInfo) -> Any:
        """Adds the text of the file, and checks that the name is there and has these options."""
        given = value.kwargs if isinstance(value, ArgsKwargs) else value
        given = dict(given) if isinstance(given, dict) else {}
        if not isinstance(given.get("code"), str):
            return value  # pydantic reports it
        add_source(given, info, cls.POSITIONAL)
        return ArgsKwargs((), given) if isinstance(value, ArgsKwargs) else given

    def __str__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in self.options.items())
        return f"{self.code}({options}) {source_digest(self.source)[:8]}"

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and isinstance(other, UserCode) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    @property
    def _key(self) -> tuple[Hashable, ...]:
        """The fields as texts, which are compared: in JSON, 1, 1.0 and true are not the same."""
        return self.code, json.dumps(self.options, sort_keys=True), self.source

    @property
    def file(self) -> str:
        """The name of the file or module, for messages and tracebacks."""
        return self.code.rpartition(":")[0]

    @property
    def entry(self) -> str:
        """The name of the class or function in the file."""
        return self.code.rpartition(":")[2]

    @property
    def identity(self) -> dict[str, Any]:
        """The parts that may change a result, as JSON: the name, options that are not defaults, and the code."""
        defaults = {p.name: p.default for p in parameters_of(self.source, self.entry) or () if p.has_default}
        options = {
            name: value
            for name, value in self.options.items()
            if not (name in defaults and _same(value, defaults[name]))
        }
        return {"entry": self.entry, "options": options, "source": source_digest(self.source)}


def add_source(given: dict[str, Any], info: ValidationInfo, positional: int) -> None:
    """Adds the text of a file to the fields of a `UserCode`, and checks its name and options; for validators.

    Args:
        given: The fields, of which ``code`` is a text.
        info: The validation, whose context has the ``folder`` of the study.
        positional: The number of positional arguments that emotune passes before the options.

    Raises:
        ValueError: the file cannot be read, or does not define the name with these options.
    """
    folder = (info.context or {"folder": "."})["folder"]
    if not given.get("source") and folder is None:
        raise ValueError(f'"source": the text of {given["code"]} is missing')
    source = given.get("source") or read_source(given["code"], Path(folder))
    if isinstance(source, str) and isinstance(options := given.get("options", {}), dict):
        check_options(given["code"], source, list(map(str, options)), positional)
    given["source"] = source


def code_or_name(kind: type[UserCode], *names: str) -> BeforeValidator:
    """The validator of an option that is one of a few names or the user's code, as ``FILE.py:NAME`` or as a mapping.

    Args:
        kind: The class of the code.
        names: The names.
    """

    def validate(value: Any, info: ValidationInfo) -> Any:
        value = parse_code(kind, value, info)
        if value not in names and not isinstance(value, kind):
            valid = ", ".join((*names, "FILE.py:NAME", "{code: FILE.py:NAME, options: {…}}"))
            raise ValueError(
                f'"{value}" is unknown{suggest(value, names) if closest(str(value), names) else f"; valid: {valid}"}'
            )
        return value

    return BeforeValidator(validate)


def parse_code(kind: type[UserCode], value: Any, info: ValidationInfo) -> Any:
    """The user's code, if the value is ``FILE.py:NAME`` or a mapping; else the value as it is.

    Raises:
        ValueError: the code cannot be read, or its options are wrong.
    """
    if isinstance(value, str) and ":" in value:
        value = {"code": value}
    if not isinstance(value, dict):
        return value
    try:
        return TypeAdapter(kind).validate_python(value, context=info.context)
    except ValidationError as error:
        lines = [(one["loc"], "missing" if one["type"] == "missing" else in_plain_words(one)) for one in error.errors()]
        texts = [f'"{".".join(map(str, place))}": {text}' if place else str(text) for place, text in lines]
        raise ValueError("; ".join(texts)) from None


def _same(value: Any, default: Any) -> bool:
    """Whether an option has its default; a list in a study is a tuple in Python."""
    default = list(default) if isinstance(default, tuple) else default
    return type(value) is type(default) and value == default
