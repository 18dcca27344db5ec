"""Scaling of plans, object stores, display and reports, up to 10,000 runs and 1,000 machines.

    python benchmarks/scale.py [--most 10000] [--latency-ms 25]

The runs are generated (files as training writes them, 64 test images each); nothing is trained. For N runs it measures
making the plan (from the study file to the printed table), reading the states of N finished runs from an object store
(a file system in memory on which every request takes `--latency-ms` and lists 1,000 names, as on S3), writing the
report of N runs from a disk, and the driver's own work between two updates of its display while 1,000 machines train.
The work of Ray and Tune cannot be simulated and is not included.

Each line ends with the exponent of growth from the size before: 1 is linear, 2 quadratic.
"""

import argparse
import io
import math
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.memory import MemoryFileSystem
from report import GeneratedRuns, report_s, study_of, write_empty_manifest
from rich.console import Console

from emotune.cli.arguments import CommandLine
from emotune.config.load import load_study
from emotune.config.run import RunConfig
from emotune.data.datasets.resolve import resolve_datasets
from emotune.execution.monitor.tracker import RunTracker
from emotune.execution.plan.plan import make_plan
from emotune.execution.plan.summary import print_plan
from emotune.runs.directory import State
from emotune.runs.progress import RunProgress
from emotune.runs.store import RunStore

VARIANTS = 10
MACHINES = 1000
IMAGES = 64
NAMES_PER_REQUEST = 1000
REPORTS_AT_MOST = 1000
"""Most runs of a report: what a person may still read."""


class ObjectStore(MemoryFileSystem):
    """An object store in memory with the latency of a store in the same region."""

    protocol = "faraway"
    latency_s = 0.025
    requests = 0
    store: dict[str, Any] = {}  # noqa: RUF012  all instances share one store, as fsspec's do
    pseudo_dirs = [""]  # noqa: RUF012

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(path.replace("faraway://", "memory://"))

    @classmethod
    def _wait(cls, requests: int = 1) -> None:
        cls.requests += requests
        time.sleep(requests * cls.latency_s)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **options: Any) -> bytes:
        self._wait()
        return super().cat_file(path, start, end, **options)

    def find(self, path: str, maxdepth: int | None = None, withdirs: bool = False, **options: Any) -> Any:
        root = self._strip_protocol(path).rstrip("/") + "/"
        files = {name: {"name": name, "size": file.size, "type": "file", "created": file.created}
                 for name, file in self.store.items() if name.startswith(root)}  # fmt: skip
        self._wait(math.ceil(len(files) / NAMES_PER_REQUEST) or 1)
        return files


