"""The folder that shards are written to: its lock, what an earlier command finished in it, and its leftovers."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from emotune.core.cache_dir import cache_folder
from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.data.build.verify import describe_damage
from emotune.data.manifest import HEALTH, MANIFEST, Manifest, digest, read_manifest

__all__ = ["REFUSED_HEALTH", "SPOOL", "finished_manifest", "lock_output", "remove_leftovers"]

SPOOL = ".spool"
"""Name of the folder for ingested images that are not in a shard yet."""

REFUSED_HEALTH = "health.refused.csv"
"""Name of the table of excluded images when no shards are made of the others, beside shards that exist already."""

FILES = (MANIFEST, HEALTH, REFUSED_HEALTH)
"""Names of the files beside the shards."""

SHARD_NAME = re.compile(r"^(train|val|test)-\d{6}-[0-9a-f]{8}\.tar\Z")
UNFINISHED = re.compile(r"^\.(train|val|test)-\d{6}-[0-9a-f]{8}\.tar\.\w+\Z")
"""Names of the temporary files that `Folder.write` leaves of a shard when the command is killed."""


@contextmanager
def lock_output(out: Folder) -> Iterator[Path]:
    """Creates the folder and locks it against other commands; gives the folder on this machine for the spool.

    Raises:
        InputError: the folder cannot be used, holds other files, or is locked by another command.
    """
    try:
        names = out.names()
        others = [n for n in names if not (SHARD_NAME.match(n) or n in FILES or n.startswith("."))]
        home = out.local or cache_folder() / "spool" / digest([out.url])[:16]
        home.mkdir(parents=True, exist_ok=True)
        if out.local is None:
            out.require_writable()
    except OSError as error:
        raise InputError(f"{out}: cannot be used as a folder ({error.strerror or error}); name another one") from None
    if others and MANIFEST not in names:  # finished shards may have a README.md beside them
        raise InputError(f"{out}: holds other files ({others[0]} …); name an empty or new folder")
    try:
        with FileLock(home / ".lock", timeout=0):
            yield home / SPOOL
    except Timeout:
        raise InputError(f"{out}: another command is writing here; wait for it, or name another folder") from None


def finished_manifest(out: Folder, recipe: str) -> Manifest | None:
    """The manifest of an earlier call with the same recipe, if none of its files has been damaged since."""
    try:
        manifest = read_manifest(out)
    except InputError:
        return None
    health = out.read(HEALTH) or b""
    if manifest.recipe != recipe or hashlib.sha256(health).hexdigest() != manifest.health_sha256:
        return None
    damaged = any(describe_damage(out.read(shard.file), shard) for shard in manifest.shards)
    return None if damaged else manifest


def remove_leftovers(out: Folder, manifest: Manifest, spool: Folder) -> None:
    """Removes the spool, and the shards and temporary files of earlier calls."""
    current = {shard.file for shard in manifest.shards}
    for name in out.names():
        if (SHARD_NAME.match(name) and name not in current) or UNFINISHED.match(name) or name == REFUSED_HEALTH:
            out.delete(name)
    with suppress(OSError):
        spool.remove()
