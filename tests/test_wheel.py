import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_wheel_holds_the_library_alone_and_runs_the_quickstart_from_anywhere(tmp_path: Path):
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(CHECKOUT)]
    subprocess.run(build, check=True)
    (wheel,) = tmp_path.glob("emotune-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}
        archive.extractall(tmp_path / "site")
    assert {top for top in tops if not top.endswith(".dist-info")} == {"emotune"}
    assert (tmp_path / "site" / "emotune" / "py.typed").exists()
    plan = subprocess.run(
        [sys.executable, "-m", "emotune.ablate", "--plan"],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(tmp_path / "site")}, check=True, capture_output=True,
        text=True,
    )  # fmt: skip
    assert "15 runs" in plan.stdout
    assert (tmp_path / "site" / "emotune" / "report" / "templates" / "report.html").exists()
