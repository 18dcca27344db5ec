"""The code that a run is trained with: commit, versions, and what was changed since the commit."""

import hashlib
import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import Any

from emotune.run_directory import DIFF
from emotune.storage import Folder

__all__ = ["origin"]

PACKAGES = ("emotune", "torch", "torchvision", "ray", "webdataset", "numpy", "pandas", "pillow")
CODE = ("--", Path(__file__).parents[1].name)
"""Studies and reports beside it do not train."""
STATUS = ("status", "--porcelain", "--untracked-files=normal", *CODE)
CHANGES = ("diff", "--no-color", "--no-ext-diff", "--no-textconv", "--src-prefix=a/", "--dst-prefix=b/", "HEAD", *CODE)
"""Whatever the user's own settings are."""
CHECKOUT = Path(__file__).parents[2]
MOST_BYTES = 200_000
"""Of a diff that is kept."""


def origin(folder: Folder, checkout: Path = CHECKOUT) -> dict[str, Any]:
    """The code that runs, now. To be asked at the start: a checkout may change under a run.

    Args:
        folder: The run's; what was changed since the commit is written into it.
        checkout: Where emotune's code is.

    Returns:
        ``versions`` by package, and ``git``: ``commit``, ``dirty``, and if so ``diff``, the sha256 of the run's file
        ``origin-<its first 8>.diff``. ``git`` is None where emotune is installed from a wheel.
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


def _git(folder: Folder, checkout: Path) -> dict[str, Any] | None:
    if not (checkout / ".git").exists():
        return None

    def git(*arguments: str) -> bytes:
        # Without optional locks: other runs, and people, use the checkout at the same time.
        command = ["git", "--no-optional-locks", "-C", str(checkout), *arguments]
        return subprocess.run(command, capture_output=True, check=True).stdout

    try:
        commit, status = git("rev-parse", "HEAD").decode().strip(), git(*STATUS).splitlines()
        if not status:
            return {"commit": commit, "dirty": False}
        untracked = [b"# untracked: " + line[3:] + b"\n" for line in status if line.startswith(b"?? ")]
        diff = _cut(b"".join(untracked) + git(*CHANGES))
    except (OSError, subprocess.CalledProcessError):
        return None
    digest = hashlib.sha256(diff).hexdigest()
    folder.write(DIFF.format(digest[:8]), diff)
    return {"commit": commit, "dirty": True, "diff": digest}


def _cut(diff: bytes) -> bytes:
    """The diff, or the lines of its beginning and what they are of."""
    if len(diff) <= MOST_BYTES:
        return diff
    kept = diff[: diff.rindex(b"\n", 0, MOST_BYTES) + 1]
    whole = f"# cut here: {len(kept)} of {len(diff)} bytes, whose sha256 is {hashlib.sha256(diff).hexdigest()}\n"
    return kept + whole.encode()
