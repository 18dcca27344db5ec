"""The code that trains a run: the commit, uncommitted changes, and the versions of libraries."""

import hashlib
import importlib.metadata
import os
import platform
import re
import subprocess
from functools import cache
from pathlib import Path

from emotune.config.backbone import BackboneConfig
from emotune.config.baselines import LogisticConfig, SvmConfig, handmade_sets
from emotune.config.blocks import BlocksConfig
from emotune.config.head_training import feature_network
from emotune.config.model import ModelConfig
from emotune.config.zero_shot import ZeroShotConfig
from emotune.core.storage import Folder
from emotune.runs.directory import DIFF
from emotune.runs.record import CodeOrigin, GitState

__all__ = ["code_origin", "libraries_of"]

PACKAGES = ("emotune", "torch", "torchvision", "ray", "numpy", "pandas", "pillow")
CODE = ("--", Path(__file__).parents[1].name)
"""The part of the checkout that git is asked about; studies and reports beside it do not train."""
STATUS = ("status", "--porcelain", "--untracked-files=normal", *CODE)
CHANGES = ("diff", "--no-color", "--no-ext-diff", "--no-textconv", "--src-prefix=a/", "--dst-prefix=b/", "HEAD", *CODE)
"""The command that shows changes, independent of the user's own settings."""
CHECKOUT = Path(__file__).parents[2]
MAX_DIFF_BYTES = 200_000


def libraries_of(model: ModelConfig) -> tuple[str, ...]:
    """The packages that compute a model beside those that all runs name."""
    network = feature_network(model) or model
    is_timm = isinstance(network, BackboneConfig) and str(network.backbone).startswith("timm:")
    return (
        *(["timm"] if is_timm else []),
        *(["scikit-learn"] if isinstance(model, SvmConfig | LogisticConfig | BlocksConfig) else []),
        *(["scipy", "scikit-image"] if handmade_sets(model) else []),
        *(["open_clip_torch"] if isinstance(model, ZeroShotConfig) else []),
    )


def code_origin(folder: Folder, libraries: tuple[str, ...] = (), checkout: Path = CHECKOUT) -> CodeOrigin:
    """The code that is running; emotune's own is asked for once per process, which has imported it.

    Args:
        folder: The run's folder, into which uncommitted changes are written.
        libraries: The packages whose versions are named beside those of all runs, see `libraries_of`.
        checkout: The folder with emotune's code.

    Returns:
        The versions of packages, and the state of the checkout. If there are uncommitted changes, they are in the run's
        file ``origin-<first 8 digits of their sha256>.diff``. If git cannot be asked, the commit is read from git's
        files. Without a checkout, as when emotune is installed from a wheel, ``git`` is None.
    """
    git, diff = _own_state() if checkout == CHECKOUT else _git(checkout)
    if git and diff is not None:
        folder.write(DIFF.format(git.get("diff", "")[:8]), diff)
    return {"git": git, "versions": {"python": platform.python_version(), **_versions(PACKAGES + libraries)}}


@cache
def _own_state() -> tuple[GitState | None, bytes | None]:
    return _git(CHECKOUT)


@cache
def _versions(packages: tuple[str, ...]) -> dict[str, str]:
    versions = {}
    for package in packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue  # runs that are trained under torchrun do not need ray
    return versions


def _git(checkout: Path) -> tuple[GitState | None, bytes | None]:
    """The state of a checkout, and the uncommitted changes if there are any."""
    if not (checkout / ".git").exists():
        return None, None
    try:
        commit, status = _run(checkout, "rev-parse", "HEAD").decode().strip(), _run(checkout, *STATUS).splitlines()
        if not status:
            return {"commit": commit, "dirty": False}, None
        untracked = [b"# untracked: " + line[3:] + b"\n" for line in status if line.startswith(b"?? ")]
        diff = _cut(b"".join(untracked) + _run(checkout, *CHANGES))
    except FileNotFoundError:
        return {"commit": _head(checkout), "dirty": None, "unknown": "git is not installed where it was trained"}, None
    except (OSError, subprocess.CalledProcessError) as error:
        message = (getattr(error, "stderr", None) or b"").decode(errors="replace").strip() or str(error)
        return {"commit": _head(checkout), "dirty": None, "unknown": f"git says: {message.splitlines()[0][:200]}"}, None
    return {"commit": commit, "dirty": True, "diff": hashlib.sha256(diff).hexdigest()}, diff


def _run(checkout: Path, *arguments: str) -> bytes:
    """The output of a git command in the checkout.

    The checkout may belong to another user (its code runs anyway, so its settings are trusted too), and git takes no
    optional locks, because other runs and people use the checkout at the same time.
    """
    command = ["git", "-c", "safe.directory=*", "--no-optional-locks", "-C", str(checkout), *arguments]
    elsewhere = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY")
    environment = {name: value for name, value in os.environ.items() if name not in elsewhere}
    return subprocess.run(command, capture_output=True, check=True, env=environment).stdout


def _head(checkout: Path) -> str | None:
    """The commit that is checked out, read from git's files; None if that fails."""
    try:
        git = checkout / ".git"
        if git.is_file():  # in a worktree or a submodule
            git = checkout / git.read_text().removeprefix("gitdir:").strip()
        head = (git / "HEAD").read_text().strip()
        if head.startswith("ref:"):
            name = head.removeprefix("ref:").strip()
            shared = git / (git / "commondir").read_text().strip() if (git / "commondir").exists() else git
            loose = [place / name for place in (git, shared) if (place / name).is_file()]
            packed = (shared / "packed-refs").read_text() if (shared / "packed-refs").exists() else ""
            packed_commits = {ref: commit for commit, _, ref in (line.partition(" ") for line in packed.splitlines())}
            head = loose[0].read_text().strip() if loose else packed_commits.get(name, "")
        return head if re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", head) else None
    except (OSError, ValueError):
        return None


def _cut(diff: bytes) -> bytes:
    """The diff, or if it is too long its first lines with a note of its length and sha256."""
    if len(diff) <= MAX_DIFF_BYTES:
        return diff
    kept = diff[: diff.rindex(b"\n", 0, MAX_DIFF_BYTES) + 1]
    note = f"# cut here: {len(kept)} of {len(diff)} bytes, whose sha256 is {hashlib.sha256(diff).hexdigest()}\n"
    return kept + note.encode()
