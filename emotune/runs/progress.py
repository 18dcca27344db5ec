"""The progress of a run, which the training process reports and the commands show."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

__all__ = ["Phase", "RunProgress"]

Phase = Literal["reading", "training", "validating", "testing"]
"""The current activity of a run."""


@dataclass(frozen=True)
class RunProgress:
    """The progress of a run; every training step and every evaluated batch changes it.

    Numbers that may be NaN are not compared: NaN equals nothing once it has been pickled, and two objects are to be
    equal if the run is at the same place.

    Attributes:
        run_id: The run's id.
        epoch: The number of the current epoch, from 1; 0 before the first step.
        epochs: The planned number of epochs.
        fraction: The share of the run's steps that is done, from 0 to 1.
        loss: The loss of the latest step; NaN until this process has taken one.
        val_accuracy: The latest validation accuracy, per cent; NaN until there is one.
        images_per_s: The recent speed of training steps; NaN until this process has taken one.
        step: The number of steps that are done, counted from the beginning of the run.
        steps: The planned number of steps.
        phase: The current activity.
        evaluated: The number of images that this rank has evaluated or read in this phase.
        lr: The learning rate of the latest step; NaN until this process has taken one.
        interruptions: The number of times that the run was continued.
        val_ccc: The latest validation CCC if dimensions are predicted; else NaN.
        to_read: The number of images that are to be read in all, of which ``evaluated`` have been; for features that
            are computed once, each view counts as an image. 0 in other phases.
    """

    run_id: str
    epoch: int
    epochs: int
    fraction: float
    loss: float = field(default=math.nan, compare=False)
    val_accuracy: float = field(default=math.nan, compare=False)
    images_per_s: float = field(default=math.nan, compare=False)
    step: int = 0
    steps: int = 0
    phase: Phase = "training"
    evaluated: int = 0
    lr: float = field(default=math.nan, compare=False)
    interruptions: int = 0
    to_read: int = 0
    val_ccc: float = field(default=math.nan, compare=False)

    def to_json(self) -> dict[str, Any]:
        """The values that are known, as JSON has no NaN."""
        return {name: value for name, value in asdict(self).items() if not _is_nan(value)}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> "RunProgress":
        """The inverse of `to_json`; fields that later versions may have added are ignored."""
        names = {field.name for field in fields(RunProgress)}
        return RunProgress(**{name: item for name, item in value.items() if name in names})


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)
