"""A user's own code in a study: the text of a file and a name in it, read and checked without being run.

``nets.py:Tiny`` names a class or function in a file beside the study, ``package.module:Tiny`` one in an installed
module. The text of the file becomes a part of the run's configuration, with which it reaches every worker. A run is
identified by the parsed text without comments and docstrings, so only an edit that may change a result makes runs new.
"""

import ast
import hashlib
import importlib.machinery
import json
import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass as plain_dataclass
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, JsonValue, ValidationInfo, model_validator
from pydantic.dataclasses import dataclass
from pydantic_core import ArgsKwargs

from emotune.config.types import FORBID_UNKNOWN_KEYS
from emotune.core.errors import closest, suggest

__all__ = ["Parameter", "UserCode", "as_code", "parameters_of", "shown_options", "source_digest"]


@dataclass(frozen=True, kw_only=True, config=FORBID_UNKNOWN_KEYS)
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
        given = dict(value.kwargs or {}) if isinstance(value, ArgsKwargs) else value
        if not isinstance(given, dict) or not isinstance(given.get("code"), str):
            return value  # pydantic reports it
        folder = Path((info.context or {}).get("folder", "."))
        source = given.get("source") or _read(given["code"], folder)
        if isinstance(source, str) and isinstance(options := given.get("options", {}), dict):
            _check_options(given["code"], source, list(map(str, options)), cls.POSITIONAL)
        given["source"] = source
        return ArgsKwargs((), given) if isinstance(value, ArgsKwargs) else given

    def __str__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in self.options.items())
        return f"{self.code}({options}) {source_digest(self.source)[:8]}"

    def __hash__(self) -> int:
        return hash(json.dumps(self.identity, sort_keys=True))

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
        """What may change a result, as JSON: the name, the options that differ from their defaults, and the code."""
        defaults = {p.name: p.default for p in parameters_of(self.source, self.entry) or () if p.has_default}
        options = {
            name: value
            for name, value in self.options.items()
            if not (name in defaults and _same(value, defaults[name]))
        }
        return {"entry": self.entry, "options": options, "source": source_digest(self.source)}


def as_code(value: Any) -> Any:
    """``losses.py:focal`` as ``{code: losses.py:focal}``; all other values are left as they are."""
    return {"code": value} if isinstance(value, str) and ":" in value else value


def shown_options(config: Any) -> dict[str, Any]:
    """The options of a config as plans and tables show them: for the text of a user's file stands its digest."""
    options = {one.name: getattr(config, one.name) for one in fields(config)}
    if isinstance(config, UserCode):
        del options["options"]
        options |= {f"options.{name}": value for name, value in config.options.items()}
        options["source"] = source_digest(config.source)[:8]
    return {name: str(value) if isinstance(value, UserCode) else value for name, value in options.items()}


@plain_dataclass(frozen=True)
class Parameter:
    """A parameter of a user's function.

    Attributes:
        name: The parameter's name.
        has_default: Whether it may be left out.
        default: The value of its default if that is a literal; else an object that equals nothing else.
    """

    name: str
    has_default: bool
    default: Any = None


@lru_cache(maxsize=64)
def source_digest(source: str) -> str:
    """The sha256 of Python source without comments, docstrings, formatting and line numbers, in hexadecimal.

    It is that of the same text under every version of Python whose grammar the text is in.

    >>> source_digest("def f():\\n    return 1  # one") == source_digest("def f():\\n    'One.'\\n\\n    return (1)")
    True
    >>> source_digest("def f(): return 1") == source_digest("def f(): return 2")
    False
    """
    return hashlib.sha256(json.dumps(_plain(_parse(source))).encode()).hexdigest()


@lru_cache(maxsize=64)
def parameters_of(source: str, entry: str, positional: int = 0) -> tuple[Parameter, ...] | None:
    """The keyword parameters of a function, or of a class's constructor, according to the source.

    Args:
        source: The text of the file.
        entry: The name of the function or class.
        positional: The number of leading parameters that are passed by position, which are left out.

    Returns:
        The parameters; None if the source alone does not say them: the constructor is inherited from another file,
        takes ``**kwargs``, or the name is assigned or imported.
    """
    tree = _parse(source)
    function = _callable(tree, entry)
    if function is None or function.args.kwarg:
        return None
    args = function.args
    names = [*args.posonlyargs, *args.args]
    method = isinstance(_definitions(tree).get(entry), ast.ClassDef)
    defaults: list[ast.expr | None] = [None] * (len(names) - len(args.defaults)) + list(args.defaults)
    pairs = list(zip(names, defaults, strict=True))[int(method) + positional :]
    pairs += list(zip(args.kwonlyargs, args.kw_defaults, strict=True))
    return tuple(Parameter(arg.arg, default is not None, _literal(default)) for arg, default in pairs)


@lru_cache(maxsize=64)
def _parse(source: str) -> ast.Module:
    """The syntax tree of a source; nobody may change it."""
    return ast.parse(source)


