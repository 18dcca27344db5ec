"""A table of text, read as `emotune.shard csv` reads it: its listing, or the refusal."""

from pathlib import Path

import pytest

from emotune.data.sources import Listing
from emotune.data.table import Csv
from emotune.errors import InputError


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
