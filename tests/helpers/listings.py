"""Write files of public data sets, and read what their sources list."""

from pathlib import Path

import pytest

from emotune.core.errors import InputError
from emotune.data.manifest import Problem


def write(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*lines, ""]))
    return path


def refusal(source) -> list[str]:
    with pytest.raises(InputError) as caught:
        source.listing()
    return str(caught.value).splitlines()


def labels(listing) -> dict[str, str]:
    return {entry.source: entry.label for entry in listing.entries}


def left_out(listing) -> list[tuple[str, str, Problem]]:
    return [(row.source, row.label, row.problem) for row in listing.left_out]
