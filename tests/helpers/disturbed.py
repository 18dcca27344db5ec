"""Studies with faults: real commands in whose workers a real fault strikes at a chosen step.

emotune itself is not changed: a ``sitecustomize.py`` on PYTHONPATH wraps functions of the training loop, and keeps a
journal of every step that any rank takes.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from emotune.execution.plan.resolved_study import resolve_study

STUDY = """
question: Does attention help on very few images?
datasets: [{data}]
model: {{name: alexnet, width: 0.0625, weight_init: he, dropout: 0.5}}
train: {{epochs: 3, batch_size: 16, lr: 0.005}}
baseline: alexnet
variants:
  alexnet: {{}}
  attention: {{model.name: attention}}
{more}seeds: 1
contrasts: [attention - alexnet]
resources: {{workers: 2}}
"""
EPOCHS, STEPS = 3, 5
"""Epochs of the study above, and steps in each epoch."""

LONGER = 5
"""Epochs of a variant that is longer."""

SHORTER = {"shorter": "train.epochs: 1", "shorter-attention": "model.name: attention, train.epochs: 1"}
"""Variants whose numbers rounding has not changed much."""

DEADLINE_S = 300.0
"""Seconds to wait for anything that must happen; on a quiet machine it takes much less."""

KILL = "os.kill(os.getpid(), signal.SIGKILL)"
STOP = "os.kill(os.getpid(), signal.SIGSTOP)"
RAISE = "raise RuntimeError('this layer is cursed')"
HOLD = "while not (folder / 'go').exists(): time.sleep(0.02)"
"""Delays the step until the test calls ``go``; the other rank waits for this one's gradient."""

UNTIL_STOPPED = "while not now['stop'](): time.sleep(0.02)"
"""Delays the step until this rank has heard that the command was asked to stop, so that no signal comes too late."""

DISTURBER = Path(__file__).with_name("disturber.py")
"""What becomes the ``sitecustomize.py``."""


def alike(*variants: str) -> dict[str, str]:
    """Variants that differ in nothing but their learning rates, which their places determine, whatever their names."""
    return {variant: f"train.lr: {0.005 + 0.0001 * place:.4f}" for place, variant in enumerate(variants, 1)}


@dataclass(frozen=True)
class Fault:
    """Strikes once (or ``always``) in one rank of one run, before its ``step``-th step since it was begun or went on.

    ``what`` is Python, with ``folder``, a place for files, and ``now``, what this rank does, in scope; ``at`` names a
    function of the training loop.
    """

    what: str
    variant: str = "attention"
    rank: int = 1
    step: int = 2 * STEPS - 2
    at: str = "take_step"
    always: bool = False


@dataclass(frozen=True)
class Ended:
    """A command that has ended: its exit code and its output."""

    code: int
    out: str
    err: str


class Command:
    """A running command in a session of its own, as in a terminal, with all processes that it has started."""

    def __init__(self, arguments: list[str], folder: Path, environment: dict[str, str]) -> None:
        self._out, self._err = (folder / f"{name}-{time.monotonic_ns()}.txt" for name in ("out", "err"))
        with self._out.open("w") as out, self._err.open("w") as err:
            self.process = subprocess.Popen(
                arguments, cwd=folder, stdout=out, stderr=err, env=environment, start_new_session=True
            )

    @property
    def said(self) -> str:
        return self._out.read_text() + self._err.read_text()

    def end(self, timeout_s: float = DEADLINE_S) -> Ended:
        """Waits for the command's own process."""
        code = self.process.wait(timeout_s)
        return Ended(code, self._out.read_text(), self._err.read_text())

    def processes(self) -> dict[int, str]:
        """The pid and command line of every process that lives in the command's session."""
        found = {}
        for folder in Path("/proc").iterdir():
            if folder.name.isdecimal():
                try:
                    state, _, _, session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
                    title = (folder / "cmdline").read_text().replace("\0", " ").strip()
                except (FileNotFoundError, ProcessLookupError):
                    continue  # it ended meanwhile
                if int(session) == self.process.pid and state not in "ZX":
                    found[int(folder.name)] = title
        return found

    def pid_of(self, *words: str) -> int:
        """The pid of the one process whose command line has one of the words."""
        processes = self.processes()
        found = [pid for pid, line in processes.items() if any(word in line for word in words)]
        assert len(found) == 1, processes
        return found[0]

    def require_end_of_all(self, timeout_s: float = 45.0, *, but: str | None = None) -> None:
        """Waits until no process is left, ``but`` those whose command line ends so."""
        deadline = time.monotonic() + timeout_s
        while left := {pid: line for pid, line in self.processes().items() if not (but and line.endswith(but))}:
            assert time.monotonic() < deadline, f"after {timeout_s:g} s there are still {left}"
            time.sleep(0.05)

    def kill_all(self) -> None:
        """Kills all processes that are left."""
        while left := self.processes():
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)
        self.process.wait()


