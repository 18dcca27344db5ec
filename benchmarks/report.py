"""What a report costs: seconds, memory and bytes, for a pool of runs whose results are drawn by a generator.

    python benchmarks/report.py [--variants 6] [--seeds 10] [--data-sets 1] [--pictures 5000] [--epochs 30] [--keep DIR]

Nothing is trained: predictions, attention and curves have the shape and size of real ones, with effects that differ
between variants, so that every section of the page has something to show. The time is that of a whole Python process
that writes the report from nothing; torch and Ray must not have been imported by it.
"""

import argparse
import io
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from emotune.emotions import MIKELS
from emotune.run import DatasetRef, RunConfig
from emotune.run_directory import ATTENTION, METRICS, PREDICTIONS, RECORD
from emotune.storage import Folder
from emotune.study import Study, load_study

MODELS = ("alexnet", "attention", "dual_branch", "mldr")
COMMAND = "python -m emotune.ablate artificial.yaml"
FORBIDDEN = ("torch", "ray", "torchvision")


def write_study(folder: Path, variants: int, seeds: int) -> Study:
    """A study of that many variants, in turn of each kind of network."""
    names = [f"{MODELS[i % 4].replace('_', '-')}{'' if i < 4 else f'-{i // 4 + 1}'}" for i in range(variants)]
    lines = [
        f"  {name}: {{model.name: {MODELS[i % 4]}, train.lr: {0.01 + i / 1000:g}}}" for i, name in enumerate(names)
    ]
    contrasts = ", ".join(f"{name} - {names[0]}" for name in names[1:5])
    path = folder / "artificial.yaml"
    path.write_text(
        "question: What does a report of artificial runs cost?\ndatasets: [scenes]\nmodel: {width: 0.25}\n"
        f"baseline: {names[0]}\nvariants:\n" + "\n".join(lines) + f"\nseeds: {seeds}\ncontrasts: [{contrasts}]\n"
    )
    return load_study(path)


def write_pool(study: Study, datasets: int, pictures: int, epochs: int, pool: Path) -> tuple[RunConfig, ...]:
    """Directories of finished runs."""
    refs = [DatasetRef(name=f"set-{i}", location=f"/nowhere/{i}", content_hash=f"{i:064d}") for i in range(datasets)]
    runs = study.runs(refs)
    draws = np.random.default_rng(0)
    targets, hard = draws.integers(0, 8, pictures), draws.normal(0, 1, pictures)
    for run in runs:
        own = np.random.default_rng([run.seed, list(study.variants).index(run.variant), refs.index(run.dataset)])
        skill = 1.6 + 0.12 * list(study.variants).index(run.variant) + own.normal(0, 0.05)
        logits = own.normal(0, 1, (pictures, 8)).astype(np.float32)
        logits[np.arange(pictures), targets] += skill + hard
        _write_run(run, logits, targets, epochs, Folder(str(pool)) / run.id, own)
    return runs


def _write_run(
    run: RunConfig, logits: np.ndarray, targets: np.ndarray, epochs: int, folder: Folder, own: np.random.Generator
) -> None:
    ids = [f"{i:016x}" for i in range(len(targets))]
    columns = {"sample_id": ids, "target": np.array(MIKELS)[targets], "group": ids}
    _write(folder, PREDICTIONS, columns | {f"logit_{label}": logits[:, i] for i, label in enumerate(MIKELS)})
    attends = run.model.name in ("attention", "dual_branch")
    if attends:
        weights = own.dirichlet(np.linspace(1, 3, 36), len(ids)).astype(np.float32)
        _write(folder, ATTENTION, {"sample_id": ids, "layer": "trunk.attention", "weights": list(weights)})
    accuracy = float(100 * (logits.argmax(axis=1) == targets).mean())
    steps = [1 - np.exp(-3 * (e + 1) / epochs) for e in range(epochs)]
    history = [
        {"epoch": e + 1, "lr": 0.01, "train_loss": 2 - s, "train_accuracy": accuracy * s + own.normal(0, 1),
         "val_loss": 2 - s, "val_accuracy": accuracy * s + own.normal(0, 1.5), "train_s_so_far": 10.0 * (e + 1)}
        | ({"attention_entropy": 3.58 - s * 0.4} if attends else {})
        for e, s in enumerate(steps)
    ]  # fmt: skip
    folder.write(METRICS, "".join(json.dumps(entry) + "\n" for entry in history).encode())
    scale = 1 + MODELS.index(run.model.name)
    versions = {"python": "3.11.7", "emotune": "0.1.0", "torch": "2.14.1"}
    record = {
        "run": run.id, "variant": run.variant, "dataset": run.dataset.name, "seed": run.seed, "selection": "last epoch",
        "selected_epoch": epochs, "last_epoch": history[-1], "accuracy": accuracy, "parameters": 900_000 * scale,
        "forward_flops": 45_000_000 * scale, "durations_s": {"train": 10.0 * epochs * scale}, "images_per_s": 300.0,
        "workers": 1, "interruptions": 0, "numerics": {"precision": "float32"},
        "hardware": {"machine": "x86_64", "cpus": 2, "threads": 1, "gpu": None},
        "origins": [{"git": {"commit": "0" * 40, "dirty": False}, "versions": versions}],
    }  # fmt: skip
    folder.write_json(RECORD, record)


def _write(folder: Folder, name: str, columns: dict) -> None:
    buffer = io.BytesIO()
    pd.DataFrame(columns).to_parquet(buffer)
    folder.write(name, buffer.getvalue())


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name, default in (("variants", 6), ("seeds", 10), ("data-sets", 1), ("pictures", 5000), ("epochs", 30)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--keep", type=Path, help="a folder for the pool and the report; default: a temporary one")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        study = write_study(folder, options.variants, options.seeds)
        runs = write_pool(study, options.data_sets, options.pictures, options.epochs, folder / "runs")
        begun = time.perf_counter()
        subprocess.run([sys.executable, __file__, "--write", folder, str(options.data_sets)], check=True)
        seconds = time.perf_counter() - begun
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
        size = (folder / "report" / "index.html").stat().st_size / 1e6
        print(f"{len(runs)} runs of {options.pictures:,} pictures: {seconds:.1f} s, {peak:.2f} GB, page {size:.2f} MB")


def write(folder: Path, datasets: int) -> None:
    """Writes the report of a pool that `main` has drawn."""
    from emotune.report.build import build_report

    study = load_study(folder / "artificial.yaml")
    refs = [DatasetRef(name=f"set-{i}", location=f"/nowhere/{i}", content_hash=f"{i:064d}") for i in range(datasets)]
    build_report(study, study.runs(refs), str(folder / "runs"), folder / "report", COMMAND)
    assert not (found := [name for name in FORBIDDEN if name in sys.modules]), found


if __name__ == "__main__":
    if sys.argv[1:2] == ["--write"]:
        write(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
