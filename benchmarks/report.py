"""Time and memory of a report: `python -m emotune.ablate STUDY --report-only`, from start to end.

    python benchmarks/report.py [--variants 5] [--seeds 12] [--images 4400] [--repeats 3] [--keep DIR]

The 60 runs are generated, as the files that training writes, with a fifth of FI's images as test images; their
predictions are as often correct as those of an AlexNet trained from scratch, and four of five have attention. The
benchmark fails if the command imports torch or Ray. `--keep` keeps runs, study and report in a folder; they are no
results. As a yardstick on the same machine, a bare script reads the same predictions and curves with pandas, in turns
with the command; the ratio is that of medians of processor time, imports included.
"""

import argparse
import contextlib
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd

from emotune.cli.arguments import CommandLine
from emotune.config.labels import MIKELS
from emotune.config.load import load_study
from emotune.config.run import RunConfig
from emotune.core.storage import Folder
from emotune.data.datasets.resolve import resolve_datasets
from emotune.data.manifest import SPLITS, Manifest, write_manifest
from emotune.runs.directory import ATTENTION, METRICS, PREDICTIONS, RECORD, RunDirectory

STUDY = """
question: What does a report cost?
datasets: [{data}]
model: {{name: alexnet, width: 0.25}}
train: {{epochs: {epochs}}}
baseline: alexnet
variants:
  alexnet: {{}}
{variants}
seeds: {seeds}
contrasts: [{contrasts}]
"""
BARE = """
import pathlib, pandas
for run in pathlib.Path("runs").iterdir():
    if (run / "predictions.parquet").exists():
        pandas.read_parquet(run / "predictions.parquet")
        pandas.read_json(run / "metrics.jsonl", lines=True)
"""
EPOCHS, POSITIONS = 50, 36


def study_of(variants: int, seeds: int, data: Path) -> str:
    """The text of a study file whose variants differ in the temperature of the attention."""
    names = [f"attention-{number}" for number in range(1, variants)]
    return STUDY.format(
        data=data, seeds=seeds, epochs=EPOCHS, contrasts=", ".join(f"{name} - alexnet" for name in names),
        variants="\n".join(f"  {name}: {{model.name: attention, model.temperature: {1 / n}}}"
                           for n, name in enumerate(names, 2)),
    )  # fmt: skip


def write_empty_manifest(folder: Path, images: int) -> None:
    """Writes the manifest of a data set without shards; a report needs no image."""
    share = {"train": 4, "val": 0.25, "test": 1}
    counts = {split: {label: int(share[split] * images / len(MIKELS)) for label in MIKELS} for split in SPLITS}
    write_manifest(Folder(str(folder)), Manifest(
        name="made-up", classes=MIKELS, counts=counts, noisy={split: dict.fromkeys(MIKELS, 0) for split in SPLITS},
        shards=(), content_hash="0" * 64, health={}, health_sha256="0" * 64, source="made up", licence="none",
        recipe="0" * 64,
    ))  # fmt: skip


