"""torchvision's file of weights, fetched once per machine into torch's own cache."""

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.parse import urlparse

import torch
from filelock import FileLock

from emotune.core.errors import InputError

if TYPE_CHECKING:
    from torchvision.models import WeightsEnum  # all of torchvision, which takes its second

__all__ = ["torchvision_file"]


def torchvision_file(weights: "WeightsEnum") -> Path:
    """Where the weights lie; fetched, with progress on stderr, if they are not there yet.

    Processes that want them at the same time fetch them once. A download is checked against the digits in its name.

    Raises:
        InputError: they cannot be fetched; says from where, and where to put them by hand.
    """
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(weights.url).path).name
    if path.exists():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            if not path.exists():
                weights.get_state_dict(progress=True, check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:  # no way there or no room; not the promised content
        if isinstance(error, HTTPError):
            error.close()  # it holds the connection
        raise InputError(f"{weights.url}: cannot be fetched ({error}); fetch it yourself, as {path}") from None
    return path
