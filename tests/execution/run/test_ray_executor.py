"""Runs on a real Ray, whose processes are looked at, stopped and killed."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
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
    run_on_ray(runs, RunStore(asked["pool"]), Observer(), resources, stall_s=asked["stall_s"], stopping=stopping)
"""
DEADLINE_S = 400.0
KILLS_ITSELF = """
import importlib.machinery, os, signal, sys
class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "emotune.training.loop": os.kill(os.getpid(), signal.SIGKILL)
sys.meta_path.insert(0, Finder())
"""


class Study:
    """Runs on a Ray of their own, in a process that tells what it is told."""

    def __init__(self, folder: Path, runs: Sequence[RunConfig], path: str = "", **settings: object) -> None:
        self.folder, self.runs, self.told, self.wrong = folder, runs, [], folder / "stderr"
        asked = {"runs": [run.to_json() for run in runs], "pool": str(folder / "runs"),
                 "resources": asdict(Resources(workers=settings.get("workers", 1))),
                 "stall_s": settings.get("stall_s", 600)}  # fmt: skip
        (folder / "asked.json").write_text(json.dumps(asked))
        paths = os.pathsep.join(filter(None, [path, os.environ.get("PYTHONPATH", "")]))
        with self.wrong.open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-c", DRIVER, str(folder / "asked.json")],
                stdout=subprocess.PIPE, stderr=err, text=True, env=os.environ | {"PYTHONPATH": paths},
            )  # fmt: skip

    def lines(self) -> Iterator[list]:
        """What is told, as it is told."""
        for line in self.process.stdout:
            if line.startswith("["):  # Ray speaks of lost workers in between
                self.told.append(json.loads(line))
                yield self.told[-1]

    def end(self) -> int:
        for _ in self.lines():
            pass
        return self.process.wait(DEADLINE_S)

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

    def record(self, run: RunConfig) -> dict:
        return RunDirectory(str(self.folder / "runs"), run).record()


@pytest.fixture
def runs(small_shards: Path) -> list[RunConfig]:
    (dataset,) = resolve_datasets([Selection(data=str(small_shards))])
    model = AlexNetConfig(width=0.0625, weight_init="he", dropout=0.0)
    train = TrainConfig(epochs=1, batch_size=16, lr=0.005)
    first = RunConfig(variant="a", dataset=dataset, seed=0, model=model, train=train)
    return [replace(first, seed=seed, variant="ab"[n], replicate=n) for seed in (0, 1, 2) for n in (0, 1)]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., Study]]:
    begun: list[Study] = []

    def begin(runs: Sequence[RunConfig], **settings: object) -> Study:
        begun.append(Study(tmp_path, runs, **settings))
        return begun[-1]

    yield begin
    for study in begun:
        study.process.kill()
        study.process.wait()
        study.process.stdout.close()


def longer(run: RunConfig, epochs: int) -> RunConfig:
    return replace(run, train=replace(run.train, epochs=epochs))


def test_workers_stay_warm_supervisors_have_no_torch_and_a_run_in_other_hands_is_left_there(
    runs: list[RunConfig], begin, tmp_path: Path
):
    with RunDirectory(str(tmp_path / "runs"), runs[0]).leased():
        study = begin(runs, workers=2)
        pids: dict[str, set[int]] = {"Worker": set(), "RunTrial": set()}
        torch_in: dict[str, set[bool]] = {"Worker": set(), "RunTrial": set()}
        for _ in study.lines():
            for name, seen in pids.items():
                for one in study.actors(name):
                    maps = Path(f"/proc/{one.pid}/maps").read_text() if process(one.pid) == one else ""
                    if maps:
                        seen.add(one.pid)
                        torch_in[name].add("libtorch" in maps)
        assert study.process.wait(DEADLINE_S) == 0, study.wrong.read_text()
    states = {run: state for run, (state, _) in study.ends().items()}
    assert list(states) == [run.id for run in runs], "one after another, seed by seed"
    assert list(states.values()) == [State.RUNNING] + [State.DONE] * 5
    assert len(pids["Worker"]) == 2, "the same two processes for all runs"
    assert torch_in == {"Worker": {True}, "RunTrial": {False}}


def test_a_worker_that_hangs_is_killed_and_its_run_goes_on_in_fresh_ones(runs: list[RunConfig], begin):
    run = longer(runs[0], 60)
    study = begin([run], workers=2, stall_s=40)
    stopped, again = [], []
    for kind, _, *rest in study.lines():
        if kind == "at" and rest[0] > 0.1 and not stopped:
            stopped = study.actors("Worker")
            os.kill(stopped[0].pid, signal.SIGSTOP)  # of either rank: faults/test_fault_workers.py
        elif stopped and kind == "at" and not again and not set(found := study.actors("Worker")) & set(stopped):
            again = found
            assert not {process(one.pid) for one in stopped} & set(stopped), "it is gone for sure"
    assert study.process.wait(DEADLINE_S) == 0, study.wrong.read_text()
    assert again, "it went on in others"
    assert study.ends()[run.id] == (State.DONE, "")
    assert study.record(run)["interruptions"] == 1


def test_a_run_that_is_lost_again_and_again_but_comes_further_is_no_failure(runs: list[RunConfig], begin):
    run = longer(runs[0], 60)
    study = begin([run])
    next_kill, killed = 0.1, 0
    for kind, _, *rest in study.lines():
        if kind == "at" and rest[0] >= next_kill and killed < 5 and (workers := study.actors("Worker")):
            os.kill(workers[0].pid, signal.SIGKILL)
            killed, next_kill = killed + 1, rest[0] + 0.1
    assert study.process.wait(DEADLINE_S) == 0, study.wrong.read_text()
    assert killed == 5
    assert study.ends()[run.id][0] == State.DONE
    assert study.record(run)["interruptions"] == 5


def test_a_run_that_is_lost_four_times_without_coming_further_is_a_failure_that_names_the_cause(
    runs: list[RunConfig], begin, tmp_path: Path
):
    (tmp_path / "sitecustomize.py").write_text(KILLS_ITSELF)
    study = begin(runs[:1], path=str(tmp_path))
    assert study.end() == 0, study.wrong.read_text()
    state, detail = study.ends()[runs[0].id]
    assert state == State.FAILED
    assert detail.startswith("lost 4 times ")
    assert RunDirectory(str(tmp_path / "runs"), runs[0]).status().state is State.FAILED


def test_ctrl_c_once_in_a_terminal_ends_runs_after_their_step_and_begins_no_others(
    runs: list[RunConfig], begin, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "1")  # whatever this machine has, Ray is told one
    study = begin([longer(run, 200) for run in runs])
    for kind, *_ in study.lines():
        if kind == "at":
            study.process.send_signal(signal.SIGTERM)
            break
    assert study.end() != 0, "KeyboardInterrupt"
    assert len(study.ends()) == 1, "the one that had begun"
    assert all(state == State.INTERRUPTED for state, _ in study.ends().values())
