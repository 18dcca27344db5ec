"""Runs that are being trained, and the screen that shows their progress."""

import io

from rich.console import Console

from emotune.config.model import AlexNetConfig
from emotune.config.run import DatasetRef, RunConfig
from emotune.config.train import TrainConfig
from emotune.execution.monitor.display import ProgressDisplay
from emotune.runs.progress import RunProgress

__all__ = ["STEPS", "Clock", "Screen", "at", "run"]

STEPS = 400


class Clock:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def run(variant: str, seed: int = 0, data: str = "scenes") -> RunConfig:
    dataset = DatasetRef(name=data, location=data, content_hash=data)
    model = AlexNetConfig(width=1 + sum(map(ord, variant)) / 1000)  # the variant's name is not in a run's id
    return RunConfig(variant=variant, dataset=dataset, seed=seed, model=model, train=TrainConfig(epochs=4))


def at(run: RunConfig, step: int, **more: object) -> RunProgress:
    numbers = {"loss": 1.5, "val_accuracy": 31.2, "images_per_s": 1234.5} | more
    return RunProgress(run.id, step // 100 + 1, 4, step / STEPS, step=step, steps=STEPS, **numbers)


class Screen:
    """A display, and the lines that a terminal or a log shows of it."""

    def __init__(self, *runs: RunConfig, terminal: bool = False, width: int = 120) -> None:
        self.runs, self.clock, self._out = runs, Clock(), io.StringIO()
        self._console = Console(
            file=self._out, width=width, height=20, force_terminal=terminal, force_interactive=terminal,
            color_system=None,
        )  # fmt: skip
        self.lines = ProgressDisplay(self._console, runs, self.clock)

    @property
    def text(self) -> str:
        return self._out.getvalue()

    def live(self) -> list[str]:
        """The lines that the terminal shows below those that stay."""
        with self._console.capture() as capture:
            self._console.print(self.lines.view())
        return [line.rstrip() for line in capture.get().splitlines()]

    def pass_time(self, seconds: float, every_s: float, pace: float, *runs: RunConfig) -> None:
        """Lets the runs take ``pace`` steps a second, and reports their progress."""
        until = self.clock.now + seconds
        while self.clock.now < until:
            self.clock.now += every_s
            for one in runs:
                self.lines.on_progress(at(one, min(STEPS, int(pace * self.clock.now))))
