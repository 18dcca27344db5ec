from pathlib import Path

import pytest
from exported_study import Exported


@pytest.fixture
def exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Exported:
    monkeypatch.chdir(tmp_path)
    return Exported(tmp_path, str(tmp_path / "runs"))
