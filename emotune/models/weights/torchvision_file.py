"""Downloading torchvision's pretrained weights, once per machine, into torch's own cache."""

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.parse import urlparse

import torch
from filelock import FileLock

from emotune.core.errors import InputError

if TYPE_CHECKING:
    from torchvision.models import WeightsEnum  # importing torchvision takes a second

__all__ = ["torchvision_file"]


def torchvision_file(weights: "WeightsEnum") -> Path:
    """The path of the weights, which are downloaded if they are not in the cache yet; progress goes to stderr.

    Processes that need them at the same time download them once. A download is checked against the digits in its name.

    Raises:
        InputError: the download failed; the message has its URL and the path where to put the file by hand.
    """
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(weights.url).path).name
    if path.exists():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            if not path.exists():
                weights.get_state_dict(progress=True, check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:  # no connection or no disk space; or another content than the name says
        if isinstance(error, HTTPError):
            error.close()  # closes its connection
        raise InputError(f"{weights.url}: the download failed ({error}); download it by hand to {path}") from None
    return path
