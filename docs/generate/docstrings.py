"""Texts of docstrings, for tables in Markdown."""

import inspect
import logging
import re
from functools import cache

import griffe

__all__ = ["attributes", "cell", "first_paragraph", "prose"]

logging.getLogger("griffe").setLevel(logging.ERROR)


@cache
def _sections(text: str) -> tuple[griffe.DocstringSection, ...]:
    return tuple(griffe.Docstring(inspect.cleandoc(text)).parse("google", warnings=False))


def attributes(kind: type) -> dict[str, str]:
    """The texts of the docstrings of a class and of its bases on its attributes."""
    texts: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        if one is object or "__doc__" not in vars(one) or not one.__doc__:
            continue
        for section in _sections(one.__doc__):
            if section.kind in (griffe.DocstringSectionKind.attributes, griffe.DocstringSectionKind.parameters):
                texts |= {item.name: item.description for item in section.value}
    return texts


def prose(kind: object) -> str:
    """A docstring without its list of attributes, in Markdown."""
    text = (getattr(kind, "__doc__", "") or "").strip()
    parts = [part.value for part in _sections(text) if part.kind is griffe.DocstringSectionKind.text]
    return markdown("\n\n".join(parts))


def first_paragraph(kind: object) -> str:
    """The first paragraph of a docstring, in one line."""
    return " ".join(prose(kind).split("\n\n")[0].split())


def markdown(text: str) -> str:
    """reStructuredText of a docstring as Markdown: code has single backticks."""
    return re.sub(r"``([^`]+)``", r"`\1`", text)


def cell(text: str) -> str:
    """A text in a cell of a table."""
    return " ".join(markdown(text).split()).replace("|", "\\|")
