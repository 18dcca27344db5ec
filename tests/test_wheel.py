"""What is published: built from the checkout as a release is, checked, and installed into an empty environment."""

import importlib.metadata
import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with sdist and wheel; the wheel is made from the sdist."""
    for tool in ("build", "twine"):
        pytest.importorskip(tool)
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--outdir", str(folder), str(CHECKOUT)]
    subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
    return folder


@pytest.fixture(scope="module")
def installed(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python in an environment that holds the wheel, and finds its dependencies in the one of the tests."""
    folder = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    (wheel,) = published.glob("emotune-*.whl")
    pip = [sys.executable, "-m", "pip", "--python", str(python)]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--no-index", str(wheel)], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def test_wheel_and_sdist_are_as_the_package_index_wants_them(published: Path):
    files = [str(path) for path in sorted(published.iterdir())]
    assert [path.rpartition(".")[2] for path in files] == ["whl", "gz"]
    check = subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *files], text=True,
                           capture_output=True, check=False, env=os.environ | {"NO_COLOR": "1"})  # fmt: skip
    assert check.returncode == 0, check.stdout
    assert check.stdout.count("PASSED") == 2


def test_the_wheel_holds_the_library_alone_and_names_the_versions_of_python(published: Path):
    (wheel,) = published.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (described,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        metadata = importlib.metadata.PathDistribution(zipfile.Path(archive, described).parent).metadata
    assert {top for name in names if not (top := name.split("/")[0]).endswith(".dist-info")} == {"emotune"}
    assert {"emotune/py.typed", "emotune/report/templates/report.html", "emotune/ablations/quickstart.yaml"} <= {*names}
    versions = {line.rpartition(" ")[2] for line in metadata.get_all("Classifier", []) if "Python :: 3." in line}
    assert versions == {"3.11", "3.12", "3.13", "3.14"}
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "Apache-2.0"


def test_the_sdist_holds_what_its_own_tests_read(published: Path):
    (sdist,) = published.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    tracked = subprocess.run(["git", "ls-files"], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    left_out = {path for path in tracked.stdout.splitlines() if path not in names and (CHECKOUT / path).exists()}
    assert {path.split("/")[0] for path in left_out} <= {".ci", ".github", ".gitignore", ".pre-commit-config.yaml"}


def test_the_installed_wheel_plans_the_quickstart_from_anywhere(installed: Path, tmp_path: Path):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    where = subprocess.run([installed, "-c", "import emotune; print(emotune.__file__)"], cwd=tmp_path, check=True,
                           env=environment, capture_output=True, text=True)  # fmt: skip
    assert Path(where.stdout.strip()).is_relative_to(installed.parents[1])
    plan = subprocess.run([installed, "-m", "emotune.ablate", "--plan"], cwd=tmp_path, check=True,
                          env=environment, capture_output=True, text=True)  # fmt: skip
    assert "15 runs" in plan.stdout
