"""status, rerun, prune, and what a finished study costs: real commands, no Ray.

Those that train or draw are run by this process, which imports torch and what draws once for all of them.
"""

import contextlib
import io
import json
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from emotune.ablate import main
from emotune.config.load import load_study
from emotune.data.datasets.resolve import resolve_datasets
from emotune.runs.directory import RunDirectory

STUDY = """
question: Does attention help on very few images?
datasets: [{data}]
model: {{name: alexnet, width: 0.0625, weight_init: he, dropout: 0.0}}
train: {{epochs: {epochs}, batch_size: 16, lr: {lr}}}
baseline: alexnet
variants: {{alexnet: {{}}, attention: {{model.name: attention}}}}
seeds: 1
contrasts: [attention - alexnet]
"""
IMPORTED = "import sys; from emotune.ablate import main; code = main(sys.argv[1:]); print(*sys.modules); sys.exit(code)"


class Place:
    """A folder with a study file, in which commands are run."""

    def __init__(self, folder: Path, data: Path) -> None:
        self.folder, self.data = folder, data
        self.write()

    def write(self, *, epochs: int = 1, lr: float = 0.005) -> None:
        (self.folder / "few.yaml").write_text(STUDY.format(data=self.data, epochs=epochs, lr=lr))

    def run(self, *arguments: str, code: int = 0, within: str | None = None) -> str:
        start = ["-c", within] if within else ["-m", "emotune.ablate"]
        found = subprocess.run([sys.executable, *start, *arguments], cwd=self.folder, capture_output=True, text=True,
                               stdin=subprocess.DEVNULL, timeout=300, check=False)  # fmt: skip
        assert found.returncode == code, found.stdout + found.stderr
        return found.stdout + found.stderr

    def study(self, *arguments: str, **more) -> str:
        return self.run("few.yaml", "--executor", "local", *arguments, **more)

    def run_here(self, *arguments: str, code: int = 0) -> str:
        said = io.StringIO()
        with contextlib.chdir(self.folder), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            assert main(arguments) == code, said.getvalue()
        return said.getvalue()

    def study_here(self, *arguments: str, **more) -> str:
        return self.run_here("few.yaml", "--executor", "local", *arguments, **more)

    def runs(self) -> dict[str, float]:
        """When each run was finished, by its name."""
        return {p.parent.name: p.stat().st_mtime for p in sorted(self.folder.glob("runs/*/record.json"))}


@pytest.fixture
def place(tmp_path: Path, small_shards: Path) -> Place:
    return Place(tmp_path, small_shards)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, small_shards: Path) -> Place:
    place = Place(tmp_path_factory.mktemp("finished"), small_shards)
    place.study_here()
    return place


def test_a_finished_study_needs_neither_torch_nor_ray_nor_what_draws_and_leaves_its_report_alone(finished: Place):
    page = finished.folder / "reports" / "few" / "index.html"
    before = page.stat().st_mtime_ns
    said = finished.run("few.yaml", within=IMPORTED)  # the executor is Ray's by default
    assert "index.html" in said
    assert not {"torch", "ray", "matplotlib", "seaborn", "pandas"} & set(said.split())
    assert page.stat().st_mtime_ns == before
    finished.run_here("few.yaml", "--report-only")
    assert page.stat().st_mtime_ns > before


def test_a_page_that_was_edited_or_removed_is_written_again(finished: Place):
    page = finished.folder / "reports" / "few" / "index.html"
    page.write_text("edited")
    finished.study_here()
    assert "Does attention help" in page.read_text()
    page.unlink()
    finished.study_here()
    before = page.stat().st_mtime_ns
    finished.study_here()
    assert page.stat().st_mtime_ns == before


def test_another_question_is_another_report(finished: Place):
    file = finished.folder / "few.yaml"
    file.write_text(file.read_text().replace("very few", "a few"))
    finished.study_here()
    assert "a few images" in (finished.folder / "reports" / "few" / "index.html").read_text()


@pytest.mark.slow
def test_an_edited_study_says_what_changed_and_prunes_what_it_left_behind_after_asking(place: Place):
    place.study_here()
    first = place.runs()
    place.write(lr=0.01)
    plan = place.study("--plan")
    assert "train.lr 0.005 → 0.01" in plan
    assert "\n2 runs " in place.run("prune", "few.yaml", code=2)
    assert place.runs() == first, "nobody was there to be asked"
    assert "\n0 runs " in place.run("prune", "--yes"), "the pool remembers the study as it was run"
    assert "2 removed" in place.run("prune", "few.yaml", "--yes")
    assert not place.runs()


def test_status_answers_from_another_machine_that_has_neither_the_study_nor_its_data(finished: Place):
    said = json.loads(finished.run("status", "few", "--json"))
    assert (said["runs"], said["states"]) == (2, {"done": 2})
    assert "2 done" in finished.run("status", "few.yaml")
    assert "unknown.yaml" in finished.run("status", "unknown.yaml", code=2)


@pytest.mark.slow
def test_a_finished_run_is_trained_anew_by_its_name_only_after_asking(place: Place):
    place.study_here()
    first, second = place.runs()
    before = place.runs()
    local = ("--executor", "local")
    assert "--yes" in place.run("rerun", "few.yaml", first, *local, code=2)
    assert place.runs() == before
    place.run_here("rerun", "few.yaml", first, "--yes", *local)
    assert place.runs()[first] > before[first]
    assert place.runs()[second] == before[second]
    after = place.runs()
    place.run("rerun", "few.yaml", "--failed", *local)
    assert place.runs() == after, "none has failed"


