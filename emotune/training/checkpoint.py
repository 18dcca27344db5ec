"""What a run needs to go on: weights, their average, momentum, and how far it has come. All else is in its config.

A run keeps its last two checkpoints, ``checkpoint/<epoch>-<step>.pt``, and names them in ``checkpoint/index.json`` when
they are whole; the last whole one counts. Behind a URL they are uploaded while training goes on.
"""

import contextlib
import hashlib
import io
import re
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import Any, BinaryIO, Protocol

import tenacity
import torch

from emotune.core.errors import InputError
from emotune.core.storage import Folder
from emotune.runs.directory import CHECKPOINTS
from emotune.runs.record import CodeOrigin, EpochMetrics, Numerics

__all__ = ["Checkpoints", "Progress", "Stateful", "read_checkpoint", "restore_checkpoint"]

INDEX = "index.json"
BEFORE_INDEX = "last.pt"
"""The only checkpoint of runs that were begun before there was an index."""
FILE = re.compile(r"\d+-\d+\.pt")
KEPT = 2
UPLOADS = 5
"""Times that an upload is tried."""


@dataclass
class Progress:
    """How far a run has come.

    ``step`` counts steps that are done in ``epoch``; ``loss_sum`` and ``correct`` are over the images of those steps.
    ``train_s`` are seconds spent in steps. ``history`` has an entry for each finished epoch, as in ``metrics.jsonl``;
    ``origins`` says which code, in which versions, trained it: more than one where it was continued after a change.
    ``reading`` says how training images were read, see `emotune.training.record.reading_mode`; ``numerics`` how it
    was calculated, likewise. ``initialisation`` says where its first weights are from, see
    `emotune.models.weights.initial_weights.Initialisation`. ``notes`` are of what went wrong on the way.
    """

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    correct: int = 0
    seen: int = 0
    train_s: float = 0.0
    interruptions: int = 0
    history: list[EpochMetrics] = field(default_factory=list)
    origins: list[CodeOrigin] = field(default_factory=list)
    reading: list[str] = field(default_factory=list)
    numerics: list[Numerics] = field(default_factory=list)
    initialisation: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def note(self, *, origin: CodeOrigin, reading: str, numerics: Numerics) -> None:
        """Keeps what trains from here on, and how, where it is another than before."""
        if origin not in self.origins:
            self.origins.append(origin)
        if reading not in self.reading:
            self.reading.append(reading)
        if numerics not in self.numerics:
            self.numerics.append(numerics)

    def end_step(self, images: int, loss: float, correct: int, seconds: float) -> None:
        """Counts a step on ``images`` images with the mean ``loss``."""
        self.step += 1
        self.loss_sum += loss * images
        self.correct += correct
        self.seen += images
        self.train_s += seconds

    def end_epoch(self, entry: EpochMetrics) -> None:
        """Counts the epoch and begins the next one."""
        self.history.append(entry)
        self.epoch, self.step = self.epoch + 1, 0
        self.loss_sum, self.correct, self.seen = 0.0, 0, 0


class Stateful(Protocol):
    """A network, an optimizer: what has a state."""

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: Any) -> Any: ...