class GeneratedRuns:
    """Writes the files of runs that were never trained."""

    def __init__(self, pool: Path, images: int) -> None:
        self.pool, self.rng = str(pool), np.random.default_rng(0)
        self.targets = np.arange(images) % len(MIKELS)
        self.hardness = self.rng.normal(0, 1.5, images)
        self.ids = [f"{number:08d}" for number in range(images)]

    def write(self, run: RunConfig) -> None:
        """Writes the directory of a finished run."""
        folder, images = RunDirectory(self.pool, run).folder, len(self.ids)
        logits = self.rng.normal(0, 1, (images, len(MIKELS))).astype(np.float32)
        logits[np.arange(images), self.targets] += 0.4 + self.rng.normal(0, 0.05) - self.hardness
        labels = np.array(MIKELS)[self.targets]
        table = pd.DataFrame({"sample_id": self.ids, "target": labels, "group": self.ids})
        self._parquet(folder, PREDICTIONS, table.assign(**{f"logit_{c}": logits[:, i] for i, c in enumerate(MIKELS)}))
        attending = run.model.name == "attention"
        if attending:
            weights = self.rng.dirichlet(np.full(POSITIONS, 5.0), images).astype(np.float32)
            table = pd.DataFrame({"sample_id": self.ids, "layer": "trunk.attention", "weights": list(weights)})
            self._parquet(folder, ATTENTION, table)
        curve = [self._epoch(epoch, attending) for epoch in range(1, EPOCHS + 1)]
        folder.write(METRICS, "".join(json.dumps(entry) + "\n" for entry in curve).encode())
        folder.write_json(RECORD, self._record(run, curve[-1]))

    def _parquet(self, folder: Folder, name: str, table: pd.DataFrame) -> None:
        buffer = io.BytesIO()
        table.to_parquet(buffer, index=False)
        folder.write(name, buffer.getvalue())

    def _epoch(self, epoch: int, attending: bool) -> dict[str, float]:
        learned = 1 - np.exp(-epoch / 12)
        entry = {"epoch": epoch, "lr": 0.01, "train_loss": 2.1 - learned, "train_accuracy": 20 + 40 * learned,
                 "val_loss": 2.1 - 0.5 * learned, "val_accuracy": 20 + 18 * learned + self.rng.normal(0, 1),
                 "train_s_so_far": 30.0 * epoch}  # fmt: skip
        return entry | ({"attention_entropy": float(np.log(POSITIONS) - learned)} if attending else {})

    def _record(self, run: RunConfig, last: dict[str, float]) -> dict[str, object]:
        return {
            "run": run.id, "model": run.model.name, "dataset": run.dataset.name, "seed": run.seed,
            "selection": "last epoch", "selected_epoch": EPOCHS, "last_epoch": last, "parameters": 3_800_000,
            "forward_flops": 90_000_000, "train_images": 4 * len(self.ids), "workers": 1, "interruptions": 0,
            "durations_s": {"train": last["train_s_so_far"], "test": 9.0, "this_start": last["train_s_so_far"] + 9},
            "images_per_s": 500.0, "reading": "decoded", "numerics": {"precision": "float32"}, "initialisation": {},
            "hardware": {"machine": "none", "cpus": 1, "threads": 1, "gpu": None},
            "origins": [{"git": None, "versions": {"python": "made up"}}], "test_images": len(self.ids),
            "accuracy": 0.0, "weights": {"sha256": "0" * 64},
        }  # fmt: skip


def cpu_s() -> float:
    """The seconds of processor time of all ended child processes."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def bare_cpu_s(folder: Path) -> float:
    """Seconds of processor time of a script that reads what the report reads."""
    before = cpu_s()
    subprocess.run([sys.executable, "-c", BARE], cwd=folder, check=True)
    return cpu_s() - before


def report_s(folder: Path, *, imports: bool = False) -> tuple[float, float]:
    """Seconds of the command in the folder, by the clock and of processor time.

    With ``imports``, also checks that it imports neither torch nor Ray.
    """
    python = [*(["-X", "importtime"] if imports else []), "-m", "emotune.ablate", "study.yaml", "--report-only"]
    environment = os.environ | {"EMOTUNE_CACHE": str(folder / "cache")}
    began, cpu_before_s = time.perf_counter(), cpu_s()
    done = subprocess.run(
        [sys.executable, *python], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - began, cpu_s() - cpu_before_s
    if done.returncode:
        raise SystemExit(f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}")
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if "|" in line}
    if imports and (heavy := imported & {"torch", "ray"}):
        raise SystemExit(f"the report imports {' and '.join(heavy)}")
    return seconds


@contextlib.contextmanager
def workspace(keep: Path | None) -> Iterator[Path]:
    """The folder ``keep``, or a temporary one."""
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)


def main() -> None:
    """Measures, and prints the figures last."""
    parser = CommandLine(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option, default in (("variants", 5), ("seeds", 12), ("images", 4400), ("repeats", 3)):
        parser.add_argument(f"--{option}", type=int, default=default)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep runs, study and report in this folder")
    options = parser.parse_args()
    with workspace(options.keep) as folder:
        write_empty_manifest(folder / "data", options.images)
        (folder / "study.yaml").write_text(study_of(options.variants, options.seeds, folder / "data"))
        study = load_study(folder / "study.yaml")
        runs, generated = study.runs(resolve_datasets(study.datasets)), GeneratedRuns(folder / "runs", options.images)
        for run in runs:
            generated.write(run)
        report_s(folder, imports=True)
        measured = [(*report_s(folder), bare_cpu_s(folder)) for _ in range(options.repeats)]
        whole_s, used_s, bare_s = (median(column) for column in zip(*measured, strict=True))
        page = folder / "reports" / "study" / "index.html"
        print(f"report_runs = {len(runs)}")
        print(f"report_s = {whole_s:.2f}")
        print(f"report_cpu_s = {used_s:.2f}")
        print(f"report_to_bare_reading = {used_s / bare_s:.2f}")
        print(f"page_mb = {page.stat().st_size / 1e6:.2f}")
        print(f"peak_gb = {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e9:.2f}")


if __name__ == "__main__":
    main()
