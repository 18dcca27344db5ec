"""The code that a run is trained with: commit, versions, and what was changed since the commit."""

import hashlib
import importlib.metadata
import os
import platform
import re
import subprocess
from pathlib import Path

from emotune.core.storage import Folder
from emotune.runs.directory import DIFF
from emotune.runs.record import CodeOrigin, GitState

__all__ = ["code_origin"]

PACKAGES = ("emotune", "torch", "torchvision", "ray", "numpy", "pandas", "pillow")
CODE = ("--", Path(__file__).parents[1].name)
"""Studies and reports beside it do not train."""
STATUS = ("status", "--porcelain", "--untracked-files=normal", *CODE)
CHANGES = ("diff", "--no-color", "--no-ext-diff", "--no-textconv", "--src-prefix=a/", "--dst-prefix=b/", "HEAD", *CODE)
"""Whatever the user's own settings are."""
CHECKOUT = Path(__file__).parents[2]
MOST_BYTES = 200_000
"""Of a diff that is kept."""


def code_origin(folder: Folder, checkout: Path = CHECKOUT) -> CodeOrigin:
    """The code that runs, now. To be asked at the start: a checkout may change under a run.

    Args:
        folder: The run's; what was changed since the commit is written into it.
        checkout: Where emotune's code is.

    Returns:
        ``versions`` by package, and ``git``: ``commit``, ``dirty``, and if so ``diff``, the sha256 of the run's file
        ``origin-<its first 8>.diff``. Where git does not tell, ``unknown`` says why, ``dirty`` is None, and ``commit``
        what git's files say, or None. ``git`` is None where emotune is installed from a wheel.
    """
    return {"git": _git(folder, checkout), "versions": {"python": platform.python_version(), **_versions()}}


def _versions() -> dict[str, str]:
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue  # ray is not needed where runs are trained under torchrun
    return versions


def _git(folder: Folder, checkout: Path) -> GitState | None:
    if not (checkout / ".git").exists():
        return None
    try:
        commit, status = _run(checkout, "rev-parse", "HEAD").decode().strip(), _run(checkout, *STATUS).splitlines()
        if not status:
            return {"commit": commit, "dirty": False}
        untracked = [b"# untracked: " + line[3:] + b"\n" for line in status if line.startswith(b"?? ")]
        diff = _cut(b"".join(untracked) + _run(checkout, *CHANGES))
    except FileNotFoundError:
        return {"commit": _head(checkout), "dirty": None, "unknown": "git is not installed where it was trained"}
    except (OSError, subprocess.CalledProcessError) as error:
        said = (getattr(error, "stderr", None) or b"").decode(errors="replace").strip() or str(error)
        return {"commit": _head(checkout), "dirty": None, "unknown": f"git says: {said.splitlines()[0][:200]}"}
    digest = hashlib.sha256(diff).hexdigest()
    folder.write(DIFF.format(digest[:8]), diff)
    return {"commit": commit, "dirty": True, "diff": digest}


def _run(checkout: Path, *arguments: str) -> bytes:
    """What git says of the checkout, whoever owns it: its code is what runs, so git's settings there are trusted, too.

    Without optional locks: other runs, and people, use the checkout at the same time.
    """
    command = ["git", "-c", "safe.directory=*", "--no-optional-locks", "-C", str(checkout), *arguments]
    elsewhere = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY")
    environment = {name: value for name, value in os.environ.items() if name not in elsewhere}
    return subprocess.run(command, capture_output=True, check=True, env=environment).stdout


def _head(checkout: Path) -> str | None:
    """The commit that is checked out, read from git's own files; None where they do not tell."""
    try:
        git = checkout / ".git"
        if git.is_file():  # of a worktree, or a submodule
            git = checkout / git.read_text().removeprefix("gitdir:").strip()
        head = (git / "HEAD").read_text().strip()
        if head.startswith("ref:"):
            name = head.removeprefix("ref:").strip()
            shared = git / (git / "commondir").read_text().strip() if (git / "commondir").exists() else git
            loose = [place / name for place in (git, shared) if (place / name).is_file()]
            packed = (shared / "packed-refs").read_text() if (shared / "packed-refs").exists() else ""
            known = {ref: commit for commit, _, ref in (line.partition(" ") for line in packed.splitlines())}
            head = loose[0].read_text().strip() if loose else known.get(name, "")
        return head if re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", head) else None
    except (OSError, ValueError):
        return None


def _cut(diff: bytes) -> bytes:
    """The diff, or the lines of its beginning and what they are of."""
    if len(diff) <= MOST_BYTES:
        return diff
    kept = diff[: diff.rindex(b"\n", 0, MOST_BYTES) + 1]
    whole = f"# cut here: {len(kept)} of {len(diff)} bytes, whose sha256 is {hashlib.sha256(diff).hexdigest()}\n"
    return kept + whole.encode()
