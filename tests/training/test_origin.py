"""What a record says of the code that trained the run."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from emotune.storage import Folder
from emotune.training import record


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A real repository with one commit, which takes the place of emotune's own."""
    place = tmp_path / "checkout"
    place.mkdir()
    (place / "loop.py").write_text("lr = 0.01\n")
    identity = ["-c", "user.name=x", "-c", "user.email=x@localhost"]
    for command in (["init", "-q"], ["add", "."], [*identity, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", "-C", str(place), *command], check=True)
    monkeypatch.setattr(record, "CHECKOUT", place)
    return place


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


def origin(run: Path) -> dict:
    return record.origin(Folder(str(run)))["git"]


def test_a_clean_checkout_is_its_commit_and_leaves_no_file(checkout: Path, run: Path):
    head = subprocess.run(["git", "-C", str(checkout), "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    assert origin(run) == {"commit": head.stdout.strip(), "dirty": False}
    assert not list(run.iterdir())


def test_what_was_not_committed_is_kept_beside_the_run_and_named_by_its_hash(checkout: Path, run: Path):
    (checkout / "loop.py").write_text("lr = 0.02  # Müller\n")
    (checkout / "new.py").write_text("")
    git = origin(run)
    (file,) = run.iterdir()
    assert file.name == f"origin-{git['diff'][:8]}.diff"
    assert hashlib.sha256(file.read_bytes()).hexdigest() == git["diff"]
    text = file.read_text()
    assert "-lr = 0.01\n+lr = 0.02  # Müller\n" in text
    assert text.startswith("# not in the commit: new.py\n")


def test_a_huge_difference_is_cut_and_says_so(checkout: Path, run: Path):
    (checkout / "loop.py").write_text("x = 1\n" * 100_000)
    origin(run)
    (file,) = run.iterdir()
    assert len(file.read_bytes()) < record.DIFF_BYTES + 100
    assert file.read_text().splitlines()[-1].startswith("# cut here: ")


def test_an_installed_wheel_has_no_commit(tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(record, "CHECKOUT", tmp_path / "elsewhere")
    assert origin(run) is None
