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
from pathlib import Path


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


def main() -> None:
    """Runs the study once and prints what it took."""
    with tempfile.TemporaryDirectory() as scratch:
        environment = os.environ | {"EMOTUNE_CACHE": f"{scratch}/cache"}
        command = [sys.executable, "-m", "emotune.ablate", *sys.argv[1:]]
        started = time.perf_counter()
        peak, largest = 0, []
        with subprocess.Popen(command, cwd=scratch, env=environment) as process:
            while process.poll() is None:
                sizes = [memory(pid) for pid in descendants(process.pid)]
                if (total := sum(size for size, _ in sizes)) > peak:
                    peak, largest = total, sorted(sizes, reverse=True)[:8]
                time.sleep(0.5)
        wall_s = time.perf_counter() - started
        records = [json.loads(path.read_text()) for path in Path(scratch, "runs").glob("*/record.json")]
        train_s = sum(record["durations_s"]["train"] for record in records)
        whole_s = sum(record["durations_s"]["this_start"] for record in records)
    print(f"\nexit code {process.returncode}, {wall_s:.0f} s from command to report, {len(records)} runs")
    print(f"in the runs: {whole_s:.0f} s, of which {train_s:.0f} s are training steps; they run beside each other")
    print(f"peak memory of all processes: {peak / 2**20:.2f} GiB, most of it in")
    for size, title in largest:
        print(f"  {size / 2**20:.2f} GiB  {title}")


if __name__ == "__main__":
    main()
