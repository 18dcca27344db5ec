"""The reference of data sources: what each command is for, its own options, and where its format is from."""

from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import get_args, get_type_hints

from docstrings import cell, prose

from emotune.data.sources.registry import SOURCES

__all__ = ["PARTS"]


def _source(name: str, source: type) -> str:
    hints = get_type_hints(source, include_extras=True)
    lines = []
    for field in fields(source):
        _, text, *_ = get_args(hints[field.name])
        option = field.name.upper() if field.default is MISSING else f"--{field.name.replace('_', '-')}"
        default = "needed" if field.default is MISSING else f"`{field.default}`" if field.default != "" else "–"
        lines.append(f"| `{option}` | {default} | {cell(text)} |")
    rows = "\n".join(["| option | default | |", "| - | - | - |", *lines]) if lines else ""
    return f"### `{name}`\n\n{prose(source)}\n\n{rows}".rstrip()


PARTS: dict[str, Callable[[], str]] = {
    "sources": lambda: "\n\n".join(_source(name, source) for name, source in SOURCES.items())
}
