"""The progress of a run: the part of a checkpoint that says how far the run is, and how it was trained so far."""

from dataclasses import dataclass, field
from typing import Any

from emotune.runs.record import CodeOrigin, EpochMetrics, Numerics

__all__ = ["Progress"]


@dataclass
class Progress:
    """How far a run is, and what its record needs to know of the way there.

    Attributes:
        epoch: The current epoch, from 0.
        step: The number of finished steps in the epoch.
        loss_sum: The sum of losses over the images of those steps.
        correct: The number of those images that were classified correctly.
        seen: The number of those images.
        train_s: The seconds spent in steps.
        interruptions: The number of times that the run was continued from a checkpoint.
        history: The metrics of each finished epoch, as in ``metrics.jsonl``.
        origins: The code and library versions that trained the run; several where they changed on the way.
        reading: How training images were read, see `emotune.training.record.reading_mode`; several where that changed.
        numerics: How the run was computed; several where that changed.
        initialisation: Where the initial weights are from, see `emotune.models.weights.initial_weights.Initialisation`.
        notes: Warnings about what went wrong on the way.
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

    def add_provenance(self, *, origin: CodeOrigin, reading: str, numerics: Numerics) -> None:
        """Adds how the run is trained from now on, where that differs from before."""
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

    def end_epoch(self, metrics: EpochMetrics) -> None:
        """Adds the epoch's metrics to the history and begins the next epoch."""
        self.history.append(metrics)
        self.epoch, self.step = self.epoch + 1, 0
        self.loss_sum, self.correct, self.seen = 0.0, 0, 0