def test_a_probe_times_what_was_never_timed_and_leaves_nothing(place: Place):
    place.write(epochs=100)
    said = place.study_here("--time-steps")
    assert "2 to do" in said and "--time-steps" not in said
    assert re.search(r"\b\d+\.\d (minutes|hours)\b", said)
    assert [path.name for path in place.folder.iterdir()] == ["few.yaml"]


def test_a_plan_says_what_speaks_against_it_before_anything_is_spent(place: Place):
    said = place.run("few.yaml", "--plan", "--workers", "17", code=2)
    assert re.search(r"\bbatch_size 16\b.*\b17 workers\b", said)
    assert [path.name for path in place.folder.iterdir()] == ["few.yaml"]


@pytest.mark.parametrize("command", [(), ("new",), ("status",), ("rerun",), ("prune",)])
def test_help_reads_well_and_needs_nothing_heavy(place: Place, command: tuple[str, ...]):
    said = place.run(*command, "--help")
    assert said.startswith(f"usage: python -m emotune.ablate {' '.join(command)}".rstrip())
    assert "--runs URL" in said
    assert max(map(len, said.splitlines())) <= 115
    assert [path.name for path in place.folder.iterdir()] == ["few.yaml"]


def test_runs_of_the_baseline_itself_are_no_leftovers_where_the_study_is_named_with_them(place: Place):
    study = load_study(place.folder / "few.yaml", aa=True)
    for run in study.runs(resolve_datasets(study.datasets)):
        RunDirectory(str(place.folder / "runs"), run).begin().release()
    assert json.loads(place.run("status", "few.yaml", "--aa", "--json"))["states"] == {"interrupted": 3}
    assert "0 runs " in place.run("prune", "few.yaml", "--aa", "--yes")
    assert "1 run " in place.run("prune", "few.yaml", code=2)


HOLD = """
import os, sys, time
from pathlib import Path
from emotune.data.datasets.resolve import resolve_datasets
from emotune.runs.directory import RunDirectory
from emotune.config.load import load_study
study = load_study(Path("few.yaml"))
first, second = study.runs(resolve_datasets(study.datasets))
RunDirectory(str(Path("runs").resolve()), second).begin()
print("held", flush=True)
while not (Path("runs") / first.id / "config.json").exists():
    time.sleep(0.05)
os._exit(1)
"""


@pytest.mark.slow
def test_a_run_that_another_process_leaves_behind_meanwhile_is_taken_up_by_the_same_command(place: Place):
    other = subprocess.Popen([sys.executable, "-c", HOLD], cwd=place.folder, stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == "held\n"
    reaper = threading.Thread(target=other.wait)  # a child that nobody waits for keeps its number
    reaper.start()
    said = place.study_here()
    reaper.join()
    other.stdout.close()
    assert "1 to do" in said
    assert len(place.runs()) == 2


@pytest.mark.slow
def test_a_run_that_fails_is_not_tried_twice_by_one_command_and_rerun_takes_up_nothing_else(place: Place):
    place.study("--plan")
    study = load_study(place.folder / "few.yaml")
    first, second = (place.folder / "runs" / run.id for run in study.runs(resolve_datasets(study.datasets)))
    in_the_way = second / "predictions.parquet" / "x"
    in_the_way.mkdir(parents=True)
    assert place.study_here(code=1).count("✗") == 1
    in_the_way.rmdir()
    in_the_way.parent.rmdir()
    (first / "record.json").unlink()  # to do, but not asked for
    assert "failed" in place.run("status", "few.yaml")
    place.run_here("rerun", "few.yaml", "--failed", "--executor", "local")
    assert list(place.runs()) == [second.name]


@pytest.mark.slow
def test_two_studies_of_one_name_from_two_folders_keep_their_runs_networks_and_reports(place: Place):
    """With one working directory, one pool, one pair of file names."""
    text, local = (place.folder / "few.yaml").read_text(), ("--executor", "local")
    for user, its in (("ann", text), ("bob", text.replace("seeds: 1", "seeds: 2"))):
        (place.folder / user).mkdir()
        (place.folder / user / "ablation.yaml").write_text(its)
    place.run("ann/ablation.yaml", *local)
    page = (place.folder / "reports" / "ablation" / "index.html").read_bytes()
    said = place.run("bob/ablation.yaml", *local, code=2)
    assert "ann/ablation.yaml" in said
    assert "--report reports/ablation-bob" in said
    assert len(place.runs()) == 2, "nothing was spent"
    place.run_here("bob/ablation.yaml", *local, "--report", "reports/ablation-bob")
    assert (place.folder / "reports" / "ablation" / "index.html").read_bytes() == page
    assert len(list(place.folder.glob("runs/studies/ablation-*/networks.json"))) == 2
    said = place.run("prune", "--yes")
    assert "\n0 runs " in said
    assert said.count("ablation.yaml") == 2
    written = (place.folder / "reports" / "ablation" / "index.html").stat().st_mtime_ns
    place.run("ann/ablation.yaml", *local)
    assert (place.folder / "reports" / "ablation" / "index.html").stat().st_mtime_ns == written
