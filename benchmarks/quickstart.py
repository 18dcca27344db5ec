"""How long the quickstart takes from nothing, where its time goes, and how much memory all its processes hold.

    python benchmarks/quickstart.py [arguments of emotune.ablate]

Runs `python -m emotune.ablate` in an empty folder with an empty cache. Linux only: memory is the sum of proportional
set sizes (each shared page counted once) of the command and all its descendants, looked at twice a second.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LOOK_EVERY_S = 0.5


@dataclass(frozen=True)
class Usage:
    """What a command took: seconds, and at its peak KiB of all its processes and of the largest with their titles."""

    exit_code: int
    wall_s: float
    peak_kib: int
    largest: Sequence[tuple[int, str]]


def descendants(root: int) -> list[int]:
    """The processes that ``root`` started, directly or not, and itself; Ray's daemons stay among them."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue  # it ended meanwhile
    found, frontier = [root], [root]
    while frontier:
        frontier = [pid for pid, parent in parents.items() if parent in frontier]
        found += frontier
    return found


def memory(pid: int) -> tuple[int, str]:
    """Proportional set size in KiB, and the process's title."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        title = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    except OSError:
        return 0, ""
    return int(next(line.split()[1] for line in lines if line.startswith("Pss:"))), title[:60]


def usage(command: Sequence[str], **options: Any) -> Usage:
    """Runs a command, with ``options`` of subprocess.Popen, and looks at its memory."""
    started = time.perf_counter()
    peak, largest = 0, []
    with subprocess.Popen(command, **options) as process:
        while process.poll() is None:
            sizes = [memory(pid) for pid in descendants(process.pid)]
            if (total := sum(size for size, _ in sizes)) > peak:
                peak, largest = total, sorted(sizes, reverse=True)[:8]
            time.sleep(LOOK_EVERY_S)
    return Usage(process.returncode, time.perf_counter() - started, peak, largest)


def records(pool: Path) -> list[dict[str, Any]]:
    """Of the runs in ``pool`` that are done."""
    return [json.loads(path.read_text()) for path in pool.glob("*/record.json")]


def main() -> None:
    """Runs the study once and prints what it took."""
    with tempfile.TemporaryDirectory() as scratch:
        environment = os.environ | {"EMOTUNE_CACHE": f"{scratch}/cache"}
        took = usage([sys.executable, "-m", "emotune.ablate", *sys.argv[1:]], cwd=scratch, env=environment)
        durations_s = [record["durations_s"] for record in records(Path(scratch, "runs"))]
    train_s, whole_s = (sum(durations[name] for durations in durations_s) for name in ("train", "this_start"))
    print(f"\nexit code {took.exit_code}, {took.wall_s:.0f} s from command to report, {len(durations_s)} runs")
    print(f"in the runs: {whole_s:.0f} s, of which {train_s:.0f} s are training steps; they run beside each other")
    print(f"peak memory of all processes: {took.peak_kib / 2**20:.2f} GiB, most of it in")
    for size, title in took.largest:
        print(f"  {size / 2**20:.2f} GiB  {title}")


if __name__ == "__main__":
    main()
