"""Columns of the report's tables, each described once for HTML, Markdown and LaTeX, and the texts of their cells."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from emotune.config.scale import Scale, with_minus
from emotune.report import phrasing

__all__ = ["Column", "Table", "amount_text", "dataset_column", "heading", "number_text", "p_text"]

Format = Literal["html", "md", "tex"]
EVERYWHERE: tuple[Format, ...] = ("html", "md", "tex")
NOTHING = (phrasing.DASH, "none", "")
"""The texts of cells that say nothing."""
CSS = {"number": "n", "name": "name", "id": "id", "seeds": "seeds", "text": ""}


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: The heading.
        cell: The function that gives a row's text in this column.
        kind: The kind of text, which decides about alignment and line breaks.
        formats: The formats whose tables have this column.
        tex_title: The heading in LaTeX, if it is another one.
    """

    title: str
    cell: Callable[[Any], str]
    kind: Literal["number", "name", "id", "seeds", "text"] = "number"
    formats: tuple[Format, ...] = EVERYWHERE
    tex_title: str = ""

    @property
    def css(self) -> str:
        """The CSS class of the column's cells."""
        return CSS[self.kind]


@dataclass(frozen=True)
class Table:
    """Rows of any type and the columns that turn them into text."""

    columns: Sequence[Column]
    rows: Sequence[Any]

    def columns_in(self, file_format: Format) -> list[Column]:
        """The columns that one format shows, without those that say nothing about any row."""
        first, *others = (column for column in self.columns if file_format in column.formats)
        return [first, *(column for column in others if not self.rows or self._says_something(column))]

    def _says_something(self, column: Column) -> bool:
        return any(column.cell(row) not in NOTHING for row in self.rows)


def dataset_column(several: bool, of: Callable[[Any], str] = lambda row: row.dataset) -> Column:
    """The data set's name; the page shows it only if the study has several data sets."""
    return Column("data", of, "name", EVERYWHERE if several else ("md", "tex"))


def heading(scale: Scale) -> str:
    return f"{scale.short}, {scale.unit}" if scale.unit else scale.short


def p_text(p: float | None) -> str:
    return phrasing.DASH if p is None else phrasing.p_value(p).removeprefix("= ")


def number_text(value: float | None, template: str) -> str:
    return phrasing.DASH if value is None or pd.isna(value) else with_minus(template.format(value))


def amount_text(value: float | None) -> str:
    """Three significant digits, and no fractions from a hundred upwards."""
    return number_text(value, "{:,.0f}" if value is not None and value >= 100 else "{:.3g}")
