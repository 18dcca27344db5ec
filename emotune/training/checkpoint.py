"""What a run needs to go on: weights, their average, momentum, and how far it has come. All else is in its config."""

import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import torch

from emotune.run_directory import CHECKPOINT
from emotune.storage import Folder

__all__ = ["Progress", "Stateful", "read", "restore", "save"]


@dataclass
class Progress:
    """How far a run has come.

    ``step`` counts steps that are done in ``epoch``; ``loss_sum`` and ``correct`` are over the pictures of those steps.
    ``train_s`` are seconds spent in steps. ``history`` has an entry for each finished epoch, as in ``metrics.jsonl``;
    ``origins`` says which code, in which versions, trained it: more than one where it was continued after a change.
    ``reading`` says whether training pictures were ``cached`` or ``streamed``, ``numerics`` how it was calculated,
    likewise. ``initialisation`` says where its first weights are from, see `emotune.models.weights.Initialisation`.
    """

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    correct: int = 0
    seen: int = 0
    train_s: float = 0.0
    interruptions: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    origins: list[dict[str, Any]] = field(default_factory=list)
    reading: list[str] = field(default_factory=list)
    numerics: list[dict[str, Any]] = field(default_factory=list)
    initialisation: dict[str, Any] = field(default_factory=dict)

    def note(self, *, origin: dict[str, Any], reading: str, numerics: dict[str, Any]) -> None:
        """Keeps what trains from here on, and how, where it is another than before."""
        for kept, now in ((self.origins, origin), (self.reading, reading), (self.numerics, numerics)):
            if now not in kept:
                kept.append(now)

    def end_step(self, pictures: int, loss: float, correct: int, seconds: float) -> None:
        """Counts a step on ``pictures`` pictures with the mean ``loss``."""
        self.step += 1
        self.loss_sum += loss * pictures
        self.correct += correct
        self.seen += pictures
        self.train_s += seconds

    def end_epoch(self, entry: dict[str, Any]) -> None:
        """Counts the epoch and begins the next one."""
        self.history.append(entry)
        self.epoch, self.step = self.epoch + 1, 0
        self.loss_sum, self.correct, self.seen = 0.0, 0, 0


class Stateful(Protocol):
    """A network, an optimizer: what has a state."""

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: Any) -> Any: ...


def save(folder: Folder, parts: Mapping[str, Stateful], progress: Progress) -> None:
    """Writes the checkpoint of all named parts, replacing the one before when it is whole."""
    buffer = io.BytesIO()
    torch.save({name: part.state_dict() for name, part in parts.items()} | {"progress": asdict(progress)}, buffer)
    folder.write(CHECKPOINT, buffer.getvalue())


def read(folder: Folder, device: torch.device) -> dict[str, Any] | None:
    """What `save` has written; None if there is no checkpoint."""
    data = folder.read(CHECKPOINT)
    return None if data is None else torch.load(io.BytesIO(data), map_location=device, weights_only=True)


def restore(state: Mapping[str, Any], parts: Mapping[str, Stateful]) -> Progress:
    """Puts a checkpoint's state of all parts in place and returns its progress."""
    for name, part in parts.items():
        part.load_state_dict(state[name])
    progress = Progress(**state["progress"])
    progress.interruptions += 1
    return progress
