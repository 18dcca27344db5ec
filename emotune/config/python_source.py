"""Python source, read without being run: the text of a file, its names and their parameters, and a digest."""

import ast
import hashlib
import importlib.machinery
import json
import re
import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from emotune.core.errors import closest, suggest

__all__ = ["Parameter", "check_options", "parameters_of", "read_source", "source_digest"]

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
"""Names that a run's folder can begin with."""
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
END = "end"


@dataclass(frozen=True)
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
    digest = hashlib.sha256()
    for token in _tokens(_parse(source)):
        digest.update(json.dumps(token).encode())
    return digest.hexdigest()


@lru_cache(maxsize=64)
def parameters_of(source: str, entry: str, positional: int = 0) -> tuple[Parameter, ...] | None:
    """The keyword parameters of a function, or of a class's constructor, according to the source.

    Args:
        source: The text of the file.
        entry: The name of the function or class.
        positional: The number of leading parameters that are passed by position, which are left out.

    Returns:
        The parameters; None if the source alone does not say them: the constructor is inherited from another file,
        is decorated, takes ``**kwargs``, or the name is assigned or imported.
    """
    tree = _parse(source)
    function = _callable(tree, entry)
    if function is None or function.args.kwarg or function.decorator_list:
        return None
    args = function.args
    names, by_position = [*args.posonlyargs, *args.args], len(args.posonlyargs)
    method = isinstance(_definitions(tree).get(entry), ast.ClassDef)
    defaults: list[ast.expr | None] = [None] * (len(names) - len(args.defaults)) + list(args.defaults)
    pairs = list(zip(names, defaults, strict=True))[max(int(method) + positional, by_position) :]
    pairs += list(zip(args.kwonlyargs, args.kw_defaults, strict=True))
    return tuple(Parameter(arg.arg, default is not None, _literal(default)) for arg, default in pairs)


@lru_cache(maxsize=64)
def _parse(source: str) -> ast.Module:
    """The syntax tree of a source; nobody may change it."""
    return ast.parse(source)


def read_source(code: str, folder: Path) -> str:
    """The text of the file or module that ``code`` names.

    Raises:
        ValueError: it cannot be found or read, or ``code`` has another form.
    """
    place, _, entry = code.rpartition(":")
    if not place or not NAME.fullmatch(entry):
        raise ValueError(f'"code" is "{code}"; give FILE.py:NAME or package.module:NAME')
    path = folder / place if place.endswith(".py") else _module_file(place)
    if path is None:
        raise ValueError(
            f'"code": no file of a module "{place}" is found here; install it without an import hook, or give a file '
            "beside the study"
        )
    try:
        return path.read_text(encoding="utf-8-sig")  # some editors write a byte order mark
    except FileNotFoundError:
        near = closest(place, (other.name for other in folder.glob("*.py"))) if place.endswith(".py") else None
        hint = f'; did you mean "{near}"?' if near else "; put it beside the study"
        raise ValueError(f'"code": there is no file {path.resolve()}{hint}') from None
    except (OSError, ValueError) as error:  # a folder; not UTF-8; a name with a null byte
        raise ValueError(f'"code": {place} cannot be read ({getattr(error, "strerror", None) or error})') from None


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


def check_options(code: str, source: str, options: Collection[str], positional: int) -> None:
    """Raises a ValueError if the source has no such name, or the name has no such options or lacks some."""
    file, _, entry = code.rpartition(":")
    try:
        names = _definitions(_parse(source))
        source_digest(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None)
        raise ValueError(
            f'"code": {file}{f", line {line}" if line else ""}: {getattr(error, "msg", error)}; correct the file'
        ) from None
    if entry not in names and "*" not in names:
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
        yield from (one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name))
    elif isinstance(statement, ast.Import | ast.ImportFrom):
        yield from (alias.asname or alias.name.partition(".")[0] for alias in statement.names)
    elif isinstance(statement, ast.If | ast.Try | ast.With | ast.ExceptHandler):
        for name in ("body", "orelse", "handlers", "finalbody"):
            for inner in getattr(statement, name, []):
                yield from _defined_names(inner)


def _callable(tree: ast.Module, entry: str) -> ast.FunctionDef | None:
    """The function of this name, or the constructor of the class of this name or of its base in the same file."""
    names = _definitions(tree)
    definition, seen = names.get(entry), set[ast.stmt]()
    while isinstance(definition, ast.ClassDef) and definition not in seen:
        seen.add(definition)
        for statement in definition.body:
            if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
                return statement
        base = definition.bases[0] if len(definition.bases) == 1 else None
        definition = names.get(base.id) if isinstance(base, ast.Name) else None
    return definition if isinstance(definition, ast.FunctionDef) else None


def _literal(node: ast.expr | None) -> Any:
    try:
        return object() if node is None else ast.literal_eval(node)
    except (ValueError, TypeError):
        return object()


def _tokens(tree: ast.Module) -> Iterator[str | int | list[str]]:
    """A syntax tree as JSON values, without docstrings and without what is empty or differs between Python's versions.

    It has a stack of its own, because real code nests deeper than recursion may: a long chain of ``elif`` does.
    """
    stack: list[Any] = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Constant):
            value = node.value
            text = value if isinstance(value, str) else hex(value) if type(value) is int else repr(value)
            yield [type(value).__name__, text]
        elif isinstance(node, ast.AST):
            fields = {key: value for key, value in ast.iter_fields(node) if key not in ("ctx", "type_comment", "kind")}
            if isinstance(node, DOCUMENTED) and _has_docstring(node):
                fields["body"] = fields["body"][1:]
            yield type(node).__name__
            stack.append(END)
            stack += [item for key, value in fields.items() if value not in (None, []) for item in (value, key)]
        elif isinstance(node, list):
            stack += [END, *reversed(node)]
        else:
            yield node if isinstance(node, str | int) else repr(node)


def _has_docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    first = node.body[0] if node.body else None
    return isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
