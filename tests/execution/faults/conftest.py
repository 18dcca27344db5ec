"""A study in which faults strike."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from disturbed import Disturbed


@pytest.fixture
def study(tmp_path: Path, small_shards: Path, undisturbed: Disturbed) -> Iterator[Disturbed]:
    """The study of `undisturbed` with two variants, not yet begun."""
    with closing(Disturbed(tmp_path / "study", small_shards)) as study:
        yield study