def _read(code: str, folder: Path) -> str:
    """The text of the file or module that ``code`` names.

    Raises:
        ValueError: it cannot be found or read, or ``code`` has another form.
    """
    place, _, entry = code.rpartition(":")
    if not place or not entry.isidentifier():
        raise ValueError(f'"code" is "{code}"; give FILE.py:NAME or package.module:NAME')
    path = folder / place if place.endswith(".py") else _module_file(place)
    if path is None:
        raise ValueError(f'"code": no module "{place}" is installed here; give its name, or a file beside the study')
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        near = closest(place, (other.name for other in folder.glob("*.py"))) if place.endswith(".py") else None
        hint = f'; did you mean "{near}"?' if near else "; put it beside the study"
        raise ValueError(f'"code": there is no file {path.resolve()}{hint}') from None
    except (OSError, UnicodeError) as error:
        raise ValueError(f'"code": {path.resolve()} cannot be read ({error})') from None


def _module_file(module: str) -> Path | None:
    """The file of an installed module, found without importing anything; None if there is none."""
    places: Sequence[str] | None = sys.path
    path = None
    for name in module.split("."):
        spec = importlib.machinery.PathFinder.find_spec(name, places) if places is not None else None
        if spec is None:
            return None
        path, places = spec.origin, spec.submodule_search_locations
    return Path(path) if path and path.endswith(".py") else None


def _check_options(code: str, source: str, options: Collection[str], positional: int) -> None:
    """Raises a ValueError if the source has no such name, or the name has no such options or lacks some."""
    file, _, entry = code.rpartition(":")
    try:
        names = _definitions(_parse(source))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None)
        raise ValueError(
            f'"code": {file}{f", line {line}" if line else ""}: {getattr(error, "msg", error)}; correct the file'
        ) from None
    if entry not in names:
        raise ValueError(f'"code": {file} defines no "{entry}"{suggest(entry, names)}')
    parameters = parameters_of(source, entry, positional)
    if parameters is None:
        return
    valid = [parameter.name for parameter in parameters]
    for option in options:
        if option not in valid:
            raise ValueError(f'"options.{option}": {entry} in {file} has no such option{suggest(option, valid)}')
    for parameter in parameters:
        if not parameter.has_default and parameter.name not in options:
            raise ValueError(f'"options.{parameter.name}" is missing: {entry} in {file} needs it')


def _definitions(tree: ast.Module) -> dict[str, ast.stmt]:
    """The statements of a module that define a name, by the name; later ones replace earlier ones."""
    return {name: statement for statement in tree.body for name in _defined_names(statement)}


def _defined_names(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, ast.ClassDef | ast.FunctionDef):
        yield statement.name
    elif isinstance(statement, ast.Assign | ast.AnnAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        yield from (target.id for target in targets if isinstance(target, ast.Name))
    elif isinstance(statement, ast.Import | ast.ImportFrom):
        yield from (alias.asname or alias.name.partition(".")[0] for alias in statement.names)
    else:
        for name in ("body", "orelse", "handlers", "finalbody"):  # definitions inside `if` and `try`
            for inner in getattr(statement, name, []):
                yield from _defined_names(inner)


def _callable(tree: ast.Module, entry: str) -> ast.FunctionDef | None:
    """The function of this name, or the constructor of the class of this name or of its base in the same file."""
    names = _definitions(tree)
    definition = names.get(entry)
    while isinstance(definition, ast.ClassDef):
        for statement in definition.body:
            if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
                return statement
        base = definition.bases[0] if len(definition.bases) == 1 else None
        inherited = names.get(base.id) if isinstance(base, ast.Name) else None
        definition = inherited if inherited is not definition else None
    return definition if isinstance(definition, ast.FunctionDef) else None


def _literal(node: ast.expr | None) -> Any:
    try:
        return object() if node is None else ast.literal_eval(node)
    except (ValueError, TypeError):
        return object()


def _same(value: Any, default: Any) -> bool:
    """Whether an option has its default; a list in a study is a tuple in Python."""
    default = list(default) if isinstance(default, tuple) else default
    return type(value) is type(default) and value == default


def _plain(node: Any) -> Any:
    """A syntax tree as JSON, without docstrings and without what is empty or differs between versions of Python."""
    if isinstance(node, ast.AST):
        fields = {name: value for name, value in ast.iter_fields(node) if name not in ("ctx", "type_comment", "kind")}
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and _has_docstring(
            node
        ):
            fields["body"] = fields["body"][1:]
        return [type(node).__name__, {name: _plain(value) for name, value in fields.items() if value not in (None, [])}]
    if isinstance(node, list):
        return [_plain(item) for item in node]
    return node if isinstance(node, str | int) and not isinstance(node, bool) else repr(node)


def _has_docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    first = node.body[0] if node.body else None
    return isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
