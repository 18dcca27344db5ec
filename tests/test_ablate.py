"""The command as a user runs it: real processes, real Ray.

Where neither matters, this process runs it, which imports torch and what draws once for all tests.
"""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from reading import incomplete

from emotune.ablate import main

DEADLINE_S = 300.0
"""For anything that must happen: many times as long as on a quiet machine."""
STUDY = """
question: Does attention help on very few images?
datasets: [{data}]
model: {{name: alexnet, width: 0.0625, weight_init: he, dropout: 0.0}}
train: {{epochs: 1, batch_size: 16, lr: 0.005}}
baseline: alexnet
variants:
  alexnet: {{}}
  attention: {{model.name: attention{extra}}}
seeds: {seeds}
contrasts: [attention - alexnet]
resources: {{workers: {workers}}}
"""


class Place:
    """A folder with a study file, in which commands are run."""

    def __init__(self, folder: Path, data: Path) -> None:
        self.folder, self.data = folder, data
        self.write()

    def write(self, *, seeds: int = 2, workers: int = 1, extra: str = "") -> None:
        text = STUDY.format(data=self.data, seeds=seeds, workers=workers, extra=extra)
        (self.folder / "few.yaml").write_text(text)

    def start(self, *arguments: str, study: str = "few.yaml") -> subprocess.Popen[str]:
        command = [sys.executable, "-W", "error::DeprecationWarning:emotune", "-m", "emotune.ablate", study, *arguments]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH_")}
        return subprocess.Popen(
            command, cwd=self.folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
        )  # without the token that the tests' own Ray asks for

    def ablate(self, *arguments: str, study: str = "few.yaml") -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments, study=study)
        out, err = process.communicate(timeout=DEADLINE_S)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def here(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The same without a process of its own, and without Ray."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.chdir(self.folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(["few.yaml", *arguments, "--executor", "local"])
        return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())

    def records(self) -> dict[str, dict]:
        return {p.parent.name: json.loads(p.read_text()) for p in sorted(self.folder.glob("runs/*/record.json"))}

    def page(self) -> str:
        return (self.folder / "reports" / "few" / "index.html").read_text()

    def times(self) -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in (self.folder / "runs").rglob("*") if path.is_file()}


@pytest.fixture
def place(tmp_path: Path, small_shards: Path) -> Place:
    return Place(tmp_path, small_shards)


def test_a_study_on_ray_ends_in_a_report_and_is_a_no_op_afterwards_and_grows_by_what_is_missing(place: Place):
    first = place.ablate()
    assert first.returncode == 0, first.stderr
    assert {(r["model"], r["seed"]) for r in place.records().values()} == {
        ("alexnet", 0), ("alexnet", 1), ("attention", 0), ("attention", 1)
    }  # fmt: skip
    assert "Does attention help" in place.page()
    before = place.times()
    started = time.monotonic()
    second = place.ablate()
    assert second.returncode == 0, second.stderr
    assert "4 done" in second.stdout
    assert place.times() == before
    assert time.monotonic() - started < 120
    third = place.here("--seeds", "3")
    assert third.returncode == 0, third.stderr
    assert len(place.records()) == 6
    kept = {path: when for path, when in before.items() if path.name != "runs.json"}  # the list of them all is longer
    assert {path: when for path, when in place.times().items() if path in kept} == kept


def test_a_run_that_diverges_is_reported_and_the_others_finish(place: Place):
    place.write(seeds=1, extra=", train.lr: 1.0e+30")
    found = place.here()
    assert found.returncode == 1
    assert [r["model"] for r in place.records().values()] == ["alexnet"]
    assert "diverged" in found.stdout
    assert incomplete(place.page()) == (1, 2)
    (failure,) = (json.loads(path.read_text()) for path in place.folder.glob("runs/*/failure.json"))
    assert failure["diverged"] and failure["message"] in place.page()
    assert place.here().returncode == 1, "a diverged run is a result; it is not run again"


@pytest.mark.slow
def test_a_damaged_shard_is_found_before_anything_is_spent_and_the_study_runs_once_it_is_mended(
    place: Place, monkeypatch: pytest.MonkeyPatch
):
    place.write(seeds=1)
    shard = min(place.data.glob("test-*.tar"))
    copy = place.folder / "data"
    copy.mkdir()
    for path in place.data.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    place.data = copy
    place.write(seeds=1)
    whole = shard.read_bytes()
    (copy / shard.name).write_bytes(whole[:-2000] + b"x" * 2000)
    monkeypatch.setenv("EMOTUNE_CACHE", str(place.folder / "cache"))
    broken = place.here()
    assert broken.returncode == 2
    assert shard.name in broken.stderr
    assert "damaged" in broken.stderr
    assert not list(place.folder.glob("runs/*"))
    (copy / shard.name).write_bytes(whole)
    mended = place.here()
    assert mended.returncode == 0, mended.stderr
    assert len(place.records()) == 2


@pytest.mark.slow
def test_torchrun_trains_a_study_with_two_processes(place: Place):
    place.write(seeds=1)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
               "-m", "emotune.ablate", "few.yaml", "--executor", "local", "--cache-gb", "0"]  # fmt: skip
    found = subprocess.run(command, cwd=place.folder, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert found.returncode == 0, found.stderr
    assert [(r["workers"], r["reading"]) for r in place.records().values()] == [(2, "indexed")] * 2
    assert "train, val, test" in found.stdout
    assert found.stdout.count("Report:") == 1


@pytest.mark.slow
def test_the_baseline_against_itself_is_trained_on_request_and_is_no_variant_of_the_report(place: Place):
    place.write(seeds=2)
    planned = place.here("--aa", "--plan")
    assert re.search(r"\b6 runs\b.*\bA/A\b", planned.stdout)
    done = place.here("--aa")
    assert done.returncode == 0, done.stderr
    configs = [json.loads(path.read_text()) for path in (place.folder / "runs").glob("*/config.json")]
    assert sorted((c["model"]["name"], c["replicate"], c["seed"]) for c in configs) == [
        ("alexnet", 0, 0), ("alexnet", 0, 1), ("alexnet", 1, 0), ("alexnet", 1, 1),
        ("attention", 0, 0), ("attention", 0, 1),
    ]  # fmt: skip
    assert "few.yaml --aa" in place.page()
    assert "4 done" in place.ablate().stdout


def test_the_plan_spends_nothing_and_says_what_the_seeds_can_show(place: Place):
    found = place.ablate("--plan", "--seeds", "3")  # two seeds of two variants give no verdict
    assert found.returncode == 0, found.stderr
    assert "6 runs" in found.stdout
    assert "80 % power" in found.stdout
    assert [path.name for path in place.folder.iterdir()] == ["few.yaml"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--seeds", "0"], "--seeds 0"),
        (["--workers", "0"], "--workers 0"),
        (["--gpus-per-worker", "-1"], "--gpus-per-worker -1"),
        (["--cache-gb", "-1"], "--cache-gb -1"),
    ],
)
def test_bad_options_spend_nothing(place: Place, arguments: list[str], says: str):
    found = place.ablate(*arguments)
    assert found.returncode == 2
    assert says in found.stderr
    assert [path.name for path in place.folder.iterdir()] == ["few.yaml"]


def test_a_study_that_asks_for_more_than_this_machine_has_says_so(place: Place):
    place.write(workers=500)
    (place.folder / "few.yaml").write_text((place.folder / "few.yaml").read_text().replace("size: 16", "size: 500"))
    found = place.ablate()
    assert found.returncode == 2
    assert "500" in found.stderr
    assert not place.records()
