"""A study and a folder for its runs."""

from pathlib import Path

import pytest
from study_files import GOOD

from emotune.config.load import load_study
from emotune.config.study import Study
from emotune.runs.store import RunStore


@pytest.fixture
def study(write) -> Study:
    return load_study(write(GOOD, "own.yaml"))


@pytest.fixture
def pool(tmp_path: Path) -> str:
    return str(tmp_path / "runs")


@pytest.fixture
def store(pool: str) -> RunStore:
    return RunStore(pool)
