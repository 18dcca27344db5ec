"""Checkpoints: weights, their average, the optimizer's state and progress, which is all that a run needs to continue.

A run keeps its last two checkpoints, ``checkpoint/<epoch>-<step>.pt``. Once complete, they are listed in
``checkpoint/index.json``, and a run continues from the last one that is intact. Behind a URL they are uploaded while
training continues.
"""

import contextlib
import hashlib
import io
import re
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from types import TracebackType
from typing import Any, BinaryIO, Protocol

import tenacity
import torch

from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.runs.directory import CHECKPOINTS
from emotune.training.progress import Progress

__all__ = ["Checkpoints", "Stateful", "read_checkpoint", "restore_checkpoint"]

INDEX = "index.json"
FILE = re.compile(r"\d+-\d+\.pt")
KEPT = 2
"""The number of checkpoints that a run keeps."""
UPLOAD_ATTEMPTS = 5


class Stateful(Protocol):
    """An object with a state, such as a network or an optimizer."""

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: Any) -> Any: ...


class Checkpoints:
    """Writes a run's checkpoints, until its ``with`` block is left.

    Args:
        folder: The run's folder.
        may_write: A function that tells whether the run is still this process's; it is called before a checkpoint is
            listed in the index.
    """

    def __init__(self, folder: Folder, may_write: Callable[[], bool] = lambda: True) -> None:
        self._folder, self._may_write = folder / CHECKPOINTS, may_write
        self._closed = threading.Event()
        self._uploader = ThreadPoolExecutor(1, "upload")
        self._uploads: list[Future[None]] = []

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def save(self, parts: Mapping[str, Stateful], progress: Progress) -> None:
        """Writes a checkpoint of all parts; behind a URL it is uploaded in the background.

        A checkpoint that still waits for its upload is replaced.

        Args:
            parts: The objects whose states are saved, by name.
            progress: The run's progress.

        Raises:
            OSError: the checkpoint cannot be written, or an earlier one could not be uploaded; older ones stay.
        """
        state = {name: part.state_dict() for name, part in parts.items()} | {"progress": asdict(progress)}
        entry = {"epoch": progress.epoch, "step": progress.step}  # now: training continues while it is uploaded
        name = f"{progress.epoch}-{progress.step}.pt"
        if self._folder.local is not None:
            with self._named_errors(), self._folder.opened(name) as file:
                digest = _write(state, file)
            return self._add_to_index({"file": name, "sha256": digest} | entry)
        self._uploads = [upload for upload in self._uploads if not upload.cancel()]
        for upload in [upload for upload in self._uploads if upload.done()]:
            self._uploads.remove(upload)
            self._raise_if_failed(upload)
        file = tempfile.TemporaryFile()  # noqa: SIM115  without a name, so that a killed process leaves nothing behind
        try:
            with self._named_errors(tempfile.gettempdir()):
                digest = _write(state, file)
        except BaseException:
            with contextlib.suppress(OSError):  # flushing the rest of the buffer may fail, too
                file.close()
            raise
        upload = self._uploader.submit(self._upload, file, {"file": name, "sha256": digest} | entry)
        upload.add_done_callback(lambda _: file.close())  # also if the upload is cancelled
        self._uploads.append(upload)

    def wait_for_uploads(self) -> None:
        """Waits until the last checkpoint is uploaded.

        Raises:
            OSError: the upload failed.
        """
        for upload in self._uploads[-1:]:
            self._raise_if_failed(upload)

    def close(self) -> None:
        """Cancels waiting uploads, and waits for one that has begun without further attempts."""
        self._closed.set()
        self._uploader.shutdown(cancel_futures=True)

    def _raise_if_failed(self, upload: Future[None]) -> None:
        if error := upload.exception():
            raise OSError(f"{self._folder}: the checkpoint cannot be uploaded: {error}") from error

    def _upload(self, file: BinaryIO, entry: dict[str, Any]) -> None:
        attempt = tenacity.Retrying(
            retry=tenacity.retry_if_not_exception_type((PermissionError, FileNotFoundError)),
            stop=tenacity.stop_after_attempt(UPLOAD_ATTEMPTS) | tenacity.stop_when_event_set(self._closed),
            wait=tenacity.wait_random_exponential(1, max=30),
            sleep=tenacity.sleep_using_event(self._closed),
            reraise=True,
        )
        attempt(self._folder.upload, entry["file"], file)
        attempt(self._add_to_index, entry)

    def _add_to_index(self, entry: dict[str, Any]) -> None:
        """Lists a complete checkpoint in the index, then deletes those that are no longer listed.

        Args:
            entry: The checkpoint's ``file``, ``sha256``, ``epoch`` and ``step``.
        """
        if not self._may_write():
            return
        with self._named_errors():
            former = self._folder.read_json(INDEX) or []
            kept = [entry, *(other for other in former if other["file"] != entry["file"])][:KEPT]
            self._folder.write_json(INDEX, kept)
            for old in {n for n in self._folder.names() if n.endswith(".pt")} - {other["file"] for other in kept}:
                self._folder.delete(old)

    @contextlib.contextmanager
    def _named_errors(self, folder: object = None) -> Iterator[None]:
        """Adds the folder to errors of writing."""
        try:
            yield
        except (OSError, RuntimeError) as error:
            cause = error if isinstance(error, OSError) else error.__context__  # torch raises a RuntimeError on top
            if not isinstance(cause, OSError):
                raise
            raise OSError(f"{folder or self._folder}: the checkpoint cannot be written: {cause}") from error


def _write(state: dict[str, Any], file: BinaryIO) -> str:
    """Writes a state to a file and returns the sha256 of its content."""
    torch.save(state, file)
    file.flush()
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # real files have readinto


def read_checkpoint(folder: Folder, device: torch.device) -> tuple[dict[str, Any] | None, list[str]]:
    """The state in the last intact checkpoint of a run, and a note on each later one that is damaged or missing.

    The state is None if there is no intact checkpoint. Then the run starts again, with the same result.

    Args:
        folder: The run's folder.
        device: The device for the tensors.

    Raises:
        InputError: the index is damaged, or the folder cannot be reached.
    """
    folder = folder / CHECKPOINTS
    notes: list[str] = []
    try:
        entries = [(_checkpoint_name(entry["file"]), entry["sha256"]) for entry in folder.read_json(INDEX) or []]
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{folder / INDEX}: not a list of checkpoints; delete it to start the run again") from None
    for name, digest in entries:
        data = folder.read(name)
        if data is not None and hashlib.sha256(data).hexdigest() == digest:
            return torch.load(io.BytesIO(data), map_location=device, weights_only=True), notes
        problem = "missing" if data is None else "damaged"
        notes.append(f"{CHECKPOINTS}/{name} was {problem}: the run went on from the one before, or began again")
    return None, notes


def _checkpoint_name(name: str) -> str:
    """The name, if it is one of a checkpoint: an index must not lead to other files."""
    if not FILE.fullmatch(name):
        raise ValueError(name)
    return name


def restore_checkpoint(state: Mapping[str, Any], parts: Mapping[str, Stateful]) -> Progress:
    """Loads a checkpoint's state into all parts, and returns its progress with one more interruption."""
    for name, part in parts.items():
        part.load_state_dict(state[name])
    progress = Progress(**state["progress"])
    progress.interruptions += 1
    return progress
