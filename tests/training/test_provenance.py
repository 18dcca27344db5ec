"""A run records the code that trained it, including uncommitted changes."""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest
from running import trained

from emotune.config.run import RunConfig
from emotune.core.storage import Folder
from emotune.runs.directory import DIFF, RunDirectory
from emotune.training.loop import InterruptedRunError
from emotune.training.provenance import code_origin


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of two files, with nothing to commit."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "settings"))
    folder = tmp_path / "checkout"
    (folder / "emotune").mkdir(parents=True)
    (folder / "emotune" / "model.py").write_text("layers = 5\n")
    (folder / "emotune" / "photo.bin").write_bytes(bytes(range(256)))
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "-c", "user.name=me", "-c", "user.email=me@here", "commit", "--quiet", "--message", "first")
    return folder


def git(checkout: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", checkout, *arguments], check=True, capture_output=True, text=True).stdout


def recorded(checkout: Path, pool: Path) -> tuple[dict, bytes | None]:
    """The recorded state of the checkout, and the content of the diff that goes with it."""
    git_state = code_origin(Folder(str(pool)), checkout=checkout)["git"]
    return git_state, Folder(str(pool)).read(DIFF.format(git_state["diff"][:8])) if git_state["dirty"] else None


def test_committed_code_is_recorded_by_its_commit_alone(checkout: Path, tmp_path: Path):
    git_state, _ = recorded(checkout, tmp_path / "run")
    assert git_state == {"commit": git(checkout, "rev-parse", "HEAD").strip(), "dirty": False}
    assert not (tmp_path / "run").exists()


def test_the_kept_diff_makes_the_commit_into_the_code_that_ran(checkout: Path, tmp_path: Path):
    (checkout / "emotune" / "model.py").write_text("layers = 8\n")
    git_state, diff = recorded(checkout, tmp_path / "run")
    assert git_state["diff"] == hashlib.sha256(diff).hexdigest()
    assert [path.name for path in (tmp_path / "run").iterdir()] == [f"origin-{git_state['diff'][:8]}.diff"]
    git(checkout, "add", ".")  # what is about to be committed is no more committed than the rest
    assert recorded(checkout, tmp_path / "run")[0] == git_state
    git(checkout, "reset", "--quiet", "--hard")
    git(checkout, "apply", str(tmp_path / "run" / DIFF.format(git_state["diff"][:8])))
    assert (checkout / "emotune" / "model.py").read_text() == "layers = 8\n"


def test_untracked_files_are_named_and_bytes_of_others_left_out(checkout: Path, tmp_path: Path):
    (checkout / "emotune" / "photo.bin").write_bytes(bytes(range(255, -1, -1)))
    (checkout / "emotune" / "new.py").write_text("secret = 1\n")
    (checkout / "emotune" / "latin.py").write_bytes("# Übung\n".encode("latin-1"))
    git(checkout, "add", "emotune/latin.py")
    _, diff = recorded(checkout, tmp_path / "run")
    assert diff.startswith(b"# untracked: emotune/new.py\n")
    assert b"secret" not in diff
    assert b"Binary files a/emotune/photo.bin and b/emotune/photo.bin differ" in diff
    assert "+# Übung".encode("latin-1") in diff


def test_changes_beside_the_code_such_as_reports_and_studies_do_not_count(checkout: Path, tmp_path: Path):
    (checkout / "my-study.yaml").write_text("seeds: 3\n")
    (checkout / "reports").mkdir()
    (checkout / "reports" / "index.html").write_text("<html>")
    git(checkout, "add", "reports")
    assert recorded(checkout, tmp_path / "run")[0]["dirty"] is False


def test_the_users_own_git_settings_change_nothing(checkout: Path, tmp_path: Path):
    (checkout / "emotune" / "model.py").write_text("layers = 8\n")
    before = recorded(checkout, tmp_path / "run")
    settings = "[color]\nui = always\n[diff]\nnoprefix = true\nexternal = false\n[status]\nshowUntrackedFiles = no\n"
    (tmp_path / "settings").write_text(settings)
    assert recorded(checkout, tmp_path / "run") == before


def test_a_long_diff_is_cut_with_a_note_and_two_of_them_still_differ(checkout: Path, tmp_path: Path):
    digests = []
    for last in ("this", "that"):
        (checkout / "emotune" / "model.py").write_text("x = 1\n" * 100_000 + last)
        git_state, diff = recorded(checkout, tmp_path / "run")
        assert 199_000 < len(diff) < 200_300
        *_, kept, cut = diff.decode().splitlines()
        assert kept == "+x = 1"
        assert cut.startswith("# cut here: ")
        digests.append(git_state["diff"])
    assert len(set(digests)) == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_checkout_that_belongs_to_another_user_is_recorded_too(checkout: Path, tmp_path: Path):
    (checkout / "emotune" / "model.py").write_text("layers = 8\n")
    commit, before = git(checkout, "rev-parse", "HEAD").strip(), recorded(checkout, tmp_path / "run")
    for path in [checkout, *checkout.rglob("*")]:
        os.chown(path, 12345, 12345)
    refused = subprocess.run(["git", "-C", checkout, "status"], capture_output=True, text=True, check=False)
    assert "dubious ownership" in refused.stderr
    assert recorded(checkout, tmp_path / "run") == before
    assert before[0]["commit"] == commit


def test_git_variables_in_the_environment_have_no_effect(checkout: Path, tmp_path: Path, monkeypatch):
    commit = git(checkout, "rev-parse", "HEAD").strip()
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    assert recorded(checkout, tmp_path / "run")[0] == {"commit": commit, "dirty": False}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", ["clone", "worktree", "detached", "shallow"])
def test_without_git_the_commit_is_read_from_its_files_and_the_reason_kept(
    checkout, tmp_path, monkeypatch, kind, packed
):
    commit, code = git(checkout, "rev-parse", "HEAD").strip(), checkout
    if kind == "worktree":
        git(checkout, "worktree", "add", "--quiet", "-b", "other", str(code := tmp_path / "worktree"))
    elif kind == "detached":
        git(checkout, "checkout", "--quiet", "--detach")
    elif kind == "shallow":
        code = tmp_path / "shallow"
        git(checkout, "clone", "--quiet", "--depth", "1", f"file://{checkout}", str(code))
    if packed:
        git(checkout, "pack-refs", "--all")
    assert recorded(code, tmp_path / "run")[0] == {"commit": commit, "dirty": False}
    monkeypatch.setenv("PATH", str(tmp_path))
    git_state, _ = recorded(code, tmp_path / "run")
    assert git_state == {"commit": commit, "dirty": None, "unknown": git_state["unknown"]}
    assert "git" in git_state["unknown"]


def test_a_repository_that_git_cannot_read_is_recorded_with_gits_message(checkout: Path, tmp_path: Path):
    (checkout / ".git" / "HEAD").write_text("")
    git_state, _ = recorded(checkout, tmp_path / "run")
    assert (git_state["commit"], git_state["dirty"]) == (None, None)
    assert git_state["unknown"].count("fatal: ") == 1
    git(tmp_path, "init", "--quiet", "empty")
    (tmp_path / "empty" / "emotune").mkdir()
    assert recorded(tmp_path / "empty", tmp_path / "run")[0]["unknown"].startswith("git says: ")


def test_code_that_is_in_no_repository_has_no_commit(tmp_path: Path):
    assert code_origin(Folder(str(tmp_path / "run")), checkout=tmp_path)["git"] is None


def test_a_run_that_goes_on_with_changed_code_names_both_and_keeps_what_was_changed(
    run: RunConfig, checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(
        "emotune.training.loop.code_origin", lambda folder, libraries: code_origin(folder, checkout=checkout)
    )
    (checkout / "emotune" / "model.py").write_text("layers = 6\n")
    with pytest.raises(InterruptedRunError):
        trained(run, tmp_path, stop=lambda: True)
    (checkout / "emotune" / "model.py").write_text("layers = 7\n")
    record, _ = trained(run, tmp_path)
    first, second = (one["git"]["diff"] for one in record["origins"])
    for digest, text in ((first, b"+layers = 6"), (second, b"+layers = 7")):
        assert text in RunDirectory(str(tmp_path), run).folder.read(DIFF.format(digest[:8]))
