"""How far a run is: what a training process reports, and what the commands show."""

import math
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Phase", "RunProgress"]

Phase = Literal["reading", "training", "validating", "testing"]
"""What a run does at the moment."""


@dataclass(frozen=True)
class RunProgress:
    """How far a run is, for those who watch. Every step and every evaluated batch changes it.

    Two are equal if the run stands at the same place: numbers that may be NaN, which equals nothing once it has been
    pickled, are not compared.

    Attributes:
        run_id: The run's.
        epoch: The current one, counted from 1; 0 before the first step.
        epochs: Planned.
        fraction: Of the run's steps that is done.
        loss: The latest step's; NaN until this start of the run has taken one.
        val_accuracy: The latest, per cent; NaN until there is one.
        images_per_s: Of late, in training steps alone; NaN until this start of the run has taken one.
        step: Steps that are done since the run's beginning.
        steps: Planned.
        phase: What it does.
        evaluated: Images of this phase that this rank has evaluated, or read; who reads says no steps.
        lr: The latest step's learning rate; NaN as ``loss`` is.
        interruptions: Times that the run was continued.
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
