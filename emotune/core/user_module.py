"""Runs the text of a user's Python file as a module, with tracebacks that show the user's lines."""

import hashlib
import linecache
import sys
import traceback
from functools import lru_cache
from types import ModuleType, TracebackType
from typing import Any

from emotune.core.errors import InputError

__all__ = ["load_object", "user_line"]


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


def user_line(trace: TracebackType | None, file: str) -> str:
    """The place of an error in a user's file, such as ``nets.py, line 12``: the last line of it that was reached."""
    lines = [frame.lineno for frame in traceback.extract_tb(trace) if frame.filename.startswith(f"{file} [")]
    return f"{file}, line {lines[-1]}" if lines else file


@lru_cache(maxsize=64)
def _module(source: str, file: str) -> ModuleType:
    digest = hashlib.sha256(source.encode()).hexdigest()[:8]
    shown = f"{file} [{digest}]"  # two versions of a file may be run in one process
    package, _, last = file.removesuffix(".py").rpartition(".")
    module = ModuleType(f"{last}_{digest}")
    module.__package__ = "" if file.endswith(".py") else package
    module.__file__ = shown
    linecache.cache[shown] = (len(source), None, source.splitlines(keepends=True), shown)
    sys.modules[module.__name__] = module  # dataclasses and pickle look their module up by its name
    try:
        exec(compile(source, shown, "exec", dont_inherit=True), module.__dict__)
    except Exception as error:
        del sys.modules[module.__name__]
        raise InputError(_explain(error, file)) from error
    return module


def _explain(error: Exception, file: str) -> str:
    place = user_line(error.__traceback__, file)
    if isinstance(error, ModuleNotFoundError):
        return (
            f"{place}: needs {error.name}, which is not installed here; install it on every machine, or put what is "
            "needed into the file itself"
        )
    return f"{place}: {type(error).__name__}: {error}; correct the file"
