"""Runs on a real Ray, whose processes are looked at. Processes that are killed or hang: tests/execution/faults."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pytest

from emotune.config.model import AlexNetConfig
from emotune.config.resources import Resources
from emotune.config.run import RunConfig, Selection
from emotune.config.train import TrainConfig
from emotune.core.process_tree import Process, descendants, process
from emotune.data.datasets.resolve import resolve_datasets
from emotune.runs.directory import RunDirectory, State

pytestmark = pytest.mark.slow

DRIVER = """
import json, sys
from pathlib import Path
from emotune.execution.run.ray_session import ray_connection
from emotune.execution.run.signals import interruption
from emotune.config.run import RunConfig
from emotune.config.resources import Resources
from emotune.runs.store import RunStore

class Observer:
    def on_progress(self, progress):
        print(json.dumps(["at", progress.run_id, progress.fraction]), flush=True)

    def on_end(self, run_id, status):
        print(json.dumps(["end", run_id, status.state, status.detail]), flush=True)

asked = json.loads(Path(sys.argv[1]).read_text())
resources = Resources(**asked["resources"])
with interruption() as stopping, stopping.patient(), ray_connection(resources):
    from emotune.execution.run.ray_executor import run_on_ray

    runs = [RunConfig.from_json(run) for run in asked["runs"]]
    run_on_ray(runs, RunStore(asked["pool"]), Observer(), resources, stopping=stopping)
"""
DEADLINE_S = 400.0


class Study:
    """Runs on a Ray of their own, in a process that tells what it is told."""

    def __init__(self, folder: Path, runs: Sequence[RunConfig]) -> None:
        self.folder, self.runs, self.told, self.asked_to_stop = folder, runs, [], False
        asked = {"runs": [run.to_json() for run in runs], "pool": str(folder / "runs"),
                 "resources": asdict(Resources(workers=2))}  # fmt: skip
        (folder / "asked.json").write_text(json.dumps(asked))
        with (folder / "stderr").open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-c", DRIVER, str(folder / "asked.json")],
                stdout=subprocess.PIPE,
                stderr=err,
                text=True,
                env=os.environ | {"SLURM_CPUS_PER_TASK": "2"},  # one run at a time, whatever this machine has
            )

    def stop(self) -> None:
        self.asked_to_stop = True
        self.process.send_signal(signal.SIGTERM)

    def lines(self) -> Iterator[list]:
        """What is told, as it is told."""
        for line in self.process.stdout:
            if line.startswith("["):  # Ray speaks of lost workers in between
                self.told.append(json.loads(line))
                yield self.told[-1]

    def ends(self) -> dict[str, tuple[str, str]]:
        return {run: (state, detail) for kind, run, state, detail in (t for t in self.told if t[0] == "end")}

    def actors(self, kind: str) -> list[Process]:
        """Ray's processes in which workers or supervisors live, by their titles."""
        titles = {"Worker": ("ray::Worker",), "RunTrial": ("ray::RunTrial", "ray::ResourceTrainable")}[kind]
        found = []
        for one in descendants(self.process.pid):
            title = Path(f"/proc/{one.pid}/cmdline")
            if title.exists() and title.read_text().startswith(titles):
                found.append(one)
        return found


@dataclass(frozen=True)
class Seen:
    """What was seen of a study: by the kind of actor, processes and whether they had torch; and its exit code."""

    study: Study
    pids: dict[str, set[int]]
    torch: dict[str, set[bool]]
    code: int


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory, small_shards: Path) -> Iterator[Seen]:
    """Six runs, of which another process has the first, and two long ones, in the first of which SIGTERM comes."""
    folder = tmp_path_factory.mktemp("executor")
    (dataset,) = resolve_datasets([Selection(data=str(small_shards))])
    model = AlexNetConfig(width=0.0625, weight_init="he", dropout=0.0)
    train = TrainConfig(epochs=1, batch_size=16, lr=0.005)
    first = RunConfig(variant="a", dataset=dataset, seed=0, model=model, train=train)
    runs = [replace(first, seed=seed, variant="ab"[n], replicate=n) for seed in (0, 1, 2) for n in (0, 1)]
    long = [replace(run, train=replace(train, epochs=200)) for run in runs[:2]]
    with RunDirectory(str(folder / "runs"), runs[0]).leased():
        study = Study(folder, [*runs, *long])
        found = Seen(study, {"Worker": set(), "RunTrial": set()}, {"Worker": set(), "RunTrial": set()}, 0)
        for kind, run, *_ in study.lines():
            for name in found.pids:
                for one in study.actors(name):
                    maps = Path(f"/proc/{one.pid}/maps").read_text() if process(one.pid) == one else ""
                    if maps:
                        found.pids[name].add(one.pid)
                        found.torch[name].add("libtorch" in maps)
            if kind == "at" and run == long[0].id and not study.asked_to_stop:
                study.stop()
        yield replace(found, code=study.process.wait(DEADLINE_S))
    study.process.kill()
    study.process.wait()
    study.process.stdout.close()


def test_workers_stay_warm_supervisors_have_no_torch_and_a_run_in_other_hands_is_left_there(seen: Seen):
    states = {run: state for run, (state, _) in seen.study.ends().items()}
    assert list(states)[:6] == [run.id for run in seen.study.runs[:6]], "one after another, seed by seed"
    assert list(states.values())[:6] == [State.RUNNING] + [State.DONE] * 5
    assert len(seen.pids["Worker"]) == 2, "the same two processes for all runs"
    assert seen.torch == {"Worker": {True}, "RunTrial": {False}}


def test_sigterm_ends_runs_after_their_step_and_begins_no_others(seen: Seen):
    assert seen.code != 0, "KeyboardInterrupt"
    assert [(run, state) for run, (state, _) in seen.study.ends().items()][6:] == [
        (seen.study.runs[6].id, State.INTERRUPTED)
    ]
