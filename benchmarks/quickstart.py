"""Time and peak memory of the quickstart, starting with an empty folder and an empty cache.

    python benchmarks/quickstart.py [arguments of emotune.ablate]

Runs `python -m emotune.ablate`. Linux only: memory is the sum of the proportional set sizes (each shared page counts
once) of the command and all its descendants, sampled twice per second.
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

SAMPLE_EVERY_S = 0.5


@dataclass(frozen=True)
class Usage:
    """Time and memory of a command.

    Attributes:
        exit_code: The command's exit code.
        wall_s: Seconds from start to end.
        peak_kib: Memory of all its processes at the peak, in KiB.
        largest: Memory in KiB and title of its largest processes at the peak.
    """

    exit_code: int
    wall_s: float
    peak_kib: int
    largest: Sequence[tuple[int, str]]


def descendants(root: int) -> list[int]:
    """The process ``root`` and all its descendants, including Ray's daemons."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue  # it has ended
    family, frontier = [root], [root]
    while frontier:
        frontier = [pid for pid, parent in parents.items() if parent in frontier]
        family += frontier
    return family


def memory(pid: int) -> tuple[int, str]:
    """Proportional set size in KiB and title of a process."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        title = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    except OSError:
        return 0, ""
    return int(next(line.split()[1] for line in lines if line.startswith("Pss:"))), title[:60]


def usage(command: Sequence[str], **options: Any) -> Usage:
    """Time and memory of a command; ``options`` are those of `subprocess.Popen`."""
    started = time.perf_counter()
    peak, largest = 0, []
    with subprocess.Popen(command, **options) as process:
        while process.poll() is None:
            sizes = [memory(pid) for pid in descendants(process.pid)]
            if (total := sum(size for size, _ in sizes)) > peak:
                peak, largest = total, sorted(sizes, reverse=True)[:8]
            time.sleep(SAMPLE_EVERY_S)
    return Usage(process.returncode, time.perf_counter() - started, peak, largest)


def records(pool: Path) -> list[dict[str, Any]]:
    """Records of the finished runs in ``pool``."""
    return [json.loads(path.read_text()) for path in pool.glob("*/record.json")]


def main() -> None:
    """Runs the study once and prints its time and memory."""
    with tempfile.TemporaryDirectory() as scratch:
        environment = os.environ | {"EMOTUNE_CACHE": f"{scratch}/cache"}
        used = usage([sys.executable, "-m", "emotune.ablate", *sys.argv[1:]], cwd=scratch, env=environment)
        durations_s = [record["durations_s"] for record in records(Path(scratch, "runs"))]
    train_s, whole_s = (sum(durations[name] for durations in durations_s) for name in ("train", "this_start"))
    print(f"\nexit code {used.exit_code}, {used.wall_s:.0f} s from command to report, {len(durations_s)} runs")
    print(f"in the runs, which overlap: {whole_s:.0f} s, of which {train_s:.0f} s training")
    print(f"peak memory of all processes: {used.peak_kib / 2**20:.2f} GiB; largest processes:")
    for size, title in used.largest:
        print(f"  {size / 2**20:.2f} GiB  {title}")


if __name__ == "__main__":
    main()
