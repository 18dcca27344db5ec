"""A study's finished runs are tested on other data sets by the command as a user runs it, once, and reported."""

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from other_sets import altered, samples_of, smaller, write_polarity

from emotune import load_results
from emotune.ablate import main
from emotune.runs.directory import WEIGHTS

DEADLINE_S = 300.0
STUDY = """
question: Does attention help, and elsewhere, too?
datasets: [{data}]
{test_on}
model: {{name: alexnet, width: 0.0625, weight_init: he, dropout: 0.0}}
train: {{epochs: 1, batch_size: 16, lr: 0.005}}
baseline: alexnet
variants:
  alexnet: {{}}
  attention: {{model.name: attention}}
  colours: {{model.name: svm}}
seeds: 2
contrasts: [attention - alexnet]
"""


class Place:
    """A folder with a study file, in which commands are run."""

    def __init__(self, folder: Path, data: Path, polar: Path) -> None:
        self.folder, self.data, self.polar = folder, data, polar

    def write(self, *others: str) -> None:
        test_on = f"test_on: [{', '.join(others)}]" if others else ""
        (self.folder / "few.yaml").write_text(STUDY.format(data=self.data, test_on=test_on))

    def here(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.chdir(self.folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main([*arguments])
        return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())

    def local(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.here("few.yaml", "--executor", "local", *arguments)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH_")}
        return subprocess.Popen(
            [sys.executable, "-m", "emotune.ablate", "few.yaml", *arguments], cwd=self.folder, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
        )  # fmt: skip

    def tested(self) -> dict[str, bytes]:
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in self.folder.glob("runs/*/tested-*")}

    def records(self) -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in self.folder.glob("runs/*/record.json")}

    def tests(self) -> list[dict[str, object]]:
        return json.loads(self.here("status", "few.yaml", "--json").stdout)["tests"]


@pytest.fixture(scope="module")
def polar(tmp_path_factory: pytest.TempPathFactory, small_shards: Path) -> Path:
    """Scenes with a polarity, among them a copy of a training image."""
    folder = tmp_path_factory.mktemp("other") / "polar"
    write_polarity(folder, {"a" * 20: altered(samples_of(small_shards, "train")[0], smaller)})
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, small_shards: Path, polar: Path) -> Place:
    """A finished study without other data sets; not to be changed."""
    place = Place(tmp_path_factory.mktemp("trained"), small_shards, polar)
    place.write()
    found = place.local()
    assert found.returncode == 0, found.stderr
    assert not place.tested()
    return place


@pytest.fixture
def place(trained: Place, tmp_path: Path) -> Place:
    shutil.copytree(trained.folder, tmp_path / "place")
    return Place(tmp_path / "place", trained.data, trained.polar)


def test_another_data_set_trains_nothing_and_tests_each_run_once(place: Place):
    place.write(str(place.polar))
    before = place.records()
    plan = place.local("--plan")
    assert plan.returncode == 0 and "0 runs done, 6 to do" in plan.stdout
    assert place.tests() == [{"data": "polar", "done": 0, "missing": 6, "not_trained": 0, "cannot": []}]
    first = place.local()
    assert first.returncode == 0, first.stderr
    files = place.tested()
    assert len(files) == 6
    assert place.tests() == [{"data": "polar", "done": 6, "missing": 0, "not_trained": 0, "cannot": []}]
    page = (place.folder / "reports/few/index.html").read_text()
    assert all(f'id="{name}"' in page for name in ("transfer", "figure-transfer", "figure-transfer-contrasts"))
    assert all((place.folder / "reports/few" / f"{name}.svg").exists() for name in ("transfer", "transfer-contrasts"))
    assert "1 image is left out" in page, "a copy of a training image"
    with contextlib.chdir(place.folder):
        results = load_results("few.yaml")
    assert (results.transfer["state"] == "done").sum() == 6 == len(results.transfer)
    assert set(results.transfer["near_training"]) == {1}
    assert results.transfer_comparisons[["dataset", "tested_on", "seeds"]].values.tolist() == [["scenes", "polar", 2]]
    for name, rows in (("transfer", 6), ("transfer_contrasts", 1)):
        assert len(pd.read_csv(place.folder / "reports/few" / f"{name}.csv")) == rows
    assert "polar" in (place.folder / "reports/few/report.md").read_text()
    assert "-transfer}" in (place.folder / "reports/few/table.tex").read_text()
    second = place.local()
    assert second.returncode == 0 and "up to date" in second.stdout and "Testing" not in second.stdout
    assert place.tested() == files and place.records() == before, "nothing is trained or tested again"
    place.write(str(place.polar), f"{{data: {place.polar}, split: all}}")
    third = place.local()
    assert third.returncode == 0, third.stderr
    assert len(place.tested()) == 12 and place.tested().items() >= files.items()
    place.write()
    option = place.local("--test-on", str(place.polar), "--plan")
    assert "6 runs done" in option.stdout, "the option is as good as the key"
    assert not load_results(place.folder / "few.yaml", place.folder / "runs").transfer.size
    assert place.here("prune", "few.yaml", "--yes").returncode == 0
    assert place.records() == before, "runs are kept, with their tests"


def test_a_run_without_weights_is_reported_and_the_others_are_tested(place: Place):
    place.write(str(place.polar))
    (gone,) = place.folder.glob("runs/attention-*-s1-*")
    kept = (gone / WEIGHTS).read_bytes()
    (gone / WEIGHTS).write_bytes(kept[:-8] + bytes(8))
    found = place.local()
    assert found.returncode == 1
    assert gone.name in found.stderr
    assert WEIGHTS in found.stderr and "damaged" in found.stderr
    assert len(place.tested()) == 5 and "Report" in found.stdout
    (gone / WEIGHTS).write_bytes(kept)
    assert place.local().returncode == 0 and len(place.tested()) == 6, "the same command tests it once it is whole"


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ("{own}", "the study trains on this data set"),
        ("nowhere", "nowhere"),
        ("{{data: {polar}, map: {{aw: positive}}}}", "aw"),
        ("{{data: {polar}, split: val}}", "test_on.0.split"),
    ],
)
def test_mistakes_end_the_command_before_anything_is_spent(place: Place, other: str, named: str):
    place.write(other.format(own=place.data, polar=place.polar))
    found = place.local()
    assert found.returncode == 2 and "test_on" in found.stderr and named in found.stderr
    assert not place.tested()


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["local", "ray"])
def test_after_ctrl_c_the_same_command_makes_the_remaining_tests(
    place: Place, heard: None, tmp_path: Path, executor: str
):
    write_polarity(tmp_path / "many", scenes=500)
    place.write(str(place.polar), f"{{data: {tmp_path / 'many'}, split: all}}")
    command = place.start("--executor", executor)
    assert command.stdout is not None
    for line in command.stdout:
        if "1/6 " in line:
            break
    command.send_signal(signal.SIGINT)
    _, err = command.communicate(timeout=DEADLINE_S)
    assert command.returncode == 130 and "Traceback" not in err, err
    files = place.tested()
    assert 2 <= len(files) < 12
    again = place.start("--executor", executor)
    out, err = again.communicate(timeout=DEADLINE_S)
    assert again.returncode == 0, err
    assert len(place.tested()) == 12 and place.tested().items() >= files.items(), "what was complete is kept"
    assert "Traceback" not in out + err
