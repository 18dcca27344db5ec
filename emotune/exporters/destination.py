"""The protocol of all destinations of an export, their lock, and messages without secrets."""

import contextlib
import hashlib
import importlib
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from filelock import FileLock, Timeout

from emotune.core.cache_dir import cache_folder
from emotune.core.errors import InputError, UnavailableError
from emotune.core.location import mask_credentials
from emotune.exporters.content import RunContent, StudyContent

__all__ = ["Destination", "installed", "masked", "one_writer"]

SECRETS = ("WANDB_API_KEY", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_PASSWORD",
           "DATABRICKS_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")  # fmt: skip
"""Environment variables whose values no message may contain."""
MIN_SECRET = 6
"""The shortest value that is taken for a secret."""
MOST_CHARACTERS = 300
"""The length at which a tool's message is cut."""


class Destination(Protocol):
    """Where a study is exported to."""

    def __enter__(self) -> "Destination": ...

    def __exit__(self, *_: object) -> None: ...

    def fingerprints(self) -> Mapping[str, str]:
        """The fingerprints of the runs that are there as a whole, by run id."""
        ...

    def write_run(self, run: RunContent) -> str:
        """Writes a run, in the place of an earlier version of it; gives a note in a line, or nothing."""
        ...

    def write_study(self, study: StudyContent) -> list[str]:
        """Writes the study itself, after its runs; gives the lines that say where it is and what to do next."""
        ...


def installed(package: str, extra: str) -> Any:
    """The module of a package that an extra installs.

    Raises:
        InputError: it is not installed, or cannot be imported.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise InputError(f"--to {extra}: {error}; pip install 'emotune[{extra}]'") from None


def masked(message: object) -> str:
    """A tool's message in a line, without passwords, keys and tokens, and not longer than a few lines.

    >>> masked("https://anna:secret@host/x failed\\n  twice")
    'https://***@host/x failed twice'
    """
    text = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", str(message)).split())
    for name in SECRETS:
        if len(value := os.environ.get(name, "")) >= MIN_SECRET:
            text = text.replace(value, "***")
    text = " ".join(map(mask_credentials, text.split(" ")))
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}…"


@contextlib.contextmanager
def one_writer(destination: str) -> Iterator[None]:
    """A context in which no other export of this machine writes to the same destination.

    Args:
        destination: Its identity: a folder, or an address with the name of the project. Only a digest is written.

    Raises:
        UnavailableError: another export is writing there.
    """
    folder = cache_folder() / "exports"
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"{hashlib.sha256(destination.encode()).hexdigest()[:16]}.lock", timeout=0)
    try:
        with lock:
            yield
    except Timeout:
        raise UnavailableError(
            f"{mask_credentials(destination)}: another process exports to it; run the same command when that has ended"
        ) from None
