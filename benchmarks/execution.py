"""What execution costs beside training: overhead per run, the first step, a command with nothing to do, a plan, memory.

    python benchmarks/execution.py [--repeats 3]

Every figure is of whole commands, `python -m emotune.ablate`, from their start to their end; of repeated ones the
median. Linux only. What is counted:

- *overhead*: seconds of a study of 8 tiny runs (2 variants × 4 seeds, each 2 epochs of a single step) less the seconds
  that their records give for training and testing, divided by 8. Start of Ray, imports and report are in it. With one
  worker a run, as many runs go on at a time as there are cores, and the sum counts each; *strictly*, training at the
  same time counts once. Images are decoded already.
- *first step*: from the command to the file that says that a run's first epoch is over, which is one step and the
  validation of 49 images. Looked at a hundred times a second.
- *no-op*: the command on a finished study of 50 runs, all of them really trained. Report included.
- *plan*: `--plan` for 1,000 runs, of which 50 are done.
- *peak*: proportional set sizes of all processes of a study of one run, the dual branch of the quickstart (10⁹ bytes).
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
from emotune.data.sources.base import Scenes

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
    """A study's seconds: from the command to the first run's begin, end of first epoch, last run's end, and its own.

    ``training`` are the runs' (from, to), counted from the command's start.
    """

    begun: float
    first_epoch: float
    trained: float
    ended: float
    training: tuple[tuple[float, float], ...]

    @property
    def overhead_s(self) -> float:
        """A run's, if every run's training counts."""
        return (self.ended - sum(end - start for start, end in self.training)) / len(self.training)

    @property
    def strict_overhead_s(self) -> float:
        """A run's, if training at the same time counts once."""
        busy = reached = 0.0
        for start, end in sorted(self.training):
            busy += max(0.0, end - max(start, reached))
            reached = max(reached, end)
        return (self.ended - busy) / len(self.training)


class Place:
    """A folder with shards and a cache, in which commands are run."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.environment = folder, os.environ | {"EMOTUNE_CACHE": str(folder / "cache")}
        shares = (0.5, 0.25, 0.25)
        write_shards(Scenes(160, seed=1).listing(), Folder(str(folder / "data")), shares=shares, samples_per_shard=30)
        self.write("tiny", STUDY.format(data=folder / "data", seeds=RUNS // 2))

    def write(self, name: str, text: str) -> None:
        """Writes a study file."""
        (self.folder / f"{name}.yaml").write_text(text)

    def command(self, *arguments: str, python: Sequence[str] = ()) -> list[str]:
        """A command that runs a study."""
        return [sys.executable, *python, "-m", "emotune.ablate", *arguments]

    def seconds(self, *arguments: str) -> float:
        """Of a command."""
        began = time.perf_counter()
        self.said(*arguments)
        return time.perf_counter() - began

    def said(self, *arguments: str, python: Sequence[str] = ()) -> str:
        """What a command writes to standard error."""
        command = self.command(*arguments, python=python)
        options = {"cwd": self.folder, "env": self.environment, "capture_output": True, "text": True}
        done = subprocess.run(command, check=False, **options)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stderr

    def timeline(self, pool: str, *arguments: str) -> Timeline:
        """Runs the tiny study in a new pool."""
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


def overhead(place: Place, workers: int, repeats: int) -> list[Timeline]:
    """Timelines of a study of 8 runs; prints where the time went."""
    found = [place.timeline(f"runs-{workers}-{number}", "--workers", str(workers)) for number in range(repeats)]
    begun, first, trained, ended = (
        median(getattr(line, name) for line in found) for name in ("begun", "first_epoch", "trained", "ended")
    )
    train_s = median(sum(end - start for start, end in line.training) for line in found)
    strict = median(line.strict_overhead_s for line in found)
    print(
        f"{RUNS} runs, workers: {workers}: {ended:.1f} s = {begun:.1f} until the first begins + {first - begun:.1f} "
        f"for its first epoch + {trained - first:.1f} for the rest of the runs ({train_s:.1f} s training) + "
        f"{ended - trained:.1f} for the end and the report; strictly {strict:.2f} s a run",
        flush=True,
    )
    return found


def require_light(place: Place, *arguments: str) -> None:
    """Ends the benchmark if the command imports torch or Ray."""
    lines = place.said(*arguments, python=["-X", "importtime"]).splitlines()
    imported = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}
    if heavy := imported & {"torch", "ray"}:
        raise SystemExit(f"{' '.join(arguments)} imports {' and '.join(sorted(heavy))}")


def quickstart_run(place: Place) -> float:
    """Peak bytes of a study of one run of the quickstart's, by one worker."""
    study = yaml.safe_load(shipped_study("quickstart").read_text())
    study |= {"variants": {"dual": study["variants"]["dual"]}, "baseline": "dual", "contrasts": [], "seeds": 1}
    place.write("one", yaml.safe_dump(study))
    took = usage(
        place.command("one.yaml", "--workers", "1"),
        cwd=place.folder, env=place.environment, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    print(f"one run of the quickstart: {took.wall_s:.1f} s, exit code {took.exit_code}; most memory in")
    for size, title in took.largest:
        print(f"  {size * 1024 / 1e9:.2f} GB  {title}")
    return took.peak_kib * 1024


def main() -> None:
    """Measures, and ends with the figures."""
    parser = CommandLine(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="of each command (default: %(default)s)")
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory(prefix="emotune-execution-") as scratch:
        place = Place(Path(scratch))
        finished = ["tiny.yaml", "--seeds", str(FINISHED // 2)]
        train_s = place.seconds(*finished, "--executor", "local")  # decodes the images, too
        print(f"{FINISHED} runs one after another in one process: {train_s:.1f} s", flush=True)
        noop_s = median(place.seconds(*finished) for _ in range(repeats))
        require_light(place, *finished)
        planned = ["tiny.yaml", "--seeds", str(PLANNED // 2), "--plan"]
        plan_s = median(place.seconds(*planned) for _ in range(repeats))
        require_light(place, *planned)
        one, two = (overhead(place, workers, repeats) for workers in (1, 2))
        peak = quickstart_run(place)
    print(f"overhead_s_1_worker = {median(line.overhead_s for line in one):.2f}")
    print(f"overhead_s_2_workers = {median(line.overhead_s for line in two):.2f}")
    print(f"first_step_s = {median(line.first_epoch for line in (*one, *two)):.1f}")
    print(f"noop_s = {noop_s:.2f}")
    print(f"plan_1000_s = {plan_s:.2f}")
    print(f"peak_gb = {peak / 1e9:.2f}")


if __name__ == "__main__":
    main()
