"""The listing of a CSV table given as text, or the message of its InputError."""

from pathlib import Path

import pytest

from emotune.core.errors import InputError
from emotune.data.sources.base import Listing
from emotune.data.sources.csv_source import Csv


def listing(table: Path, text: str, labels: str = "mikels", encoding: str = "utf-8") -> Listing:
    table.write_bytes(text.encode(encoding))
    return Csv(table, labels).listing()


def refusal(table: Path, text: str, labels: str = "mikels", encoding: str = "utf-8") -> list[str]:
    """The lines of the message, each of which names the table."""
    with pytest.raises(InputError) as caught:
        listing(table, text, labels, encoding)
    lines = str(caught.value).splitlines()
    assert str(table) in lines[0]
    return [line.removeprefix(str(table)) for line in lines]