class Checkpoints:
    """Writes a run's checkpoints; a context manager, after which nothing is written any more.

    Args:
        folder: The run's.
        permitted: Whether the run may still be written to; asked before a checkpoint counts.
    """

    def __init__(self, folder: Folder, permitted: Callable[[], bool] = lambda: True) -> None:
        self._folder, self._permitted = folder / CHECKPOINTS, permitted
        self._left = threading.Event()
        self._uploader = ThreadPoolExecutor(1, "upload")
        self._uploads: list[Future[None]] = []

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def save(self, parts: Mapping[str, Stateful], progress: Progress) -> None:
        """Writes the checkpoint of all named parts; behind a URL, it is uploaded later on.

        One that still waits to be uploaded is replaced.

        Raises:
            OSError: it cannot be written, or an earlier one could not be uploaded. What is there stays.
        """
        state = {name: part.state_dict() for name, part in parts.items()} | {"progress": asdict(progress)}
        at = progress.epoch, progress.step  # training goes on while it is uploaded
        name = "{}-{}.pt".format(*at)
        if self._folder.local is not None:
            with self._explained(), self._folder.opened(name) as file:
                digest = _write(state, file)
            return self._keep(name, digest, *at)
        self._uploads = [upload for upload in self._uploads if not upload.cancel()]
        for upload in [upload for upload in self._uploads if upload.done()]:
            self._uploads.remove(upload)
            self._require(upload)
        file = tempfile.TemporaryFile()  # noqa: SIM115  has no name, so that a killed process leaves nothing behind
        try:
            with self._explained(tempfile.gettempdir()):
                digest = _write(state, file)
        except BaseException:
            with contextlib.suppress(OSError):  # what is left in the buffer does not fit either
                file.close()
            raise
        upload = self._uploader.submit(self._send, name, file, digest, *at)
        upload.add_done_callback(lambda _: file.close())  # also if it is never begun
        self._uploads.append(upload)

    def wait_for_uploads(self) -> None:
        """Waits until the last checkpoint is where it should be.

        Raises:
            OSError: it could not be uploaded.
        """
        for upload in self._uploads[-1:]:
            self._require(upload)

    def close(self) -> None:
        """Uploads nothing more; an upload that goes on is waited for, but not tried again."""
        self._left.set()
        self._uploader.shutdown(cancel_futures=True)

    def _require(self, upload: Future[None]) -> None:
        if error := upload.exception():
            raise OSError(f"{self._folder}: the checkpoint cannot be uploaded: {error}") from error

    def _send(self, name: str, file: BinaryIO, digest: str, epoch: int, step: int) -> None:
        tries = tenacity.Retrying(
            retry=tenacity.retry_if_not_exception_type((PermissionError, FileNotFoundError)),
            stop=tenacity.stop_after_attempt(UPLOADS) | tenacity.stop_when_event_set(self._left),
            wait=tenacity.wait_random_exponential(1, max=30),
            sleep=tenacity.sleep_using_event(self._left),
            reraise=True,
        )
        tries(self._folder.upload, name, file)
        tries(self._keep, name, digest, epoch, step)

    def _keep(self, name: str, digest: str, epoch: int, step: int) -> None:
        """Names a whole checkpoint in the index, then deletes what is no longer named."""
        if not self._permitted():
            return
        entry = {"file": name, "sha256": digest, "epoch": epoch, "step": step}
        with self._explained():
            former = self._folder.read_json(INDEX) or []
            kept = [entry, *(other for other in former if other["file"] != name)][:KEPT]
            self._folder.write_json(INDEX, kept)
            for old in {n for n in self._folder.names() if n.endswith(".pt")} - {other["file"] for other in kept}:
                self._folder.delete(old)

    @contextlib.contextmanager
    def _explained(self, folder: object = None) -> Iterator[None]:
        try:
            yield
        except (OSError, RuntimeError) as error:
            cause = error if isinstance(error, OSError) else error.__context__  # torch adds an error of its own
            if not isinstance(cause, OSError):
                raise
            raise OSError(f"{folder or self._folder}: the checkpoint cannot be written: {cause}") from error


def _write(state: dict[str, Any], file: BinaryIO) -> str:
    """The sha256 of what is written."""
    torch.save(state, file)
    file.flush()
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()


def read_checkpoint(folder: Folder, device: torch.device) -> tuple[dict[str, Any] | None, list[str]]:
    """The last whole checkpoint of a run, and a note on each later one that is damaged or not there.

    None if there is no checkpoint, or none that is whole: beginning again gives the same result, and costs what is lost
    anyway.

    Raises:
        InputError: the index is damaged, or the pool cannot be reached.
    """
    folder, notes = folder / CHECKPOINTS, []
    index = folder.read_json(INDEX)
    if index is None:
        data = folder.read(BEFORE_INDEX)
        return (None if data is None else _load(data, device)), notes
    try:
        entries = [(FILE.fullmatch(entry["file"])[0], entry["sha256"]) for entry in index]
    except (KeyError, TypeError):  # what is no name of ours is none of ours
        raise InputError(f"{folder / INDEX}: no list of checkpoints; delete it to start the run again") from None
    for name, digest in entries:
        data = folder.read(name)
        if data is not None and hashlib.sha256(data).hexdigest() == digest:
            return _load(data, device), notes
        what = "missing" if data is None else "damaged"
        notes.append(f"{CHECKPOINTS}/{name} was {what}: the run went on from the one before, or began again")
    return None, notes


def _load(data: bytes, device: torch.device) -> dict[str, Any]:
    return torch.load(io.BytesIO(data), map_location=device, weights_only=True)


def restore_checkpoint(state: Mapping[str, Any], parts: Mapping[str, Stateful]) -> Progress:
    """Puts a checkpoint's state of all parts in place and returns its progress."""
    for name, part in parts.items():
        part.load_state_dict(state[name])
    progress = Progress(**state["progress"])
    progress.interruptions += 1
    return progress