def seconds(function: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def plan_s(folder: Path, count: int) -> float:
    """Seconds from the study file to the printed plan, in an empty pool."""
    path = folder / f"plan-{count}.yaml"
    path.write_text(study_of(VARIANTS, count // VARIANTS, folder / "data"))

    def plan() -> None:
        study = load_study(path)
        datasets = resolve_datasets(study.datasets)
        runs = study.runs(datasets)
        console = Console(file=io.StringIO(), width=120)
        print_plan(console, study, datasets, make_plan(runs, RunStore(folder / "none")), "ray")

    return seconds(plan)


def store_read(runs: Sequence[RunConfig], disk: Path) -> tuple[float, int]:
    """Seconds and requests to read the states and records of finished runs from an object store."""
    ObjectStore.store.clear()
    with_files = MemoryFileSystem.pipe_file
    fs = fsspec.filesystem("faraway")
    for run in runs:
        for path in (disk / run.id).iterdir():
            with_files(fs, f"/pool/{run.id}/{path.name}", path.read_bytes() if path.suffix == ".json" else b"-")
    ObjectStore.requests = 0
    began = time.perf_counter()
    plan = make_plan(runs, RunStore("faraway://pool"))
    took_s = time.perf_counter() - began
    assert plan.count(State.DONE) == len(runs)
    return took_s, ObjectStore.requests


def display_s(runs: Sequence[RunConfig]) -> float:
    """Seconds of the driver's work for one message from each of 1,000 machines and one estimate of the time left."""
    now = [0.0]
    tracker, active = RunTracker(runs, lambda: now[0]), runs[: min(MACHINES, len(runs))]

    def at(run: RunConfig, step: int) -> RunProgress:
        return RunProgress(run.id, 1, 50, step / 5000, step=step, steps=5000)

    for run in active:
        tracker.update(at(run, 1))
    now[0] = 10.0

    def update() -> None:
        for run in active:
            tracker.update(at(run, 10))
        assert tracker.left_s()

    return seconds(update)


def show(title: str, sizes: Sequence[int], took_s: Sequence[float], more: Sequence[str] = ()) -> list[float]:
    """Prints a line per size, with the exponent of growth from the size before; returns the exponents."""
    points = pairwise(zip(sizes, took_s, strict=True))
    exponents = [math.log(b / a) / math.log(n / m) for (m, a), (n, b) in points]
    print(title, flush=True)
    for index, (size, second) in enumerate(zip(sizes, took_s, strict=True)):
        grows = f"  grows as n^{exponents[index - 1]:.2f}" if index else ""
        print(f"  {size:>6,} runs  {second:8.2f} s{grows}  {more[index] if more else ''}".rstrip(), flush=True)
    return exponents


def main() -> None:
    """Measures, and prints the figures last."""
    parser = CommandLine(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--most", type=int, default=10_000, metavar="N", help="largest number of runs (default: %(default)s)"
    )
    parser.add_argument("--latency-ms", type=float, default=25.0, help="latency of a request (default: %(default)s)")
    options = parser.parse_args()
    ObjectStore.latency_s = options.latency_ms / 1000
    fsspec.register_implementation("faraway", ObjectStore)
    sizes = [options.most // share // VARIANTS * VARIANTS for share in (8, 4, 2, 1)]
    with tempfile.TemporaryDirectory(prefix="emotune-scale-") as scratch:
        folder = Path(scratch)
        write_empty_manifest(folder / "data", IMAGES)
        plans_s = [plan_s(folder, size) for size in sizes]
        grown = {"planning": show("planning", sizes, plans_s)}
        generated = GeneratedRuns(folder / "runs", IMAGES)
        study = load_study(folder / f"plan-{sizes[-1]}.yaml")
        runs = study.runs(resolve_datasets(study.datasets))  # seed by seed over all variants
        for run in runs:
            generated.write(run)
        displays_s = [display_s(runs[:size]) for size in sizes]
        grown["display"] = show(f"the driver's display, {MACHINES:,} machines", sizes, displays_s)
        reads = [store_read(runs[:size], folder / "runs") for size in sizes]
        grown["ledger"] = show(
            f"reading an object store, {options.latency_ms:g} ms per request", sizes, [s for s, _ in reads],
            [f"{requests:,} requests" for _, requests in reads],
        )  # fmt: skip
        written = [size for size in sizes if size <= REPORTS_AT_MOST][-2:] or [REPORTS_AT_MOST // 2, REPORTS_AT_MOST]
        reports_s = []
        for size in written:
            (folder / "study.yaml").write_text(study_of(VARIANTS, size // VARIANTS, folder / "data"))
            wall_s, _ = report_s(folder)
            reports_s.append(wall_s)
        grown["report"] = show("report, from a disk", written, reports_s)
    steep = [name for name, exponents in grown.items() if any(exponent > 1.3 for exponent in exponents)]
    print(f"plan_{sizes[-1]}_s = {plans_s[-1]:.2f}")
    print(f"display_{sizes[-1]}_s = {displays_s[-1]:.3f}")
    print(f"ledger_{sizes[-1]}_s = {reads[-1][0]:.2f}")
    print(f"report_{written[-1]}_s = {reports_s[-1]:.2f}")
    print(f"not linear: {', '.join(steep) or 'none'}")


if __name__ == "__main__":
    main()