class Disturbed:
    """A folder with a study, new or continued, in which commands are run and faults strike.

    Args:
        folder: The folder.
        data: The folder or URL of the study's shards.
        more: Variants besides *alexnet* and *attention*, each with what it changes.
        url: The URL of the runs, if they are not in a folder beside the study.
    """

    def __init__(
        self, folder: Path, data: Path | str, more: Mapping[str, str] = MappingProxyType({}), url: str = ""
    ) -> None:
        self.folder, self.site = folder, folder / "site"
        self.pool = folder / "runs"
        self.url = url or str(self.pool)
        self.site.mkdir(parents=True, exist_ok=True)
        shutil.copy(DISTURBER, self.site / "sitecustomize.py")
        for name in ("journal", "begun"):
            (self.site / name).touch()
        self._commands: list[Command] = []
        self.strike()
        lines = [f"  {variant}: {{{changes}}}\n" for variant, changes in more.items()]
        (folder / "few.yaml").write_text(STUDY.format(data=data, more="".join(lines)))

    @cached_property
    def run_ids(self) -> dict[str, str]:
        """The run of each variant."""
        return {run.variant: run.id for run in resolve_study(self.folder / "few.yaml", self.url).runs}

    def strike(self, *faults: Fault) -> None:
        """Sets the faults that strike from now on, in the place of earlier ones; HOLD holds until the next ``go``."""
        (self.site / "go").unlink(missing_ok=True)
        (self.site / "faults.json").write_text(json.dumps([asdict(fault) for fault in faults]))

    def start(self, *arguments: str, **environment: str) -> Command:
        command = [sys.executable, "-W", "error::DeprecationWarning:emotune", "-m", "emotune.ablate", "few.yaml",
                   "--runs", self.url, *arguments]  # fmt: skip
        one_by_one = {"SLURM_CPUS_PER_TASK": "2"}  # trains one run at a time, whatever this machine has
        return self.begin(command, **one_by_one | environment)

    def begin(self, command: list[str], **environment: str) -> Command:
        """Starts any command, in whose workers the faults strike."""
        path = os.pathsep.join(filter(None, [str(self.site), os.environ.get("PYTHONPATH")]))
        self._commands.append(Command(command, self.folder, {**os.environ, "PYTHONPATH": path, **environment}))
        return self._commands[-1]

    def ablate(self, *arguments: str, **environment: str) -> Ended:
        return self.start(*arguments, **environment).end()

    def until(self, condition: Callable[[], Any], what: str, timeout_s: float = DEADLINE_S) -> Any:
        """Waits until the condition is true; returns its value."""
        deadline = time.monotonic() + timeout_s
        while not (found := condition()):
            said = "\n".join(command.said for command in self._commands)
            assert time.monotonic() < deadline, f"{what}: not in {timeout_s:g} s; the commands said: {said}"
            time.sleep(0.05)
        return found

    def struck(self, variant: str) -> int:
        """Waits until a fault has struck the variant; returns the pid of the worker."""
        command = self._commands[-1]

        def marks() -> list[Path]:
            return sorted(self.site.glob(f"struck-{variant}.*[0-9]"))

        self.until(lambda: marks() or command.process.poll() is not None, f"a fault in {variant}")
        assert marks(), f"the command ended before {variant} was struck: {command.said}"
        return int(marks()[0].read_text())

    def go(self) -> None:
        """Releases the workers that HOLD delays."""
        (self.site / "go").touch()

    def steps(self) -> Counter[tuple[str, int]]:
        """The number of steps that each rank of each variant has taken, including lost ones."""
        lines = [line.split() for line in (self.site / "journal").read_text().splitlines()]
        return Counter((variant, int(rank)) for variant, rank, _ in lines)

    def pids(self, variant: str) -> dict[int, int]:
        """The latest pid of each rank that has trained the variant."""
        lines = [line.split() for line in (self.site / "journal").read_text().splitlines()]
        return {int(rank): int(pid) for found, rank, pid in lines if found == variant}

    def left_at_begin(self, variant: str) -> list[list[int]]:
        """The processes of the variant that a fault had struck and that still lived, whenever a rank of it began."""
        lines = [json.loads(line) for line in (self.site / "begun").read_text().splitlines()]
        return [left for found, left in lines if found == variant]

    def file(self, variant: str, name: str) -> Path:
        """A file of the variant's run."""
        return self.pool / self.run_ids[variant] / name

    def record(self, variant: str) -> dict[str, Any]:
        return json.loads(self.file(variant, "record.json").read_text())

    def interruptions(self) -> dict[str, int]:
        """How often each run was interrupted before it was done."""
        return {name: self.record(name)["interruptions"] for name in self.run_ids if self.is_done(name)}

    def is_done(self, variant: str) -> bool:
        return self.file(variant, "record.json").exists()

    def page(self) -> str:
        return (self.folder / "reports" / "few" / "index.html").read_text()

    def close(self) -> None:
        for command in self._commands:
            command.kill_all()


def alive(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False
