"""What a run needs to go on: weights, momentum, and how far it has come. Everything else follows from its config."""

import io
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import nn

from emotune.run_directory import CHECKPOINT
from emotune.storage import Folder

__all__ = ["Progress", "read", "restore", "save"]


@dataclass
class Progress:
    """How far a run has come.

    ``step`` counts steps that are done in ``epoch``; ``loss_sum`` and ``correct`` are over the pictures of those steps.
    ``train_s`` are seconds spent in steps. ``history`` has an entry for each finished epoch, as in ``metrics.jsonl``;
    ``origins`` says which code, in which versions, trained it: more than one where it was continued after a change.
    ``reading`` says whether training pictures were ``cached`` or ``streamed``, likewise.
    ``initialisation`` says where its first weights are from, see `emotune.models.weights.Initialisation`.
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
    initialisation: dict[str, Any] = field(default_factory=dict)

    def note_origin(self, origin: dict[str, Any]) -> None:
        """Keeps the code and versions that train from here on, where they are others than before."""
        if origin not in self.origins:
            self.origins.append(origin)

    def note_reading(self, reading: str) -> None:
        """Keeps how training pictures are read from here on, where it is another way than before."""
        if reading not in self.reading:
            self.reading.append(reading)

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


def save(folder: Folder, network: nn.Module, optimizer: torch.optim.Optimizer, progress: Progress) -> None:
    """Writes the checkpoint, replacing the one before when it is whole."""
    buffer = io.BytesIO()
    state = {"network": network.state_dict(), "optimizer": optimizer.state_dict(), "progress": asdict(progress)}
    torch.save(state, buffer)
    folder.write(CHECKPOINT, buffer.getvalue())


def read(folder: Folder, device: torch.device) -> dict[str, Any] | None:
    """What `save` has written; None if there is no checkpoint."""
    data = folder.read(CHECKPOINT)
    return None if data is None else torch.load(io.BytesIO(data), map_location=device, weights_only=True)


def restore(state: dict[str, Any], network: nn.Module, optimizer: torch.optim.Optimizer) -> Progress:
    """Puts a checkpoint's weights and momentum in place and returns its progress."""
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    progress = Progress(**state["progress"])
    progress.interruptions += 1
    return progress
