"""A study in which faults strike, and the same study without faults."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from disturbed import Disturbed


@pytest.fixture(scope="session")
def undisturbed(once: Callable[..., Path], small_shards: Path) -> Disturbed:
    """The study without faults, for comparison; trained once for all test workers."""

    def train(folder: Path) -> None:
        with closing(Disturbed(folder, small_shards)) as study:
            ended = study.ablate()
            assert ended.code == 0, ended
            assert study.interruptions() == {"alexnet": 0, "attention": 0}

    return Disturbed(once("undisturbed", train), small_shards)


@pytest.fixture
def study(tmp_path: Path, small_shards: Path, undisturbed: Disturbed) -> Iterator[Disturbed]:
    """The same study, not yet begun."""
    with closing(Disturbed(tmp_path / "study", small_shards)) as study:
        yield study
