"""Runs the text of a user's Python file as a module, with tracebacks that show the user's lines."""

import copy
import hashlib
import linecache
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache, partial
from types import ModuleType, TracebackType
from typing import Any

from emotune.core.errors import InputError

__all__ = ["load_function", "load_object", "user_errors"]


@lru_cache(maxsize=64)
def load_object(source: str, file: str, name: str) -> Any:
    """The object that a file defines, after running the file's text once in this process.

    Args:
        source: The text of the file.
        file: The file's name, or the name of an installed module, whose relative imports then work.
        name: The name of a class or function in it.

    Raises:
        InputError: the text cannot be run, or does not define the name.
    """
    module = _module(source, file)
    try:
        return getattr(module, name)
    except AttributeError:
        raise InputError(f'{file} defines no "{name}" when it is run; define it at the top level of the file') from None


def load_function(source: str, file: str, name: str, options: Mapping[str, Any]) -> Callable[..., Any]:
    """A function, or a class, of a user's file with its options; the other arguments are as for `load_object`.

    Raises:
        InputError: the text cannot be run, or the name is not something that can be called.
    """
    function = load_object(source, file, name)
    if not callable(function):
        raise InputError(f"{file}: {name} is a {type(function).__name__}; it must be a function or a class")
    return partial(function, **copy.deepcopy(dict(options)))


@contextmanager
def user_errors(what: str, file: str) -> Iterator[None]:
    """A block that runs a user's code; whatever it raises becomes an `InputError`.

    Args:
        what: The beginning of the message.
        file: The user's file, of which the message names the line.
    """
    try:
        yield
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        place = _user_line(error.__traceback__, file)
        raise InputError(f"{what}: {place}: {type(error).__name__}: {error}") from error


def _user_line(trace: TracebackType | None, file: str) -> str:
    """The place of an error in a user's file, such as ``nets.py, line 12``: the last line of it that was reached."""
    lines = [frame.lineno for frame in traceback.extract_tb(trace) if frame.filename.startswith(f"{file} [")]
    return f"{file}, line {lines[-1]}" if lines else file


@lru_cache(maxsize=64)
def _module(source: str, file: str) -> ModuleType:
    digest = hashlib.sha256(source.encode()).hexdigest()[:8]
    shown = f"{file} [{digest}]"  # two versions of a file may be run in one process
    package, _, last = file.removesuffix(".py").rpartition(".")
    module = ModuleType(f"{last}_{hashlib.sha256(shown.encode()).hexdigest()[:8]}")
    module.__package__ = "" if file.endswith(".py") else package
    module.__file__ = shown
    linecache.cache[shown] = (len(source), None, source.splitlines(keepends=True), shown)
    sys.modules[module.__name__] = module  # dataclasses and pickle look their module up by its name
    try:
        exec(compile(source, shown, "exec", dont_inherit=True), module.__dict__)
    except (Exception, SystemExit) as error:
        del sys.modules[module.__name__]
        raise InputError(_explain(error, file)) from error
    return module


def _explain(error: BaseException, file: str) -> str:
    place = _user_line(error.__traceback__, file)
    if isinstance(error, ModuleNotFoundError):
        return (
            f"{place}: needs {error.name}, which is not installed here; install it on every machine, or put what is "
            "needed into the file itself"
        )
    return f"{place}: {type(error).__name__}: {error}; correct the file"
