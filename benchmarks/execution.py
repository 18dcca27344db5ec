"""Cost of execution beside training: overhead per run, time to the first step, a finished study, a plan, memory.

    python benchmarks/execution.py [--repeats 3]

All figures are of whole commands, `python -m emotune.ablate`, from start to end: medians over repetitions. Linux only.

- *overhead*: seconds of a study of 8 tiny runs (2 variants × 4 seeds, each 2 epochs of one step), minus the seconds of
  training and testing in their records, divided by 8. It includes starting Ray, imports and the report. With one worker
  per run, as many runs train at a time as there are cores, and the training time of each is subtracted; *strict*
  overhead subtracts simultaneous training once. Images are decoded beforehand.
- *first step*: from the start of the command until the file of a run's first epoch appears (one step and the validation
  of 49 images), checked a hundred times per second.
- *no-op*: the command on a finished study of 50 trained runs, including the report.
- *plan*: `--plan` for 1,000 runs, 50 of which are done.
- *peak*: proportional set size of all processes of a study of one run, the quickstart's dual branch, in 10⁹ bytes.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import yaml
from quickstart import records, usage

from emotune.cli.arguments import CommandLine
from emotune.config.load import shipped_study
from emotune.core.storage import Folder
from emotune.data.build.shards import write_shards
from emotune.data.sources.scenes import Scenes

RUNS, FINISHED, PLANNED = 8, 50, 1000
STUDY = """
question: What does execution cost?
datasets: [{data}]
model: {{name: alexnet, width: 0.0625, weight_init: he, dropout: 0.0}}
train: {{epochs: 2, batch_size: 72, lr: 0.005}}
baseline: alexnet
variants: {{alexnet: {{}}, attention: {{model.name: attention}}}}
seeds: {seeds}
contrasts: [attention - alexnet]
"""


@dataclass(frozen=True)
class Timeline:
    """Events of a study, in seconds since the start of the command.

    Attributes:
        begun: Start of the first run.
        first_epoch: End of the first epoch of any run.
        trained: End of the last run.
        ended: End of the command.
        training: Start and end of each run's training.
    """

    begun: float
    first_epoch: float
    trained: float
    ended: float
    training: tuple[tuple[float, float], ...]

    @property
    def overhead_s(self) -> float:
        """Overhead per run; the training time of every run is subtracted."""
        return (self.ended - sum(end - start for start, end in self.training)) / len(self.training)

    @property
    def strict_overhead_s(self) -> float:
        """Overhead per run; simultaneous training is subtracted once."""
        busy = reached = 0.0
        for start, end in sorted(self.training):
            busy += max(0.0, end - max(start, reached))
            reached = max(reached, end)
        return (self.ended - busy) / len(self.training)


class Workspace:
    """A folder with shards and a cache, in which commands run."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.environment = folder, os.environ | {"EMOTUNE_CACHE": str(folder / "cache")}
        shares = (0.5, 0.25, 0.25)
        write_shards(Scenes(160, seed=1).listing(), Folder(str(folder / "data")), shares=shares, samples_per_shard=30)
        self.write("tiny", STUDY.format(data=folder / "data", seeds=RUNS // 2))

    def write(self, name: str, text: str) -> None:
        """Writes a study file."""
        (self.folder / f"{name}.yaml").write_text(text)

    def command(self, *arguments: str, python: Sequence[str] = ()) -> list[str]:
        """The arguments of a command that runs a study."""
        return [sys.executable, *python, "-m", "emotune.ablate", *arguments]

    def seconds(self, *arguments: str) -> float:
        """Seconds that a command takes."""
        began = time.perf_counter()
        self.stderr_of(*arguments)
        return time.perf_counter() - began

    def stderr_of(self, *arguments: str, python: Sequence[str] = ()) -> str:
        """Standard error of a command, which must succeed."""
        command = self.command(*arguments, python=python)
        options = {"cwd": self.folder, "env": self.environment, "capture_output": True, "text": True}
        done = subprocess.run(command, check=False, **options)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stderr

    def timeline(self, pool: str, *arguments: str) -> Timeline:
        """The timeline of the tiny study, run in a new pool."""
        runs, first_epoch, began = self.folder / pool, None, time.time()
        with subprocess.Popen(
            self.command("tiny.yaml", "--runs", pool, *arguments),
            cwd=self.folder, env=self.environment, stdout=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            while process.poll() is None:
                if first_epoch is None and any(runs.glob("*/metrics.jsonl")):
                    first_epoch = time.time() - began
                time.sleep(0.01)
        ended, training = time.time() - began, []
        for record in records(runs):
            end = (runs / record["run"] / "record.json").stat().st_mtime - began
            training.append((end - record["durations_s"]["train"] - record["durations_s"]["test"], end))
        if process.returncode or first_epoch is None or len(training) != RUNS:
            raise SystemExit(f"exit code {process.returncode}, {len(training)} of {RUNS} runs are done")
        begun = min(path.stat().st_mtime for path in runs.glob("*/config.json")) - began
        return Timeline(begun, first_epoch, max(end for _, end in training), ended, tuple(training))


def overhead(workspace: Workspace, workers: int, repeats: int) -> list[Timeline]:
    """Timelines of a study of 8 runs; prints how the time was spent."""
    timelines = [workspace.timeline(f"runs-{workers}-{number}", "--workers", str(workers)) for number in range(repeats)]
    begun, first, trained, ended = (
        median(getattr(line, name) for line in timelines) for name in ("begun", "first_epoch", "trained", "ended")
    )
    train_s = median(sum(end - start for start, end in line.training) for line in timelines)
    strict = median(line.strict_overhead_s for line in timelines)
    print(
        f"{RUNS} runs, workers: {workers}: {ended:.1f} s = {begun:.1f} until the first run starts + "
        f"{first - begun:.1f} for its first epoch + {trained - first:.1f} for the rest of the runs "
        f"({train_s:.1f} s training) + {ended - trained:.1f} for shutdown and report; "
        f"strict overhead {strict:.2f} s per run",
        flush=True,
    )
    return timelines


def require_light(workspace: Workspace, *arguments: str) -> None:
    """Ends the benchmark if the command imports torch or Ray."""
    lines = workspace.stderr_of(*arguments, python=["-X", "importtime"]).splitlines()
    imported = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}
    if heavy := imported & {"torch", "ray"}:
        raise SystemExit(f"{' '.join(arguments)} imports {' and '.join(sorted(heavy))}")


def quickstart_run(workspace: Workspace) -> float:
    """Peak memory in bytes of a study of one quickstart run with one worker."""
    study = yaml.safe_load(shipped_study("quickstart").read_text())
    study |= {"variants": {"dual": study["variants"]["dual"]}, "baseline": "dual", "contrasts": [], "seeds": 1}
    workspace.write("one", yaml.safe_dump(study))
    used = usage(
        workspace.command("one.yaml", "--workers", "1"),
        cwd=workspace.folder, env=workspace.environment, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    print(f"one run of the quickstart: {used.wall_s:.1f} s, exit code {used.exit_code}; largest processes:")
    for size, title in used.largest:
        print(f"  {size * 1024 / 1e9:.2f} GB  {title}")
    return used.peak_kib * 1024


def main() -> None:
    """Measures, and prints the figures last."""
    parser = CommandLine(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="repetitions of each command (default: %(default)s)")
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory(prefix="emotune-execution-") as scratch:
        workspace = Workspace(Path(scratch))
        finished = ["tiny.yaml", "--seeds", str(FINISHED // 2)]
        train_s = workspace.seconds(*finished, "--executor", "local")  # decodes the images, too
        print(f"{FINISHED} runs one after another in one process: {train_s:.1f} s", flush=True)
        noop_s = median(workspace.seconds(*finished) for _ in range(repeats))
        require_light(workspace, *finished)
        planned = ["tiny.yaml", "--seeds", str(PLANNED // 2), "--plan"]
        plan_s = median(workspace.seconds(*planned) for _ in range(repeats))
        require_light(workspace, *planned)
        one, two = (overhead(workspace, workers, repeats) for workers in (1, 2))
        peak = quickstart_run(workspace)
    print(f"overhead_s_1_worker = {median(line.overhead_s for line in one):.2f}")
    print(f"overhead_s_2_workers = {median(line.overhead_s for line in two):.2f}")
    print(f"first_step_s = {median(line.first_epoch for line in (*one, *two)):.1f}")
    print(f"noop_s = {noop_s:.2f}")
    print(f"plan_1000_s = {plan_s:.2f}")
    print(f"peak_gb = {peak / 1e9:.2f}")


if __name__ == "__main__":
    main()
