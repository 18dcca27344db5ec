"""The cache folder of this machine: decoded shards, synthetic images, downloaded weights; all can be made again."""

import os
from pathlib import Path

from emotune.core.errors import InputError

__all__ = ["cache_folder"]


def cache_folder() -> Path:
    """The cache folder: ``$EMOTUNE_CACHE``, or ``~/.cache/emotune``.

    Raises:
        InputError: the variable names the home folder of an unknown user.
    """
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "emotune"
    try:
        return Path(os.environ.get("EMOTUNE_CACHE") or default).expanduser()
    except RuntimeError as error:
        raise InputError(f"EMOTUNE_CACHE={os.environ['EMOTUNE_CACHE']}: {error}; name another folder") from None
