"""Study files that tests write, and what is wrong with them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from emotune.config.load import load_study
from emotune.config.run import DatasetRef
from emotune.core.errors import InputError

HEAD = "question: Does it help?\ndatasets: [scenes]\nbaseline: plain\n"
GOOD = HEAD + "variants:\n  plain: {}\n  wide: {model.width: 2}\n"
DATA = DatasetRef(name="scenes", location="scenes", content_hash="ab" * 32)
"""A data set of which no more than its name is needed."""

Write = Callable[..., Path]


def mistakes(path: Path) -> list[str]:
    """The lines of the error, without the file's name that each of them must begin with."""
    with pytest.raises(InputError) as caught:
        load_study(path)
    lines = str(caught.value).splitlines()
    assert all(line.startswith(f"{path}: ") for line in lines), lines
    return [line.removeprefix(f"{path}: ") for line in lines]


def is_about(line: str, key: str, *parts: object) -> bool:
    """Whether a mistake is reported under this key and names each of these, however it is worded."""
    return line.startswith(f"{key}: ") and all(str(part) in line.removeprefix(f"{key}: ") for part in parts)
